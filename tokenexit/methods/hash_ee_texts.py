"""HashEE on texts: each token is computed as deep as its id says."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("hash_ee_texts")
class HashEETexts(Method):
    """Tokens of a text stop at depths hashed from their ids, in training too (Sun et al. 2022).

    As the released code does, which classifies texts only: the states of tokens that have stopped
    are read on, the first token runs to the top, and the top alone is trained, with the one table
    that serves. Special tokens run to the top. This is its random hash into six depths, for a
    network of six layers, which of a deeper one are had by ``keep_layers=6``. It attends to
    padding, of which there is none here. Its tables of frequency and of information are
    ``reducer={name: by_table, share: vocabulary, by: ...}``.
    """

    paper = "Sun et al. 2022"
    fidelity = (
        "the released code with its random hash, another random; padding, read there, is not read"
    )
    checked = "engine and dense reference agree, two ids a depth: tests/reducers/test_reducers.py"
    units = ("text",)
    train = {"objective": {"name": "single"}}
    recipe = {
        "exit_layers": [],
        "reducer": {
            "name": "by_policy",
            "policy": {"name": "hash", "min_layer": 1, "max_layer": 6},
            "whole": "special",
        },
    }
    policies = ()
