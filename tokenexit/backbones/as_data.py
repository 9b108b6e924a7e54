"""Reads modules of transformers into recipes, and gives None wherever it does not know them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from tokenexit.backbones.inference_modules import Nothing, RootMeanSquareNorm, is_linear
from tokenexit.backbones.recipe import EmbeddingRecipe, HeadRecipe, LayerRecipe, Linear, Norm
from tokenexit.backbones.reduced import Reduced
from tokenexit.backbones.twin import anybody_listens, unheard

_ALIASES = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_new",
    "gelu_pytorch_tanh": "gelu_new",
    "gelu_fast": "gelu_new",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}
"""Names of transformers' activations, and what they are called here."""


def layer(
    linears: Mapping[str, Any],
    *,
    attention_norm: Any,
    ff_norm: Any,
    activation: Any,
    heads: int,
    scale: float,
    pre_norm: bool = False,
    position_bias: Callable[[int], Tensor] | None = None,
) -> LayerRecipe | None:
    """A layer as data, from its modules.

    Args:
        linears: ``query``, ``key``, ``value``, ``output``, ``ff_in``, ``ff_out`` and, where there
            is one, ``gate``.
        attention_norm: Norm of the attention block.
        ff_norm: Norm of the feed-forward block.
        activation: What is called on the wide rows.
        heads: Attention heads.
        scale: Factor on the scores.
        pre_norm: Whether norms come first.
        position_bias: As in ``LayerRecipe``.
    """
    read = {name: linear(module) for name, module in linears.items()}
    first, second, then = norm_of(attention_norm), norm_of(ff_norm), activation_of(activation)
    if None in read.values() or first is None or second is None or then is None:
        return None
    parts: dict[str, Any] = dict(read)
    inner, width = parts["query"].weight.shape
    wide = parts["ff_in"].weight.shape[0]
    shapes = {
        "key": (inner, width),
        "value": (inner, width),
        "output": (width, inner),
        "ff_in": (wide, width),
        "gate": (wide, width),
        "ff_out": (width, wide),
    }
    if inner % heads or any(parts[n].weight.shape != shapes.get(n) for n in parts if n != "query"):
        return None
    return LayerRecipe(
        **parts,
        attention_norm=first,
        ff_norm=second,
        activation=then,
        heads=heads,
        scale=scale,
        pre_norm=pre_norm,
        position_bias=position_bias,
    )


def embedding(
    tokens: Any,
    *,
    places: Any = None,
    segments: Any = None,
    norm: Any = None,
    project: Any = None,
    scale: float = 1.0,
    first_place: int = 0,
    padding: int | None = None,
) -> EmbeddingRecipe | None:
    """Embeddings as data, from their modules; the arguments are those of ``EmbeddingRecipe``."""
    read = {
        "places": (places, table),
        "segments": (segments, table),
        "norm": (norm, norm_of),
        "project": (project, linear),
    }
    parts: dict[str, Any] = {}
    for name, (module, reader) in read.items():
        parts[name] = None if module is None else reader(module)
        if module is not None and parts[name] is None:
            return None
    rows = table(tokens)
    if rows is None:
        return None
    return EmbeddingRecipe(rows, scale, first_place=first_place, padding=padding, **parts)


def embedding_like_bert(
    parts: Any, *, project: Any = None, first_place: int = 0, padding: int | None = None
) -> EmbeddingRecipe | None:
    """Words, places and, where there are any, segments, as BERT and its kin add them, as data.

    Args:
        parts: The family's module of them, with a norm and dropout.
        project: As in ``EmbeddingRecipe``, likewise the others.
        first_place: Row of the first place.
        padding: Token whose places are not counted.
    """
    if not known(parts) or not dropout(parts.dropout):
        return None
    return embedding(
        parts.word_embeddings,
        places=parts.position_embeddings,
        segments=getattr(parts, "token_type_embeddings", None),
        norm=parts.LayerNorm,
        project=project,
        first_place=first_place,
        padding=padding,
    )


