"""CascadeBERT: complete models, of which the small one learns to be sure of easy texts only."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("cascadebert")
class CascadeBERT(Method):
    """A small model before the whole one, whose confidence is trained (Li et al. 2021).

    Beside its cross-entropy, a margin keeps the small model's confidence on easy texts above that
    on a hard one drawn for each; the large model learns plainly. The paper takes complete models,
    each pre-trained at its own depth, and argues against cutting one: the lowest layers lack what
    a whole network knows. Name such a checkpoint in ``stages``, as the first ``model``. Where there
    is none, the small model is made: two layers of the network, trained as a network of their own
    by distillation from the large one, whose answers it copies. The released code reads from a file
    which texts are hard, by the errors of five seeds; here they are those that the small model gets
    wrong after its first phase.
    """

    paper = "Li et al. 2021"
    fidelity = (
        "small model distilled unless stages names a complete one; hard: its own errors, not five's"
    )
    checked = (
        "margin by hand, large model without: tests/objectives/test_difficulty.py; serving: "
        "tests/models/test_cascade.py"
    )
    units = ("text",)
    train = {"objective": {"name": "single"}}
    stages = (
        {
            "keep_layers": 2,
            "train": {
                "phases": [
                    {"objective": {"name": "distillation"}, "teacher": "next"},
                    {
                        "objective": {
                            "name": "difficulty_aware",
                            "margin": 0.5,
                            "hard": "before",
                            "pairs": "drawn",
                        },
                        "prepare": [{"name": "difficulty"}],
                    },
                ]
            },
        },
        {},
    )
    policies = ({"name": "max_prob"},)
