"""CascadeBERT: complete models that learn to be sure of easy texts only."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("cascadebert")
class CascadeBERT(Method):
    """A small model before the whole one, whose confidence is trained (Li et al. 2021).

    Beside the cross-entropy, a margin keeps the confidence on easy texts above that on hard ones.
    The paper takes complete models, each pre-trained at its own depth, and argues against cutting
    one: lowest layers lack what a whole network knows. Here the first is nevertheless the lowest
    two layers of the network, unless ``stages`` names a complete ``model``. The released code
    trains the confidence of the small model only, draws one hard text for each easy one, and reads
    from a file which texts are hard, by the errors of five seeds; here each model ranks all pairs
    of a batch, and hard is what it gets wrong itself.
    """

    paper = "Li et al. 2021"
    fidelity = (
        "first model: two layers cut from the network, unless stages names one; "
        "hard is what each gets wrong"
    )
    checked = (
        "margin loss by formula: tests/objectives/test_published_objectives.py; serving: "
        "tests/models/test_cascade.py"
    )
    units = ("text",)
    train = {"objective": {"name": "difficulty_aware"}}
    stages = ({"keep_layers": 2}, {})
    policies = ({"name": "max_prob"},)
