"""Engines that a user could take in our place; one file each, which registers itself."""

from __future__ import annotations

from collections.abc import Sequence

from tokenexit.errors import UserError
from tokenexit.evaluation.bench.peers.base import Peer, entrants
from tokenexit.evaluation.bench.peers.registry import PEERS

__all__ = ["PEERS", "Peer", "chosen_peers", "entrants"]


def chosen_peers(names: str | Sequence[str]) -> list[Peer]:
    """Engines by name, each once.

    Args:
        names: Several, or one text with commas between them.

    Raises:
        UserError: There is no such engine, or a text names none.
    """
    told = names.split(",") if isinstance(names, str) else names
    wanted = [name for name in dict.fromkeys(one.strip() for one in told) if name]
    if isinstance(names, str) and not wanted:
        raise UserError(
            f"{names!r} names no engine to compare with. Give one or more, with commas between "
            f"them, of {', '.join(name for name, _ in PEERS.items())}; or leave it out."
        )
    return [PEERS.get(name)() for name in wanted]
