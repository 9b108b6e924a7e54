"""UEE: exits of ElasticBERT, and a bandit that finds their threshold on the stream it serves."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("uee")
class UEE(Method):
    """The highest probability at ElasticBERT's exits, set without labels.

    Narayan N U, Hanawal and Bhardwaj 2022.

    Trained and calibrated as usual, so that there is a threshold to begin with. On text of
    another kind the threshold is found on-line, without labels, by
    ``tokenexit.calibration.bandit``:

        bandit = OnlineThreshold(MaxProb(), arms=(0.6, 0.7, 0.8, 0.9, 0.99), cost=0.2)
        trace, history = adapt(model, texts, bandit, batch_size=32)

    The paper's arms are exits, not thresholds; see there for what else is different.
    """

    paper = "Narayan N U et al. 2022"
    fidelity = (
        "calibrated first; then arms are thresholds paid by confidence, the paper's are exits"
    )
    checked = "regret and bounds of known arms: tests/calibration/test_bandit.py"
    units = ("text", "word")
    heads = {"name": "pooled"}
    train = {
        "objective": {"name": "joint", "weights": "uniform"},
        "gradient_equilibrium": True,
    }
    policies = ({"name": "max_prob"},)
