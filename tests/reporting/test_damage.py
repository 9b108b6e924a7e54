"""A damaged file of a run ends in a word about it, or makes no difference to the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenexit.errors import UserError
from tokenexit.reporting import write_report

FILES = (
    "metrics.json", "calibration.json", "pareto.csv", "train_log.jsonl", "config.yaml",
    "traces/test.parquet",
)  # fmt: skip


def refused_or_written(run: Path) -> bool:
    try:
        assert write_report(run).is_file()
    except UserError:
        return True
    return False


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[1, 2]", b"{}", b'{"a":' * 100_000])
def test_a_file_of_something_else(run, file, content):
    (run / file).write_bytes(content)
    refused = refused_or_written(run)
    if file == "traces/test.parquet" or content == b"\xff\xfe\x00":
        assert refused


@pytest.mark.parametrize(
    ("file", "place", "value"),
    [
        ("metrics.json", ("num_layers",), "six"),
        ("metrics.json", ("num_layers",), 100_000_000),
        ("metrics.json", ("labels",), 7),
        ("metrics.json", ("splits",), [1]),
        ("metrics.json", ("splits", "test"), 7),
        ("metrics.json", ("splits", "test", "quality"), [1]),
        ("metrics.json", ("splits", "test", "quality"), 10**400),
        ("metrics.json", ("splits", "test", "num_layers"), 10**300),
        ("metrics.json", ("splits", "test", "n_rows"), "many"),
        ("metrics.json", ("splits", "test", "exit_histogram"), ["x"]),
        ("metrics.json", ("splits", "test", "figures"), [1]),
        ("calibration.json", ("target",), 7),
        ("calibration.json", ("candidates",), [7]),
    ],
)
def test_a_value_of_another_type_is_refused(run, file, place, value):
    data = json.loads((run / file).read_text(encoding="utf-8"))
    inner: Any = data
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (run / file).write_text(json.dumps(data))
    with pytest.raises(UserError):
        write_report(run)


@pytest.mark.parametrize("column", ["text", "position", "exit_layer", "prediction", "gold"])
@pytest.mark.parametrize("kind", ["words", "nothing", "lists", "far"])
def test_a_column_of_something_else_is_refused(run, column, kind):
    path = run / "traces" / "test.parquet"
    table = pq.read_table(path)
    count = len(table)
    values = {
        "words": pa.array(["x"] * count),
        "nothing": pa.nulls(count),
        "lists": pa.array([[1]] * count),
        "far": pa.array([2**62] * count),
    }[kind]
    table = table.set_column(table.column_names.index(column), column, values)
    pq.write_table(table, path)
    if (column, kind) == ("gold", "nothing"):
        refused_or_written(run)  # nobody knows the gold class
    elif column in ("text", "position", "exit_layer"):
        with pytest.raises(UserError, match=rf"test\.parquet: the column {column}"):
            write_report(run)
    else:
        refused_or_written(run)
