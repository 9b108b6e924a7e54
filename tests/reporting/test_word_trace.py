from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from tokenexit.reporting.word_trace import word_trace_of
from tokenexit.tasks.scoring.gold import FIRST_UNSEEN


def test_labels_that_the_model_does_not_know_are_one_class() -> None:
    gold = [0, -1, FIRST_UNSEEN, FIRST_UNSEEN - 7, -100]
    zeros = [0] * len(gold)
    names = ("text", "position", "exit_layer", "prediction", "confidence")
    table = pa.table({**dict.fromkeys(names, zeros), "position": range(5), "gold": gold})
    words = word_trace_of(table, Path("trace.parquet"))
    assert words.gold.tolist() == [0, -1, -1, -1, -100]
    assert words.known.tolist() == [True, True, True, True, False]
    assert words.wrong.tolist() == [False, True, True, True, False]
