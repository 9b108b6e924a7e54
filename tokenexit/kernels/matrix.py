"""A linear layer's weights as the kernels want them, and the product with rows."""

from __future__ import annotations

import copy
import ctypes
from typing import Self

import torch
from torch import Tensor

from tokenexit.errors import UserError, unknown_name
from tokenexit.kernels.library import Library
from tokenexit.kernels.reference import quantize_weight
from tokenexit.kernels.structs import INT, POINTER, fields

KINDS = {"int8": 0, "fp32": 1, "bf16": 2}
"""How weights are stored, with the number that stands for it in source/api.h."""

ACTIVATIONS = {"none": 0, "relu": 1, "gelu": 2, "gelu_new": 3, "silu": 4, "tanh": 5}
"""What follows a product, likewise."""

PANEL = 64
"""Output channels that lie together."""


class _Struct(ctypes.Structure):
    """As Matrix in source/api.h."""

    _fields_ = (*fields(INT, "kind K N"), *fields(POINTER, "w scale sum bias"))


class Matrix:
    """Packed weights. Kernels get ``pointer``, which is good as long as this object lives.

    Args:
        library: Whose products read it.
        weight: ``[N, K]``, of any floating type; a copy is packed.
        bias: ``[N]``, or None for zeros.
        kind: ``int8``, ``fp32`` or ``bf16``.
        name: What the weights are called where they are refused.
        step: Of weights that are bytes already, ``[N]``: what one of them is worth.

    Raises:
        UserError: Weights hold NaN or infinity, or the kind is unknown.
    """

    def __init__(
        self,
        library: Library,
        weight: Tensor,
        bias: Tensor | None = None,
        kind: str = "int8",
        name: str = "a linear layer",
        step: Tensor | None = None,
    ) -> None:
        if kind not in KINDS:
            raise unknown_name("kind of weights", kind, KINDS)
        weight = weight.detach().to("cpu").contiguous()
        if step is None:
            weight = weight.float()
            check_finite(weight, bias, name)
        self.kind, (self.out_features, self.in_features) = kind, weight.shape
        self._library = library
        if bias is None:
            self._bias = torch.zeros(self.out_features)
        else:
            self._bias = bias.detach().to("cpu", torch.float32).clone().contiguous()
        self._pack(weight, step)
        self._point()

    def _point(self) -> None:
        self._struct = _Struct(
            KINDS[self.kind],
            self.in_features,
            self.out_features,
            self._packed.data_ptr(),
            self._scale.data_ptr(),
            self._sum.data_ptr(),
            self._bias.data_ptr(),
        )
        self.pointer = ctypes.addressof(self._struct)

    def part(self, start: int, stop: int, bias: Tensor | None = None) -> Self | None:
        """Some output channels, in the same memory; None where they do not begin a panel.

        Args:
            start: The first of them.
            stop: One behind the last, which must end a panel or be the end.
            bias: In the place of theirs, ``[stop - start]``.
        """
        if start % PANEL or (stop % PANEL and stop != self.out_features):
            return None
        made = copy.copy(self)
        made.out_features = stop - start
        deep, panels = len(self._packed) // self._wide, -(-(stop - start) // PANEL)
        made._wide = panels * PANEL
        made._packed = self._packed[start * deep : (start + made._wide) * deep]
        made._scale, made._sum = self._scale[start:stop], self._sum[start:stop]
        made._bias = self._bias[start:stop] if bias is None else bias.detach().float().contiguous()
        made._point()
        return made

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        held = (self._packed, self._scale, self._sum, self._bias)
        return sum(tensor.nbytes for tensor in held)

    def __call__(
        self,
        rows: Tensor,
        activation: str = "none",
        plus: Tensor | None = None,
        times: Tensor | None = None,
    ) -> Tensor:
        """``activation(rows W^T + b) * times + plus``, ``[..., K] -> [..., N]``, in float32.

        Args:
            rows: ``[..., K]``, float32 on the CPU.
            activation: One of ``ACTIVATIONS``.
            plus: ``[..., N]``, if any.
            times: ``[..., N]``, if any.

        Raises:
            ValueError: A shape or a type is another, which a kernel would not notice.
        """
        width = self.out_features
        shape = rows.shape
        if len(shape) == 2:
            count = shape[0]
            made = torch.empty(count, width)
        else:
            made = torch.empty(*shape[:-1], width)
            count = made.numel() // width
        if shape[-1] != self.in_features:
            raise _misread(rows, (*shape[:-1], self.in_features))
        flat = _floats(rows, shape)
        plus = None if plus is None else _floats(plus, made.shape)
        times = None if times is None else _floats(times, made.shape)
        self._library.match_threads()
        self._library.linear(
            self.pointer,
            flat.data_ptr(),
            self.in_features,
            count,
            made.data_ptr(),
            width,
            ACTIVATIONS[activation],
            None if plus is None else plus.data_ptr(),
            width,
            None if times is None else times.data_ptr(),
            width,
        )
        return made

    def _pack(self, weight: Tensor, step: Tensor | None) -> None:
        count, depth = weight.shape
        together = 4 if self.kind == "int8" else 1
        dtype = {"int8": torch.int8, "fp32": torch.float32, "bf16": torch.bfloat16}[self.kind]
        wide, deep = -(-count // PANEL) * PANEL, -(-depth // together) * together
        self._wide, self._packed = wide, torch.empty(wide * deep, dtype=dtype)
        self._scale = self._sum = torch.empty(0)
        if self.kind == "int8":
            small, self._scale = (weight, step) if step is not None else quantize_weight(weight)
            self._sum = torch.empty(count, dtype=torch.int32)
            self._library.pack_int8(
                small.data_ptr(), count, depth, self._packed.data_ptr(), self._sum.data_ptr()
            )
        else:
            given = weight.to(dtype)
            pack = self._library.pack_fp32 if self.kind == "fp32" else self._library.pack_bf16
            pack(given.data_ptr(), count, depth, self._packed.data_ptr())

    def values(self, channels: Tensor | None = None) -> Tensor:
        """The weights as they are stored, of some output channels or all.

        Args:
            channels: Numbers of channels, ``[...]``.

        Returns:
            ``[N, K]`` or ``[..., K]``; int8, bfloat16 or float32.
        """
        together = 4 if self.kind == "int8" else 1
        depth = len(self._packed) // self._wide // together
        panels = self._packed.view(-1, depth, PANEL, together)
        wanted = torch.arange(self.out_features) if channels is None else channels
        found = panels[wanted // PANEL, :, wanted % PANEL]
        return found.flatten(-2)[..., : self.in_features]

    @property
    def scale(self) -> Tensor:
        """What a step of each output channel of int8 stands for, ``[N]``."""
        return self._scale

    @property
    def total(self) -> Tensor:
        """The sum of each output channel's values of int8, ``[N]``, int32."""
        return self._sum


def _floats(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Float32 of one shape, dense in memory: what a kernel takes every address to be."""
    if tensor.dtype is not torch.float32 or not tensor.is_cpu or tensor.shape != shape:
        raise _misread(tensor, shape)
    return tensor.contiguous()


def _misread(tensor: Tensor, shape: tuple[int, ...]) -> ValueError:
    return ValueError(
        f"Kernels take float32 {list(shape)} on the CPU; given were {tensor.dtype} "
        f"{list(tensor.shape)} on {tensor.device}."
    )


def check_finite(weight: Tensor, bias: Tensor | None, name: str) -> None:
    """Refuse weights of which nothing sensible can be made.

    Raises:
        UserError: Names the layer.
    """
    if not (weight.isfinite().all() and (bias is None or bias.isfinite().all())):
        raise UserError(
            f"The weights of {name} hold NaN or infinity, so no other precision can be made of "
            "them. Load a checkpoint that is whole, or stay with fp32."
        )
