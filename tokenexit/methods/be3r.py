"""BE3R: routers at a few exits send texts on or out, and batches are made anew."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("be3r")
class BE3R(Method):
    """Texts are routed out before the next block of layers (Mangrulkar et al. 2022).

    Only the abstract was read: routers are learned, texts leave in early layers, and it serves in
    batches. Ours are the routers (linear, of the state that the exit reads, one an exit), three
    exits at even distances, that routers are trained with the network as mixtures of exits, the
    price of depth, the term that balances exits (that of switch transformers), and how batches are
    made anew: who goes on waits until a whole batch does.
    """

    paper = "Mangrulkar et al. 2022"
    fidelity = (
        "after the abstract: routers, places of exits, losses and how batches are made are ours"
    )
    checked = (
        "loss by formula: tests/objectives/test_published_objectives.py; batches by hand: "
        "tests/models/test_texts_by_depth.py"
    )
    units = ("text",)
    heads = {"name": "linear", "pool": "mean", "gate": {"name": "router"}}
    train = {"objective": {"name": "routed"}}
    recipe = {"exit_layers": 3, "batching": "by_depth"}
    policies = ({"name": "learned_gate", "threshold": 0.5},)
