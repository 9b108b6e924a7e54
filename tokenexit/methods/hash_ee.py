"""HashEE: a token's depth is known before the network has seen it."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("hash_ee")
class HashEE(Method):
    """Depths by hashing token ids, in training and inference (Sun et al. 2022).

    The paper trains with the one table that serves. Here a token keeps its place in the order of
    hashes, but each step draws the largest depth and half of the texts run to the top, so that
    one training serves every setting. This is the random hash; ``token_frequency`` and the
    tables of ``policies.hash_tables`` are the others. Texts as a whole have no token to hash;
    their tokens do, in ``hash_ee_texts``. The released code has texts only.
    """

    paper = "Sun et al. 2022"
    fidelity = (
        "trained over drawn depths, so that one training serves all; the paper with the one table"
    )
    checked = "one hash everywhere, in 32-bit arithmetic, even: tests/policies/test_criteria.py"
    units = ("word", "token")
    train = {"objective": {"name": "halt_and_copy", "policy": "hash", "loose": 2, "strict": 12}}
    policies = ({"name": "hash"},)
