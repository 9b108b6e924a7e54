"""Columns that nobody asks for may hold anything."""

from __future__ import annotations

import decimal
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenexit.data.tagged import read_tagged
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError

pytest.importorskip("datasets")
GOOD = '{"tokens": ["Ada"], "ner_tags": ["B-PER"], "text": "a", "label": "x"}\n'


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (1, "2b"),
        ({"page": 1}, "none"),
        (2**128, None),
        ([1], [["a"]]),
        ({"a": {"b": [1]}}, {"a": 1}),
        (True, 1.5),
        ("\ud83d", []),
    ],
)
def test_may_hold_anything(tmp_path, first, second, put, rows):
    made = [json.loads(GOOD) | {"id": value} for value in (first, second)]
    assert read_tagged(rows(tmp_path / "a.jsonl", *made))["all"].tokens == [["Ada"], ["Ada"]]
    assert len(read_texts(put(tmp_path / "a.json", json.dumps(made)))["all"]) == 2


def test_in_parquet(tmp_path):
    table = pa.table(
        {
            "price": pa.array([decimal.Decimal("1.5")]),
            "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
            "broken": pa.array([b"\xff"]).view(pa.string()),
            "when": pa.array([10**18], pa.timestamp("ns")),
            "text": ["a"],
            "label": ["x"],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_texts(tmp_path / "a.parquet")["all"].tokens == [["a"]]
    with pytest.raises(UserError, match=r"row 0, column 'map': expected text"):
        read_texts(tmp_path / "a.parquet", column="map")
    with pytest.raises(UserError, match=r"row 0, column 'price': Decimal.* is no label"):
        read_texts(tmp_path / "a.parquet", label_column="price")
