"""Halting: the engine that turns halted rows into saved time."""

from __future__ import annotations

from tokenexit.halting.engine import Fork, Skip, encode
from tokenexit.halting.packing import PackedBatch, pack
from tokenexit.halting.reference import encode_dense
from tokenexit.halting.rows import HALTED, Halted
from tokenexit.halting.sentence import Sentence
from tokenexit.halting.trace import LayerWork, Trace, Work, add_work, merge
from tokenexit.halting.visitor import Decisions, PolicyVisitor, Visitor

__all__ = [
    "HALTED",
    "Decisions",
    "Fork",
    "Halted",
    "LayerWork",
    "PackedBatch",
    "PolicyVisitor",
    "Sentence",
    "Skip",
    "Trace",
    "Visitor",
    "Work",
    "add_work",
    "encode",
    "encode_dense",
    "merge",
    "pack",
]
