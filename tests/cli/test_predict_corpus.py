"""``tokenexit predict`` over a corpus: what makes one, and where the answers go."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow

TEXTS = ["Ada sang", "", "Paris ."]


@pytest.fixture
def table(tmp_path) -> Path:
    path = tmp_path / "corpus" / "a.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"text": TEXTS, "id": [7, 8, 9]}), path)
    return path


def texts(shown: str) -> list[str]:
    return [json.loads(line)["text"] for line in shown.splitlines()]


def test_a_folder_or_parquet_is_a_corpus(cli, folder, table, tmp_path):
    shown = cli("predict", folder, table.parent)
    assert (shown.code, texts(shown.out)) == (0, TEXTS)
    assert cli("predict", folder, table).out == shown.out
    out = tmp_path / "found.jsonl"
    assert cli("predict", folder, table, "--output", out, "--keep", "id").code == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [(row["row"], row["id"]) for row in rows] == [(0, 7), (1, 8), (2, 9)]


def test_lines_stay_lines_until_columns_or_a_folder_are_asked_for(cli, folder, tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "Ada"}\n', encoding="utf-8")
    assert texts(cli("predict", folder, file).out) == ['{"text": "Ada"}']
    assert texts(cli("predict", folder, file, "--column", "text").out) == ["Ada"]
    done = cli("predict", folder, file, "--output-dir", tmp_path / "out")
    assert done.out == f"{tmp_path / 'out' / 'parts'}: 1 rows; 1 of 1 parts were missing\n"
    assert texts((tmp_path / "out" / "parts" / "part-00000000.jsonl").read_text()) == ["Ada"]


def test_parts_of_a_corpus(cli, folder, table, tmp_path):
    asked = ["predict", folder, table.parent, "--output-dir", tmp_path / "out", "--keep", "id"]
    asked += ["--format", "parquet", "--block-size", 2, "--progress"]
    done = cli(*asked)
    assert "3 rows; 2 of 2 parts were missing" in done.out
    assert "3/3" in done.err
    found = pq.read_table(tmp_path / "out" / "parts").to_pylist()
    assert [(row["row"], row["id"], row["text"]) for row in found] == [
        (n, 7 + n, text) for n, text in enumerate(TEXTS)
    ]
    assert "3 rows; 0 of 2 parts were missing" in cli(*asked).out
    other = cli(*asked, "--policy", "entropy:0.3")
    assert other.code == 2
    assert "policy was None and is" in other.err
    assert other.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-", "--output-dir", "OUT"], "--output-dir is for a corpus, and standard input"),
        (["-", "--keep", "id"], "--keep is for a corpus"),
        (["CORPUS", "--output-dir", "OUT", "--output", "EMPTY/x"], "one file and --output-dir"),
        (["CORPUS", "--column", "body"], "has no column 'body'; it has: text, id"),
        (["CORPUS", "--keep", "text"], "'text' cannot be kept: the answers have one"),
        (
            ["CORPUS", "--lang", "en-de"],
            "lang is for a model that generates text, and the model is a tagger",
        ),
        (["CORPUS", "--column", "text", "--lang", "en-de"], "give one of the two"),
        (["CORPUS", "--output-dir", "OUT", "--block-size", "0"], "--block-size"),
        (["CORPUS", "--output-dir", "OUT", "--format", "csv"], "--format"),
        (["CORPUS", "--output-dir", "CORPUS"], "is not empty and holds no predictions"),
        (["CORPUS", "--output-dir", "CORPUS/a.parquet"], "is a file; give a folder"),
        (["CORPUS", "--split", "test"], "has no split 'test'; it has: none"),
        (["nobody/nothing"], "neither a file nor a folder here"),
        (["EMPTY"], "holds no corpus"),
        (["EMPTY/a.txt", "--output-dir", "OUT"], "does not exist"),
    ],
)
def test_mistakes(options, told, cli, folder, table, tmp_path):
    (tmp_path / "empty").mkdir()
    names = {"CORPUS": table.parent, "OUT": tmp_path / "out", "EMPTY": tmp_path / "empty"}
    for name, path in names.items():
        options = [option.replace(name, str(path)) for option in options]
    done = cli("predict", folder, *options)
    assert done.code == 2
    assert told in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_several_processes_need_a_folder(cli, folder, table, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for source in (table, "-"):
        done = cli("predict", folder, source, stdin=b"Ada\n")
        assert (done.code, done.out) == (2, "")
        assert "give --output-dir, or start one process" in done.err


def test_an_empty_corpus(cli, folder, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"")
    done = cli("predict", folder, tmp_path / "a.txt", "--output-dir", tmp_path / "out")
    assert done.code == 2
    assert "has no rows" in done.err
    assert not (tmp_path / "out").exists()
