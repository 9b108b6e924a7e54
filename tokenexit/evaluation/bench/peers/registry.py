"""The engines by name."""

from __future__ import annotations

from tokenexit.evaluation.bench.peers.base import Peer
from tokenexit.registry import Registry

PEERS: Registry[Peer] = Registry("engine to compare with", "tokenexit.evaluation.bench.peers")
