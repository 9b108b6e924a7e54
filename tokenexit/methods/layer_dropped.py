"""Every other layer, fine-tuned: a smaller network without exits."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("layer_dropped")
class LayerDropped(Method):
    """The network of every other layer of the checkpoint, run to its top by everybody.

    What is left when a network is cut before fine-tuning. LayerDrop (Fan et al. 2020) prepares a
    network for that in pre-training, by leaving out layers at random; that is in the weights one
    starts from. Figures are relative to the smaller network.
    """

    paper = "static baseline"
    fidelity = "baseline"
    checked = "every other layer as a network of its own: tests/workflows/test_cascade.py"
    units = ("text", "word")  # of a generator the layers cannot be chosen
    train = {"objective": {"name": "single"}}
    recipe = {"keep_layers": "alternate", "exit_layers": []}
    policies = ()
