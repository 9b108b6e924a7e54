"""Engines that a user could take in our place; one file each, which registers itself."""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.evaluation.bench.peers.base import Peer, entrants
from tokenexit.evaluation.bench.peers.registry import PEERS

__all__ = ["PEERS", "Peer", "chosen_peers", "entrants"]


def chosen_peers(names: str | Sequence[str]) -> list[Peer]:
    """Engines by name, each once.

    Args:
        names: Several, or one text with commas between them.

    Raises:
        UserError: There is no such engine.
    """
    told = names.split(",") if isinstance(names, str) else names
    return [PEERS.get(name)() for name in dict.fromkeys(n.strip() for n in told) if name]
