"""The former place of a generator's bench; ``bench`` takes every kind of model."""

from __future__ import annotations

from typing import Any

from tokenexit.evaluation.bench import BenchResult, bench
from tokenexit.renamed import renamed


def __getattr__(name: str) -> Any:
    return renamed(__name__, name, {"bench_texts": bench, "TextBenchResult": BenchResult})
