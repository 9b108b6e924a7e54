"""A context gate as kernels read it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tokenexit.context import ContextGate
from tokenexit.decoding.compiled import structs

FEATURES = ("state", "change", "likeness", "place", "depth", "last_depths", "last_doubts")
"""Those that kernels know, in the order of decode_types.h."""


class CompiledGate:
    """The numbers of a gate, and where kernels find them.

    Args:
        gate: Whose features are all known.
    """

    def __init__(self, gate: ContextGate) -> None:
        config = gate.config
        self._features = np.array([FEATURES.index(n) for n in config.features], dtype=np.int32)
        exits = range(1, config.num_layers + 1)
        found = [gate.place(layer) if layer in config.exits else 0 for layer in exits]
        self._place = np.array(found, dtype=np.int32)
        self._weight, self._bias = _numbers(gate.weight), _numbers(gate.bias)
        self._out = _numbers(gate.out) if config.inner else None
        self._out_bias = _numbers(gate.out_bias) if config.inner else None
        self.struct = structs.Gate(
            inputs=gate.inputs,
            inner=config.inner,
            num_features=len(self._features),
            remembers=any(name in ("change", "likeness") for name in config.features),
            features=structs.address(self._features),
            place=structs.address(self._place),
            weight=structs.address(self._weight),
            bias=structs.address(self._bias),
            out=structs.address(self._out),
            out_bias=structs.address(self._out_bias),
            macs=gate.macs,
        )


def compile_gate(gate: ContextGate) -> CompiledGate | None:
    """A gate for kernels; None if it looks at something that they do not know."""
    if gate.config.around or any(name not in FEATURES for name in gate.config.features):
        return None
    return CompiledGate(gate)


def _numbers(values: Tensor) -> Tensor:
    return values.detach().float().contiguous()
