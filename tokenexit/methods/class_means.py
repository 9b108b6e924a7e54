"""E2CM: exits without training, by the distance to class means."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("class_means")
class ClassMeans(Method):
    """The nearest class mean, once it is near enough (Görmez et al. 2022).

    Only the top is trained; the means are taken from the training split afterwards. The paper also
    allows a threshold an exit: the policy ``per_layer`` does. How the paper scales distances
    could not be verified; here it is as the head ``prototype`` says.
    """

    paper = "Görmez et al. 2022"
    fidelity = "the scale of distances is ours, the paper's unverified; one threshold for all exits"
    checked = "class means and their scale: tests/heads/test_fitted.py"
    units = ("text", "word")
    heads = {"name": "prototype"}
    train = {"objective": {"name": "single"}}
    policies = ({"name": "max_prob"},)
