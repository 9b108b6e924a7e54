"""SkipBERT: the lower half is looked up by trigram, exits stand in the upper half."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("skipbert")
class SkipBERT(Method):
    """Lower layers that read trigrams alone, computed once for a table (Wang et al. 2022).

    Left out is the general distillation, a pre-training of ten epochs on a large corpus: here the
    network itself is trained to the task first and then teaches its own upper half, whose lower
    layers read trigrams from then on. First states alone, everything learning, in the place of that
    pre-training; then, with the lower layers and the gate frozen and without dropout, its answers
    (alpha 1) and a tenth of states. Attention scores are not imitated, and states by the mean over
    layers, not the sum. Exits weigh by depth; their heads start on the teacher's states, which is
    ours. ``ngram_table`` is the number of the training texts' commonest trigrams that are kept.
    """

    paper = "Wang et al. 2022"
    fidelity = (
        "no general distillation: the task's teacher and texts stand for it; attention not imitated"
    )
    checked = (
        "reach of a token, fall-backs, float16 table, costs of trigrams by hand: "
        "tests/halting/test_embeddings.py"
    )
    units = ("text", "word")
    recipe = {"embeddings": {"name": "ngram", "on": False}, "ngram_table": 200_000}
    train = {
        "phases": [
            {"objective": {"name": "single"}},
            {"objective": {"name": "joint"}, "freeze": ["network", "top"]},
            {
                "prepare": [{"name": "embeddings"}],
                "teacher": 1,
                "objective": {"name": "distillation", "answers": 0.0, "states": 1.0},
            },
            {
                "teacher": 1,
                "freeze": ["lower"],
                "objective": {"name": "distillation", "share": 1.0, "states": 0.1},
            },
        ]
    }
    policies = ({"name": "entropy"},)
