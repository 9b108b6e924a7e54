"""Faster Depth-Adaptive Transformers: depths are known before the network is asked."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("faster_dat")
class FasterDAT(Method):
    """A token's depth is by its mutual information with the labels (after Liu et al. 2021).

    The abstract alone could be read. Tokens of the training texts are ranked, those that say most
    about the label first, as HashEE's released code does, and each of six depths gets an equal
    share of the text; the state of a token that has stopped is read on, and special and unseen
    tokens run to the top, which is trained alone with the table that serves. Which end is the
    deeper, the scale and what becomes of unseen words are ours. Its other estimate, by the loss of
    masked words at each layer, is ``reducer={name: reconstruction, model: FOLDER}``.
    """

    paper = "Liu et al. 2021 (Faster DAT)"
    fidelity = "after the abstract: which end is deeper, six equal shares, unseen words to the top"
    checked = (
        "a ranking, shares and depths by hand: tests/reducers/test_by_table.py; least loss plus "
        "price: tests/models/test_reconstruction.py"
    )
    units = ("text", "word")
    train = {"objective": {"name": "single"}}
    recipe = {"exit_layers": [], "reducer": {"name": "by_table", "by": "information", "depths": 6}}
    policies = ()