def head(
    project: Any, dense: Any = None, activation: Any = None, *, drops: Sequence[Any] = ()
) -> HeadRecipe | None:
    """A classifier as data.

    Args:
        project: Its last product.
        dense: One before it, if any.
        activation: What is called between the two.
        drops: Dropouts on the way.
    """
    last = linear(project)
    if last is None or not dropout(*drops):
        return None
    if dense is None:
        return HeadRecipe(last)
    first, then = linear(dense), activation_of(activation)
    if first is None or then is None or last.weight.shape[1] != first.weight.shape[0]:
        return None
    return HeadRecipe(last, first, then)


def linear(module: Any) -> Linear | None:
    """A linear layer as data; None if it is more than that, or not on a CPU.

    Of a twin in fewer bits the copy, so that nothing need be rounded twice.
    """
    if anybody_listens():
        return None
    if isinstance(module, Reduced):
        kind = {"int8": torch.int8, "bf16": torch.bfloat16}[module.precision]
        shape = torch.empty(module.out_features, module.in_features, dtype=kind, device="meta")
        return Linear(shape, module.shift, module)
    if not is_linear(module):
        return None
    weight, bias = module.weight, module.bias
    if not weight.is_contiguous() or not _plain(weight) or not (bias is None or _plain(bias)):
        return None
    return Linear(weight.detach(), None if bias is None else bias.detach())


def norm_of(module: Any) -> Norm | None:
    """A layer norm, or one of T5's kind, as data; None if it is anything else."""
    if type(module) is RootMeanSquareNorm:
        return Norm("rms", module.weight.detach(), None, module.epsilon)
    rms = type(module).__name__ in ("T5LayerNorm", "MT5LayerNorm") and known(module)
    layer = type(module) is nn.LayerNorm and untouched(module)
    if not (rms or layer) or module.weight is None or module.weight.ndim != 1:
        return None
    if not _plain(module.weight):
        return None
    weight = module.weight.detach()
    if rms:
        epsilon: Any = module.variance_epsilon
        return Norm("rms", weight, None, float(epsilon))
    bias = None if module.bias is None else module.bias.detach()
    return Norm("layer", weight, bias, float(module.eps))


def table(module: Any) -> Tensor | None:
    """The rows of an embedding, torch's or one of transformers'; None of any other.

    Those of transformers scale rows or shift places, which is the adapter's to say.
    """
    if type(module) is not nn.Embedding and not (
        isinstance(module, nn.Embedding) and known(module)
    ):
        return None
    if not untouched(module) or module.max_norm is not None:
        return None
    weight = module.weight
    return weight.detach() if _plain(weight) and weight.is_contiguous() else None


def activation_of(function: Any) -> str | None:
    """The name of an activation that transformers calls; None if it is none of ``ACTIVATIONS``."""
    if isinstance(function, nn.Module) and not untouched(function):
        return None
    if function in (nn.functional.gelu, torch.relu, torch.tanh):
        return str(function.__name__)
    if type(function) is nn.GELU and function.approximate == "none":
        return "gelu"
    for alias, name in _ALIASES.items():
        same = ACT2FN[alias]
        if type(function) is type(same) and _settings(function) == _settings(same):
            return name
    return None


def known(*modules: Any) -> bool:
    """Whether modules are transformers' own and nothing has been done to them."""
    return all(type(m).__module__.startswith("transformers.") and untouched(m) for m in modules)


def dropout(*modules: Any) -> bool:
    """Whether modules are nothing but dropout, which evaluation leaves out."""
    return all(type(m) in (nn.Dropout, Nothing, nn.Identity) and untouched(m) for m in modules)


def untouched(module: nn.Module) -> bool:
    """Whether a module does what its class does, and nobody listens to it."""
    return unheard(module) and "forward" not in module.__dict__ and not anybody_listens()


def _settings(module: Any) -> dict[str, Any]:
    return {k: v for k, v in vars(module).items() if not k.startswith("_") and k != "training"}


def _plain(weight: Tensor) -> bool:
    return weight.dtype == torch.float32 and weight.device.type == "cpu"
