"""The encoder engine planned on the device: fixed shapes, and nothing waits for the host."""

from __future__ import annotations

from tokenexit.static.encode import EncodedBatch, StaticEncoder
from tokenexit.static.served import check_network, static_rule

__all__ = ["EncodedBatch", "StaticEncoder", "check_network", "static_rule"]
