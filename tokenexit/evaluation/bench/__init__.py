"""Wall-clock against what a user would take in our place, in one run and on the same texts.

Everything that is timed is a contender, one file each: the plain transformers model with padded
batches in order and of like lengths, ours at full depth and with a policy, and the engines of
``peers``, made from the same checkpoint. They take turns, so that whatever else the machine does
hits all of them, and the ratio to the plain model of each pass is reported with its spread.
Tokenising is outside the clock for all, building the batch inside for all. Their outputs are
compared with those of the plain model.
"""

from __future__ import annotations

from typing import Any

from tokenexit.evaluation.bench.peers import chosen_peers as check_peers
from tokenexit.evaluation.bench.plain_encoder import plain_forward
from tokenexit.evaluation.bench.result import BenchResult, Row
from tokenexit.evaluation.bench.run import bench
from tokenexit.renamed import renamed

__all__ = ["BenchResult", "Row", "bench", "check_peers", "plain_forward"]


def __getattr__(name: str) -> Any:
    return renamed(__name__, name, {"bench_texts": bench})
