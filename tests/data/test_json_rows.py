"""JSON that is none, doubled keys, and files packed with gzip."""

from __future__ import annotations

import gzip

import pytest

from tokenexit.data.files import read_file
from tokenexit.data.source import load_splits
from tokenexit.data.tagged import read_tagged
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError

pytest.importorskip("datasets")
GOOD = '{"tokens": ["Ada"], "ner_tags": ["B-PER"], "text": "a", "label": "x"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + '{"text": ' + "[" * 200_000, r"a\.jsonl, line 2: nested too deep"),
        (GOOD + '{"id": 1' + "0" * 5000 + "}", r"a\.jsonl, line 2: .*4300.*Mend"),
        (GOOD + "{'text': 'a'}", r"a\.jsonl, line 2: not valid JSON"),
        ('{\n"text": ["a"],\n"label": ["b"]}', r"one object with the keys text, label"),
        ("[1, 2]", "row 0 is int"),
        ('{"text": "a", "text": "b", "label": "x"}', "2 columns are named 'text'"),
        ('[{"text": "a"}\n{"text": "b"}]', "not valid JSON at line 2"),
        ("\n\n", "has no rows"),
        ("null", "row 0 is NoneType"),
    ],
)
def test_malformed(tmp_path, content, message, put):
    with pytest.raises(UserError, match=message):
        read_texts(put(tmp_path / "a.jsonl", content))


def test_doubled_keys_that_nobody_needs(tmp_path, put):
    content = '{"id": 1, "id": 2, "meta": {"a": 1, "a": 2}, "text": "\\ud83d", "label": "x"}'
    assert read_texts(put(tmp_path / "a.json", content))["all"].tokens == [["\ufffd"]]


def test_packed(tmp_path, put):
    packed = gzip.compress(GOOD.encode() * 9)
    assert len(load_splits(put(tmp_path / "train.jsonl.gz", packed).parent)["train"]) == 9
    for content in (packed[:-9], packed[:20], b"plain", b""):
        with pytest.raises(UserError, match=r"cannot be unpacked|has no rows"):
            read_file(put(tmp_path / "a.jsonl.gz", content))
    for name in ("a.jsonl.zip", "a.parquet.gz", "a.csv.bz2"):
        with pytest.raises(UserError, match="Unpack it first"):
            read_file(tmp_path / name)


def test_packed_shards(tmp_path, put):
    for number in range(2):
        put(tmp_path / f"train-0000{number}-of-00002.jsonl.gz", gzip.compress(GOOD.encode()))
    assert len(read_tagged(tmp_path)["train"]) == 2
