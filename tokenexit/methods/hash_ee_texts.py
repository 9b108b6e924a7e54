"""HashEE on texts: each token is computed as deep as its id says."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("hash_ee_texts")
class HashEETexts(Method):
    """Tokens of a text stop at depths hashed from their ids, in training too (Sun et al. 2022).

    As the released code does, which classifies texts only: the states of tokens that have stopped
    are read on, the first token runs to the top, and the top alone is trained, with the one table
    that serves. This is its random hash into six depths; its network has six layers, which of a
    deeper one are had by ``keep_layers=6``, and special tokens beside the first, here hashed as
    all are, run to its top. It attends to padding, of which there is none here. ``reducer`` takes
    its other tables.
    """

    paper = "Sun et al. 2022"
    fidelity = (
        "the released code; special tokens after the first are hashed too, padding is not read"
    )
    checked = "engine and dense reference agree, two ids a depth: tests/reducers/test_reducers.py"
    units = ("text",)
    heads = {"name": "linear"}
    train = {"objective": {"name": "single"}}
    recipe = {
        "exit_layers": [],
        "reducer": {
            "name": "by_policy",
            "policy": {"name": "hash", "min_layer": 1, "max_layer": 6},
        },
    }
    policies = ()
