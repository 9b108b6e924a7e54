"""The heads of one exit of a compiled decoder, for policies that are asked in Python."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tokenexit.context import ContextGate
from tokenexit.decoding.compiled.model import CompiledDecoder
from tokenexit.decoding.exits import Exits, Heads, judge
from tokenexit.decoding.trail import Trail
from tokenexit.decoding.work import FIELDS
from tokenexit.gates import LinearGate
from tokenexit.signals import Signals

_SCORED, _READ, _GATED, _JUDGED = map(FIELDS.index, ("head", "head_read", "gate", "context"))


def compiled_heads(
    model: CompiledDecoder,
    exits: Exits,
    layer: int,
    counts: NDArray[np.int64],
    trail: Trail | None = None,
) -> Heads:
    """As ``Exits.heads``; whatever they score is counted.

    Args:
        model: The decoder.
        exits: Whose small heads, which stay in torch.
        layer: From 1.
        counts: As ``DecodeWork.counts``, ``[L, 11]``.
        trail: Where it is noted what a context gate says.
    """
    line = counts[layer - 1]
    return {
        "head": partial(_vocabulary, model, line),
        "shortlist_head": partial(_shortlist, model, line),
        "gate_head": None if exits.gate is None else partial(_wrong, model, exits.gate, line),
        "depth_head": None if exits.depth is None else partial(_needed, model, exits.depth, line),
        "context": (
            None if exits.context is None else partial(_judged, model, exits.context, line, trail)
        ),
    }


def _vocabulary(model: CompiledDecoder, line: Any, hidden: Tensor) -> Tensor:
    size = model.struct.vocabulary
    line[_SCORED] += len(hidden) * size
    line[_READ] += size
    return model.score(hidden)


def _shortlist(model: CompiledDecoder, line: Any, hidden: Tensor, ids: Tensor) -> Tensor:
    line[_SCORED] += ids.numel()
    line[_READ] += ids.numel()
    return model.score(hidden).gather(-1, ids)


def _wrong(model: CompiledDecoder, gate: LinearGate, line: Any, signals: Signals) -> Tensor:
    line[_GATED] += len(signals)
    return gate.score(model.finish(signals.hidden))


def _needed(model: CompiledDecoder, depth: Any, line: Any, hidden: Tensor) -> Tensor:
    line[_GATED] += len(hidden) * model.decoder.num_layers
    return depth(model.finish(hidden))


def _judged(
    model: CompiledDecoder,
    gate: ContextGate,
    line: Any,
    trail: Trail | None,
    signals: Signals,
    memory: Any,
) -> tuple[Tensor, Any]:
    line[_JUDGED] += len(signals) * gate.macs
    return judge(gate, signals, model.finish(signals.hidden), memory, trail)
