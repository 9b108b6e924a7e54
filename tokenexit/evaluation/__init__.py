"""Evaluation: what was gained, and what it cost."""

from __future__ import annotations

from tokenexit.evaluation.bench import BenchResult, bench
from tokenexit.evaluation.evaluate import Result, evaluate, trace_split

__all__ = ["BenchResult", "Result", "bench", "evaluate", "trace_split"]
