"""What is said of times is what was measured, however damaged the record is."""

from __future__ import annotations

from typing import Any

import pytest

from tokenexit.promises.sentences import goal_text, promise_sentences
from tokenexit.wording.clock import clock_sentences
from tokenexit.wording.naming import milliseconds

NEVER, MARGIN = {"name": "never"}, {"name": "margin", "threshold": 0.4}
FIXED = {"name": "assigned_depth", "depth": 4, "by_item": []}


def held(chosen: str, pays: bool = True, **more: Any) -> dict[str, Any]:
    rows = [
        {"name": "full depth", "policy": NEVER, "ms": 0.9},
        {"name": "fixed layer", "policy": FIXED, "ms": 0.71},
        {"name": "policy", "policy": MARGIN, "ms": 0.45},
    ]
    for row in rows:
        row["chosen"] = row["name"] == chosen
    [policy] = [row["policy"] for row in rows if row["chosen"]]
    conditions = {"processor": "EPYC", "precision": "int8", "threads": 1}
    timing = {"batch_size": 8, "rows": rows, "pays": pays, "conditions": conditions}
    return {
        "target": {"min_quality": 0.99}, "split": "validation", "policy": policy, "reached": True,
        "quality_full_depth": 0.8, "precision": "int8", "full_depth_kept": 0.998,
        "measured": {"n_sentences": 1000, "texts_in_split": 1000, "relative_quality": 0.993},
        "timing": timing,
    } | more  # fmt: skip


def test_times_and_what_they_say():
    precision, times = clock_sentences(held("policy"))
    assert precision == (
        "It was measured in int8, against full depth in float32, of which full depth in int8 "
        "keeps 99.80%."
    )
    assert times.replace("\xa0", " ") == (
        "A text took, in turns (EPYC, int8, 1 thread, batches of 8): 0.900 ms at full depth, "
        "0.710 ms leaving at layer 4, 0.450 ms with the best policy (chosen). Exits pay: 2.00× as "
        "fast as full depth."
    )


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (held("fixed layer"), "A policy does not pay there; the fixed layer is 1.27×"),
        (held("full depth", pays=False), "Exits do not pay there"),
        (held("policy", pays=False), "It is not faster than full depth beyond the noise."),
        (held("full depth", pays=False), "nothing that does is faster, so the model stays"),
        (held("full depth", full_depth_kept=0.97, reached=False), "keeps 97.00%, less than asked"),
        (held("full depth", reached=False), "nothing did, so the model stays at full depth"),
        (held("policy", target={"latency": 0.5}), "it took 0.450 ms a text, as asked"),
        (held("policy", target={"latency": 0.4}), "it took 0.450 ms a text, more than asked"),
    ],
)
def test_every_outcome_is_said(record, said):
    assert said in " ".join(promise_sentences(record, {})).replace("\xa0", " ")


def test_goals():
    assert goal_text({"latency": 2.5}) == "keep the best quality that takes at most 2.5 ms a text"
    assert goal_text({"min_quality": 0.9, "latency": 2.5}) == (
        "keep at least 90% of the full-depth quality and take at most 2.5 ms a text"
    )


@pytest.mark.parametrize(
    "timing", [None, 7, {}, {"rows": 7}, {"rows": [7, {}, {"name": "policy"}]}, {"rows": []}]
)
def test_a_damaged_record_says_nothing_of_times(timing):
    record = {**held("policy"), "timing": timing, "precision": "fp32"}
    assert clock_sentences(record) == []
    assert clock_sentences({}) == []
    assert promise_sentences(record, {})


@pytest.mark.parametrize(
    ("value", "told"), [(0.01234, "0.012"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1234")]
)
def test_milliseconds(value, told):
    assert milliseconds(value) == f"{told}\xa0ms"
    assert milliseconds(None) == milliseconds(float("nan"))
