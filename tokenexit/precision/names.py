"""What inference may compute with, by name, and where each of them is served."""

from __future__ import annotations

import torch

from tokenexit.errors import UserError, unknown_name

PRECISIONS = ("fp32", "bf16", "fp16", "int8")
"""Numbers of the large products; states, norms and small heads are float32 on a CPU."""

RUNTIMES = ("auto", "eager", "static")
"""Who plans the work: ``eager`` plans on the host, with exact shapes; ``static`` on the device,
with shapes that come up again and can be captured. ``auto`` is ``static`` on a GPU, where it
serves what was asked for, and else ``eager``."""

_OF_DTYPE = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


def check_precision(given: str) -> str:
    """A precision, if it is one.

    Raises:
        UserError: It is none; names the nearest.
    """
    return _known("precision", given, PRECISIONS)


def check_runtime(given: str) -> str:
    """A runtime, if it is one.

    Raises:
        UserError: It is none; names the nearest.
    """
    return _known("runtime", given, RUNTIMES)


def _known(kind: str, given: str, names: tuple[str, ...]) -> str:
    if given not in names:
        raise unknown_name(kind, given, names)
    return given


def check_place(precision: str, device: torch.device) -> None:
    """Refuse a precision that is not served where the model is.

    Raises:
        UserError: Says what is served there.
    """
    if precision == "int8" and device.type != "cpu":
        raise UserError(
            f"int8 is served on a CPU, and the model is on {device}: choose bf16 or fp16 there, "
            'or move it back with model.to("cpu").'
        )
    if precision == "fp16" and device.type == "cpu":
        raise UserError(
            "fp16 is served on a GPU: on a CPU it is slower than float32. Choose int8 or bf16, or "
            'move the model with model.to("cuda").'
        )


def precision_of(dtype: torch.dtype) -> str:
    """The precision of weights that are used as they were loaded."""
    return _OF_DTYPE.get(dtype, "fp32")
