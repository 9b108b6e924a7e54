"""PoWER-BERT: a search says how many rows each layer keeps, and the network learns with those."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method

SEARCH = {"name": "retention", "price": 3e-4, "longest": 128}


@METHODS.register("power_bert")
class PoWERBERT(Method):
    """Fewer rows a layer, those that receive most attention from others (Goyal et al. 2020).

    Three phases as published: fine-tuning; the search, in which states are multiplied by weights of
    their ranks that a price brings down; and training again with the numbers of rows that the
    weights sum up to. ``price`` (1e-4 to 7e-3 are published) sets how many rows are left, each
    with a training of its own; ``longest`` is the length of padded texts, here of the longest
    ones. In the search the network learns at ``lr`` and the weights at ``head_lr`` (2e-5 to 6e-5
    and 1e-4 to 3e-3), as the classifier does. The first row stays whatever its rank, except in the
    search. Padding, which has a part in the released ranking and in its numbers, is not there: a
    text with fewer rows keeps all.
    """

    paper = "Goyal et al. 2020"
    fidelity = (
        "no padding ranks or is ranked; in the search the classifier learns at the weights' rate"
    )
    checked = (
        "masses to numbers, multiplied states, price by hand: tests/objectives/test_retention.py; "
        "rankings: tests/reducers/test_reducers.py"
    )
    units = ("text",)
    train = {
        "objective": {"name": "single"},
        "phases": [
            {"objective": {"name": "single"}},
            {"objective": SEARCH, "keep_best": False},
            {"objective": {"name": "single"}},
        ],
    }
    recipe = {
        "exit_layers": [],
        "reducer": {"name": "significance", "ratio": 1.0, "own": False, "fate": "drop", "least": 1},
    }
    policies = ()
