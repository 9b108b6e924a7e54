"""What a generator has beside its network: gates, a head that predicts depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenexit.context import ContextGate, GateConfig
from tokenexit.decoders import Decoder
from tokenexit.gates import LinearGate
from tokenexit.heads.stack import DepthHead


def side_heads(
    decoder: Decoder, heads: Mapping[str, Any]
) -> tuple[LinearGate | None, DepthHead | None]:
    """Fresh ones, of those that the settings name.

    Args:
        decoder: The network.
        heads: The model's settings of its heads.
    """
    width = decoder.hidden_size
    return (
        LinearGate(width) if heads.get("gate") else None,
        DepthHead(width, decoder.num_layers) if heads.get("depth") else None,
    )


def context_gate(decoder: Decoder, heads: Mapping[str, Any]) -> ContextGate | None:
    """The context gate that the settings describe, without its weights."""
    config = heads.get("context")
    return (
        None if config is None else ContextGate(GateConfig.from_json(config), decoder.hidden_size)
    )
