"""Text that is not UTF-8, and characters that are no characters."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenexit.data.files import read_file
from tokenexit.data.tagged import read_tagged
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError

pytest.importorskip("datasets")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.conll", "a.conllu"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_ones_are_named(tmp_path, name, encoding, put):
    path = put(tmp_path / name, '{"text": "abc",\n "label"'.encode(encoding))
    wanted = "UTF-32" if encoding == "utf-32" else "UTF-16"
    with pytest.raises(UserError, match=rf"{name} is not UTF-8 text: it looks like {wanted}"):
        read_file(path)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.conll", "a.conllu"])
@pytest.mark.parametrize(("byte", "guess"), [(b"\xfc", "Latin-1"), (b"\x93", "Windows-1252")])
def test_narrow_ones_are_guessed(tmp_path, name, byte, guess, put):
    path = put(tmp_path / name, b"one\ntwo\nth" + byte + b"ree\n")
    with pytest.raises(UserError, match=rf"{name}, line 3: not UTF-8.*{guess}.*iconv"):
        read_file(path)


@pytest.mark.parametrize("text", ["Zürich, Köln", "東京です", "😀é"])
def test_one_damaged_byte_is_no_other_encoding(tmp_path, text, put):
    content = f"text\tlabel\n{text}\tx\n".encode()
    path = put(tmp_path / "a.tsv", content + b"a\xff\tx\n")
    with pytest.raises(UserError, match=r"a\.tsv, line 3: .*0xff.*that byte is damaged") as error:
        read_texts(path)
    assert "iconv" not in str(error.value)


def test_a_corrupt_byte_in_parquet(tmp_path):
    column = pa.array([b"fine", b"bro\xffken"]).view(pa.string())
    pq.write_table(pa.table({"text": column, "label": ["a", "b"]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet, row 1, column 'text'.*UnicodeDecodeErr"):
        read_texts(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.conll"])
def test_surrogates_that_a_program_has_written(tmp_path, name, put):
    mark = "," if name == "a.csv" else "\t"
    half, whole = "x\ud83d", "\ud83d\ude00"
    text = f"text{mark}label\n{half}{mark}{whole}\n"
    if name == "a.json":
        text = f'[{{"text": "{half}", "label": "{whole}"}}]'
    table = read_file(put(tmp_path / name, text.encode("utf-8", "surrogatepass")))
    if name == "a.conll":
        assert table.column("tokens") == [["text", "x\ufffd"]]
        assert table.column("tags") == [["label", "\U0001f600"]]
    else:
        assert table.to_list() == [{"text": "x\ufffd", "label": "\U0001f600"}]


@pytest.mark.parametrize("text", ["\ud83d", "a\ude00b", "\ud83d\ud83d"])
def test_lone_surrogates(tmp_path, text, rows):
    path = rows(tmp_path / "a.jsonl", {"text": text, "label": text, "tokens": [text]})
    whole = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
    assert read_texts(path)["all"].tokens == [[whole]]
    assert read_texts(path)["all"].tags == [[whole]]
    assert read_tagged(path, None)["all"].tokens == [[whole]]
