"""The twin of a network in the precision that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tokenexit.backbones.bf16 import Bf16Linear
from tokenexit.backbones.inference_modules import is_linear
from tokenexit.backbones.int8 import Int8Linear
from tokenexit.backbones.reduced import Reduced
from tokenexit.backbones.twin import unheard
from tokenexit.errors import UserError
from tokenexit.precision import PRECISIONS, check_place

REDUCED: dict[str, type[Reduced]] = {kind.precision: kind for kind in (Int8Linear, Bf16Linear)}
"""What stands in the place of linear layers on a CPU."""

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""What the whole network is computed in on a GPU."""

_KEPT = "pooler"
"""A part of a network, by its name, that is a head of its own and stays float32."""


def check_servable(model: Any, precision: str, served: Sequence[str] = PRECISIONS) -> None:
    """Refuse a network that a precision cannot be made from.

    Args:
        model: The network.
        precision: Asked for.
        served: Precisions that its family can be served in.

    Raises:
        UserError: Says why not, and what to do.
    """
    if precision not in served:
        raise UserError(
            f"Models of type {model.config.model_type!r} are not served in {precision}: choose "
            f"{' or '.join(served)}."
        )
    check_place(precision, next(model.parameters()).device)
    for name, module in model.named_modules():
        if ".quantized." in type(module).__module__ + ".":
            raise UserError(
                f"{name} is quantised already ({type(module).__name__}), and {precision} is made "
                "from float32 weights: load the model without quantisation."
            )
    for name, weight in model.named_parameters():
        if not weight.is_floating_point() or type(weight.data) is not Tensor:
            raise UserError(
                f"{name} is a {type(weight.data).__name__} of {weight.dtype}, and {precision} is "
                "made from plain float32 weights: load the model without quantisation."
            )
        if weight.dtype != torch.float32:
            raise UserError(
                f"{name} is {str(weight.dtype).removeprefix('torch.')}, and {precision} is made "
                'from float32 weights: load the model with dtype="float32", or call '
                "model.float()."
            )


def check_numbers(model: nn.Module) -> None:
    """Refuse weights that are no numbers, of which nothing could be told afterwards.

    Raises:
        UserError: Names the first.
    """
    for name, weight in model.named_parameters():
        total = weight.detach().sum(dtype=torch.float32)  # quick, and tells nearly always
        if weight.is_meta or total.isfinite() or weight.isfinite().all():
            continue
        raise UserError(
            f"{name} is not a number or infinite in places, as after training that went astray: "
            "train anew with a smaller train.lr, or load the model again."
        )


def check_no_autocast(device: str, precision: str) -> None:
    """Refuse two wishes at once.

    Raises:
        UserError: Products are asked for in another type by torch's autocast.
    """
    if torch.is_autocast_enabled(device):
        raise UserError(
            f"The model is used in {precision} and torch.autocast asks for another precision: "
            "leave one of the two."
        )


def served_layers(network: Any) -> list[nn.Linear]:
    """Linear layers that are computed in fewer bits: those on the way of all tokens.

    Embeddings, and what classifies texts and words, stay as they are, and so do layers that
    somebody listens to.

    Args:
        network: The network in its adapter.
    """
    return [
        module
        for name, module in network.reducible.named_modules()
        if type(module) is nn.Linear and is_linear(module) and _KEPT not in name.split(".")
    ]


def cast(twin: nn.Module, original: nn.Module, precision: str) -> None:
    """Give a twin weights of its own in half precision, for a GPU.

    Args:
        twin: Of the original; its modules hold the original's weights.
        original: The network.
        precision: ``bf16`` or ``fp16``.

    Raises:
        UserError: A module with weights has to be called itself, because of a hook.
    """
    dtype = DTYPES[precision]
    theirs = set(original.modules())
    # T5 overflows float16 in one product of each layer, which transformers keeps in float32.
    kept = tuple(getattr(original, "_keep_in_fp32_modules", None) or ()) * (precision == "fp16")
    made: dict[Tensor, nn.Parameter] = {}
    for name, part in twin.named_modules():
        if not part._parameters:
            continue
        if part in theirs:
            what = "a hook" if not unheard(part) else "a forward of its own"
            raise UserError(f"{name} has {what}, and runs in float32 alone: take it away.")
        part.__dict__["_parameters"] = {
            key: weight
            if weight is None or set(kept) & set(name.split("."))
            else made.setdefault(
                weight, nn.Parameter(weight.detach().to(dtype), requires_grad=False)
            )
            for key, weight in part._parameters.items()
        }
