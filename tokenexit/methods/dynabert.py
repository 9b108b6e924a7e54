"""DynaBERT: one network that is used at any width, its most important heads and neurons first."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method

_DEPTHS = {"depths": [1.0, 0.75, 0.5]}


@METHODS.register("dynabert")
class DynaBERT(Method):
    """Heads and neurons by importance; all widths, then all depths, learn in each step.

    Four phases (Hou et al. 2020): the network is fine-tuned; rewired by the gradients of masks, it
    teaches itself at widths 1, 0.75, 0.5 and 0.25 (answers, and 0.1 of the states); that network
    teaches all widths at depths 1, 0.75 and 0.5 (answers and states), of which ``d`` runs layers
    ``floor(i / d)``; all of them learn from the labels. ``widths`` is then free at every use; a
    depth is taken by ``keep_layers``. As in the released code the teacher is always of full width;
    its texts are augmented, ours are those of the split, and importance is of training texts in
    place of the development set's. States that enter the lowest layer are not compared.
    """

    paper = "Hou et al. 2020"
    fidelity = (
        "the released code; texts are not augmented, importance is measured on training texts"
    )
    checked = (
        "same answers after rewiring, 3 of 12 heads, layers 0 1 2 4 5 6 8 9 10: "
        "tests/halting/test_reorder.py, tests/objectives/test_sub_networks.py"
    )
    units = ("text", "word")
    train = {
        "phases": [
            {"objective": {"name": "single"}},
            {
                "objective": {"name": "sub_networks"},
                "prepare": [{"name": "rewire"}],
                "teacher": "previous",
            },
            {
                "objective": {"name": "sub_networks", "states": 1.0, **_DEPTHS},
                "teacher": "previous",
            },
            {"objective": {"name": "sub_networks", "soft": 0, "hard": 1, "states": 0, **_DEPTHS}},
        ]
    }
    recipe = {"exit_layers": [], "widths": 1.0}
    policies = ()
