"""Parquet files: damaged, encrypted, empty, with doubled columns."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError

pytest.importorskip("datasets")


def test_damage(tmp_path, put):
    table = pa.table({"text": ["a"] * 50, "label": ["x"] * 50})
    pq.write_table(table, tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    for content in (b"", b"PAR1", whole[:-1], whole[:-20], whole[: len(whole) // 2], b"no"):
        put(tmp_path / "a.parquet", content)
        with pytest.raises(UserError, match=r"a\.parquet cannot be read as parquet.*encrypted"):
            read_texts(tmp_path / "a.parquet")


def test_encrypted(tmp_path, put):
    put(tmp_path / "a.parquet", b"PARE" + b"\1" * 60 + b"\x10\0\0\0PARE")
    with pytest.raises(UserError, match=r"a\.parquet cannot be read as parquet.*encrypted"):
        read_texts(tmp_path / "a.parquet")


def test_no_rows(tmp_path):
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet has no rows"):
        read_texts(tmp_path / "a.parquet")


def test_doubled_columns(tmp_path):
    table = pa.table([pa.array(["a"]), pa.array(["b"]), pa.array(["x"])], ["text"] * 2 + ["label"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet: 2 columns are named 'text'"):
        read_texts(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    "said", [b"{", b"[]", b'{"info": 3}', b'{"info": {"features": {"other": {}}}}']
)
def test_what_the_file_says_of_its_columns_may_be_missing(tmp_path, said):
    table = pa.table({"text": ["a"], "label": ["x"]})
    pq.write_table(table.replace_schema_metadata({b"huggingface": said}), tmp_path / "a.parquet")
    assert read_texts(tmp_path / "a.parquet")["all"].tags == [["x"]]


def test_what_the_file_says_of_a_needed_column_is_damaged(tmp_path):
    said = b'{"info": {"features": {"label": {"_type": "Nothing"}}}}'
    table = pa.table({"text": ["a"], "label": ["x"]})
    pq.write_table(table.replace_schema_metadata({b"huggingface": said}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet: what the file says of column 'label'"):
        read_texts(tmp_path / "a.parquet")
