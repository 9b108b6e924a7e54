"""What computes the products of a model: kernels for whole layers, for products alone, or torch."""

from __future__ import annotations

from typing import Any

from tokenexit import kernels


def products_of(model: Any) -> str:
    """What runs, in words.

    Args:
        model: One with exits.
    """
    precision = model._inference.precision
    if precision not in kernels.KINDS or model.device.type != "cpu" or model.runtime == "static":
        return "torch"
    if getattr(model, "reducer", None) is not None:
        return "torch: kernels do not know reducers"
    if getattr(model, "selects", False):
        return "torch: kernels do not know widths that texts select"
    if not getattr(model, "own_embeddings", True):
        return "torch: kernels do not know embeddings that stand for layers"
    status = kernels.status()
    if kernels.library() is None or _known(model):
        return status
    kind = model.config.model_type
    if precision == "fp32":
        return f"torch: kernels do not know the layers of {kind!r}"
    return f"{status}, products alone: kernels do not know the layers of {kind!r}"


def runtime_used(model: Any) -> str:
    """Who plans what a model computes: ``static``, ``kernels`` for whole layers, or ``eager``.

    Args:
        model: One with exits.
    """
    if model.runtime == "static":
        return "static"
    served = model._inference.precision in kernels.KINDS and model.device.type == "cpu"
    return "kernels" if served and kernels.library() is not None and _known(model) else "eager"


def _known(model: Any) -> bool:
    """Whether kernels run its layers."""
    return model.compiled(model._inference.get(model.network)) is not None
