"""Heads: what does an exit predict, and from what?"""

from __future__ import annotations

from tokenexit.heads.base import HEADS, ExitHead, build_head
from tokenexit.heads.stack import ExitHeads, check_exit_layers, check_top

__all__ = ["HEADS", "ExitHead", "ExitHeads", "build_head", "check_exit_layers", "check_top"]
