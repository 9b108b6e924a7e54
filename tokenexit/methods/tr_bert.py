"""TR-BERT: policies of rows by reinforcement."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method

SCORED = {"name": "scored", "threshold": 0.5, "fate": "restore"}


@METHODS.register("tr_bert")
class TRBERT(Method):
    """Two small policies take rows out, before layer 2 and in the middle (Ye et al. 2021).

    As in the released code: the network is fine-tuned; frozen, while the policies learn by
    REINFORCE from eight copies of each text, of which one is guided by saliency in the first half
    (states of three quarters of the layers); then both learn, the network from the logits it had
    after the first phase. ``train.objective.alpha`` is the price of length (.01 to 5 in the paper,
    by task), and each value is a training; calibration of the threshold, .5 in the paper, is ours.
    Its stages take 3 epochs each at a rate of 3e-5. Lengths are shares of a text's own, not of the
    padded one. Rows are put back for exits and top, as its variant for questions does; where the
    top reads first rows alone, as of texts, this is to leave them out.
    """

    paper = "Ye et al. 2021"
    fidelity = "the released code; lengths are of each text's own, and the first row is not drawn"
    checked = (
        "slope of the policy's logit for copies that act alike or not, each text's copies one by "
        "one: tests/objectives/test_reinforce.py"
    )
    units = ("text", "word")
    heads = {"name": "linear", "scorers": {"name": "mlp", "inner": 32, "layers": [2, 0.5]}}
    train = {
        "objective": {"name": "reinforce", "copies": 8, "guide_rate": 0.5},
        "phases": [
            {"objective": {"name": "single"}, "prepare": [{"name": "use_reducer"}]},
            {
                "freeze": ["network", "top"],
                "prepare": [{"name": "saliency"}, {"name": "use_reducer", "reducer": SCORED}],
            },
            {"objective": {"name": "reinforce", "guide_rate": 0.0, "distil": True}, "teacher": 1},
        ],
    }
    recipe = {"exit_layers": [], "reducer": SCORED}
    calibrate = {"reducer": {"by": "threshold"}}
    policies = ()
