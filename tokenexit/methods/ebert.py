"""EBERT: each text has its own attention heads and neurons, which small predictors choose."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("ebert")
class EBERT(Method):
    """Predictors at every layer say which heads and neurons a text computes (Liu et al. 2021).

    The network is fine-tuned; then predictors and network learn together, by hard draws with the
    gradient of their probabilities, towards ``keep`` of the multiply-accumulates: one training for
    each budget. One predictor reads the first row that enters a layer, at the lowest layer the mean
    of all, and speaks of heads; another reads the first row after the attention, and speaks of
    neurons. Both have a hidden layer of 64 with batch norm. Inference keeps what is likelier than
    not, and one head and one block of neurons at least.

    The released code gates each neuron for itself, and multiplies with masks, which saves nothing.
    Here neurons lie in 24 blocks a layer (``heads.selectors.blocks=null`` for each alone), and what
    is not chosen is not computed. Padding is no part of the mean. A text's words are tagged with
    what the text has chosen, which is ours.
    """

    paper = "Liu et al. 2021 (EBERT)"
    fidelity = "the released code; neurons go in 24 blocks, not one by one, and are really left out"
    checked = (
        "penalty at and off its aim, chosen heads and blocks by hand: "
        "tests/objectives/test_selected.py, tests/halting/test_selecting.py"
    )
    units = ("text", "word")
    heads = {"name": "linear", "selectors": {"inner": 64, "blocks": 24}}
    train = {
        "phases": [
            {"objective": {"name": "single"}},
            {
                "objective": {"name": "selected", "keep": 0.5},
                "prepare": [{"name": "use_widths", "widths": {"selected": 0.5}}],
                "scorer_lr": 2e-2,
            },
        ]
    }
    recipe = {"exit_layers": []}
    policies = ()
