"""Model Cascading: any number of models, each asked if the one before is not sure."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("model_cascading")
class ModelCascading(Method):
    """The largest probability decides between K complete models (Varshney and Baral 2022).

    The paper takes checkpoints of growing size; here they are the lowest two and four layers and
    the whole network, with one threshold for all, unless ``stages`` and a policy ``per_layer`` say
    otherwise. Its other confidence, the distance to the uniform distribution, is not here.
    """

    paper = "Varshney and Baral 2022"
    fidelity = (
        "models: two and four layers cut from the network, unless stages names "
        "others; one threshold"
    )
    checked = "each text by the first model that is sure: tests/models/test_cascade.py"
    units = ("text",)
    train = {"objective": {"name": "single"}}
    stages = ({"keep_layers": 2}, {"keep_layers": 4}, {})
    policies = ({"name": "max_prob"},)
