"""AdapLeR: rows go by their share of a predicted saliency."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method

SHARES = {"name": "scored", "rule": "share", "threshold": 1.0, "fate": "drop"}


@METHODS.register("adapler")
class AdapLeR(Method):
    """Predictors of saliency before all layers, and learned bars (Modarressi et al. 2022).

    As in the released code: gradients of a fine-tuned network say which rows matter; predictors
    learn to say so, and bars learn how much is enough, while rows are taken out softly. There the
    network starts anew from its pre-trained weights, here it goes on from those that were tuned.
    ``train.objective.phi`` is the price of a row, and each value is a training; a factor on all
    bars, the reducer's threshold, is ours. Published rates are 3e-5, and 5e-4 for the bars, which
    learn as heads do; 5 epochs.
    """

    paper = "Modarressi et al. 2022"
    fidelity = (
        "the released code; tuned weights go on where it starts anew, saliency where states enter"
    )
    checked = (
        "shares of .02 and .03 against a bar, what the length teaches, the steep slope against the "
        "hard rule: tests/objectives/test_adapler.py"
    )
    units = ("text",)
    heads = {"name": "linear", "scorers": {"name": "mlp", "inner": 32, "bar": 0.25}}
    train = {
        "objective": {"name": "adapler", "fate": "drop"},
        "phases": [
            {"objective": {"name": "single"}, "prepare": [{"name": "use_reducer"}]},
            {"prepare": [{"name": "gold_saliency"}, {"name": "use_reducer", "reducer": SHARES}]},
        ],
    }
    recipe = {"exit_layers": [], "reducer": SHARES}
    calibrate = {"reducer": {"by": "threshold"}}
    policies = ()
