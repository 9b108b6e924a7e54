"""Context gates as the struct that kernels ask."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tokenexit.backbones import as_data
from tokenexit.context import ContextGate
from tokenexit.halting.compiled.encoder import CompiledEncoder
from tokenexit.halting.compiled.structs import INT, POINTER, address

CODES = (
    "entropy", "log_entropy", "margin", "log_probabilities", "probabilities", "named",
    "place", "length", "depth", "projection",
    "earlier_entropy", "earlier_margin", "agreement", "earlier_log_probability",
)  # fmt: skip
"""Features that the kernels compute, in the order of ``Feature`` of kernels/source/context.h."""

WEIGHTS = ("weight", "bias", "out", "out_bias", "project")


class ContextStruct(ctypes.Structure):
    """``Context`` of kernels/source/context.h."""

    _fields_ = (
        ("inputs", INT),
        ("inner", INT),
        ("own", INT),
        ("shown", INT),
        ("told", INT),
        ("reach", INT),
        ("history", INT),
        ("projected", INT),
        ("of_logits", INT),
        ("features", POINTER),
        ("gates", POINTER),
        ("weight", POINTER),
        ("bias", POINTER),
        ("out", POINTER),
        ("out_bias", POINTER),
        ("project", POINTER),
    )


@dataclass(frozen=True, eq=False)
class CompiledContext:
    """A gate, and what its struct points to.

    Attributes:
        gate: The gate.
        struct: What kernels read.
    """

    gate: ContextGate
    struct: ContextStruct
    _weights: Sequence[Tensor | None]
    _kept: Sequence[Tensor | np.ndarray | None]

    @property
    def current(self) -> bool:
        """Whether the gate's weights are read where they lie now: what is done to them is seen."""
        now = weights_of(self.gate)
        return all(a is b is c for a, b, c in zip(now, self._weights, self._kept, strict=False))


def compiled_context(
    gate: ContextGate | None, encoder: CompiledEncoder, asked: Sequence[bool]
) -> CompiledContext | None:
    """A gate for kernels; None if it has to be asked in Python, which also says what is wrong.

    Args:
        gate: The gate of the network's heads, if one was fitted.
        encoder: The network.
        asked: At which layers it will be asked, ``[L]``.
    """
    if gate is None or type(gate) is not ContextGate or not as_data.untouched(gate):
        return None
    config = gate.config
    names = (*config.features, *(config.neighbours if config.around else ()))
    fits = (config.num_layers, config.num_classes) == (encoder.num_layers, encoder.classes)
    layers = [layer for layer, ask in enumerate(asked, 1) if ask]
    if not fits or config.unit == "token" or not {*names} <= {*CODES}:
        return None
    if not {*layers} <= {*config.exits}:
        return None
    weights = weights_of(gate)
    if weights[-1] is not None and weights[-1].shape[-1] != encoder.width:
        return None
    if any(weight is not None and weight.device.type != "cpu" for weight in weights):
        return None
    read = [None if weight is None else weight.float().contiguous() for weight in weights]
    features = np.array([CODES.index(name) for name in names], dtype=np.int32)
    gates = np.zeros(encoder.num_layers, dtype=np.int32)
    for layer in layers:
        gates[layer - 1] = gate.place(layer)
    struct = ContextStruct(
        inputs=gate.inputs,
        inner=config.inner,
        own=len(config.features),
        shown=len(gate.neighbours),
        told=sum(feature.width for feature in gate.neighbours),
        reach=config.reach if config.around else 0,
        history=config.history,
        projected=config.projection if "projection" in names else 0,
        of_logits=gate.of_logits,
        features=address(features),
        gates=address(gates),
        **{name: address(weight) for name, weight in zip(WEIGHTS, read, strict=True)},
    )
    return CompiledContext(gate, struct, weights, (*read, features, gates))


def weights_of(gate: ContextGate) -> list[Tensor | None]:
    """Its weights, in the order of the struct."""
    return [gate._buffers.get(name) for name in WEIGHTS]
