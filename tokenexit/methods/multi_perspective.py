"""The unified multi-perspective method: exits and rows, each with a memory over layers."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, Method


@METHODS.register("multi_perspective")
class MultiPerspective(Method):
    """Exits recycle earlier classifiers, rows the attention of the first (Kong et al. 2022).

    No code is public, and only the abstract was read. Vertically, heads recycle what earlier
    classifiers have read, and learn from the top's soft targets, weighted by depth. Horizontally,
    rows rank by the attention that the class row has given them so far; those of little are fused
    by weight into one and computed no further. How memories are made (a mean of states, a sum of
    attention), who teaches whom with which weight, the share of rows, entropy, and that all of it
    is trained at once are ours. ``reducer.ratio`` says how many rows stay, ``policy`` who leaves.
    """

    paper = "Kong et al. 2022"
    fidelity = (
        "after the abstract: memories, weights, share of rows, entropy and one stage are ours"
    )
    checked = (
        "memory and merging by hand: tests/reducers/test_reducers.py, "
        "tests/halting/test_merging.py; the head: tests/heads/test_recycled.py"
    )
    units = ("text",)
    heads = {"name": "recycled"}
    train = {"objective": {"name": "self_distillation", "weights": "depth"}}
    recipe = {"reducer": {"name": "class_attention", "ratio": 0.8, "fate": "merge"}}
    policies = ({"name": "entropy"},)
