"""Transkimmer: each layer's predictor says which rows the layers above may skim."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("transkimmer")
class Transkimmer(Method):
    """Predictors before each layer skim rows, trained in one stage with the network (Guan 2022).

    A skimmed row is read by no later layer, and the top finds the state in which it stopped. The
    loss is cross-entropy and ``train.objective.price`` times the share of rows kept, the mean over
    layers: 0.5 for GLUE, 0.3 for SQuAD, 0.2 for long texts are published, with one learning rate
    for all; predictors have ``train.lr``'s default here, and at that of heads would skim
    everything before the network has learned what it needs. Rows are drawn in
    training, and what is drawn out is out of the softmax. The released code multiplies attention
    after the softmax, so that its training is not what taking rows out computes; it draws in
    evaluation too, counts padding as kept, and takes no row out for good. None of that is done
    here, and the price is of each text's own length.
    """

    paper = "Guan et al. 2022"
    fidelity = "rows leave inside the softmax, draws in training alone; released: after it, always"
    checked = (
        "loss, three-key example and straight-through = hard engine by hand: "
        "tests/objectives/test_skim.py, tests/reducers/test_weights.py"
    )
    units = ("text", "word")
    heads = {"name": "linear", "scorers": {"name": "skim"}}
    train = {"objective": {"name": "skim", "price": 0.5}, "scorer_lr": 2e-4}
    recipe = {"exit_layers": [], "reducer": {"name": "scored", "fate": "restore"}}
    policies = ()
