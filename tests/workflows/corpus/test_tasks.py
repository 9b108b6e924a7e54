"""A model of any kind on a corpus of any format gives what it gives for a list of texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tokenexit.workflows.commands import open_model
from tokenexit.workflows.corpus import CorpusConfig, predict_corpus, records
from tokenexit.workflows.corpus.served import look_at

pytestmark = pytest.mark.slow

TEXTS = ["ada was born in london", "", "paris", "she and ada , in paris .", "born"] * 3
WORDS = [text.split() for text in TEXTS]
PAIRS = [{"sentence1": text, "sentence2": f"{text} she"} for text in TEXTS]
ROWS: dict[str, tuple[str, list[dict[str, Any]], list[Any]]] = {
    "words of lists": (
        "tagger",
        [{"tokens": t.split()} for t in TEXTS],
        [t.split() for t in TEXTS],
    ),
    "words of texts": ("tagger", [{"text": t} for t in TEXTS], TEXTS),
    "words without entities": ("pos", [{"text": t} for t in TEXTS], TEXTS),
    "texts": ("classifier", [{"sentence": t} for t in TEXTS], TEXTS),
    "pairs": ("classifier", PAIRS, [list(row.values()) for row in PAIRS]),
    "texts by several models": ("cascade", [{"sentence": t} for t in TEXTS], TEXTS),
    "numbers": ("regression", [{"text": t} for t in TEXTS], TEXTS),
    "generation": ("generator", [{"source": t} for t in TEXTS], TEXTS),
}


def wanted(folder: Path, items: list[Any]) -> list[dict[str, Any]]:
    """One block after the other, for that is how batches are made up."""
    opened = open_model(str(folder))
    blocks = [items[start : start + 4] for start in range(0, 15, 4)]
    found = [answer for block in blocks for answer in opened.predict(block, None, 3)]
    if folder.name == "pos":  # of these, an empty text alone says that it has no entities
        found = [{k: v for k, v in one.items() if k != "entities"} for one in found]
    return json.loads(json.dumps([{"row": row, **one} for row, one in enumerate(found)]))


def read(folder: Path, kind: str) -> list[dict[str, Any]]:
    found = []
    for part in sorted((folder / "parts").iterdir()):
        if kind == "parquet":
            found += pq.read_table(part).to_pylist()
        else:
            found += [json.loads(line) for line in part.read_text(encoding="utf-8").splitlines()]
    return found


def filled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With null where a record says nothing, as parquet has it."""
    names = {name for row in rows for name in row}
    return [{name: row.get(name) for name in sorted(names)} for row in rows]


@pytest.mark.parametrize("kind", ROWS)
def test_of_every_task(kind, models, write, tmp_path):
    name, rows, items = ROWS[kind]
    model = models(name)
    expected = wanted(model, items)
    assert len({json.dumps(row) for row in expected}) == 15
    for given, output in (("jsonl", "jsonl"), ("parquet", "parquet"), ("jsonl", "parquet")):
        data = write(rows, given, f"{given} to {output}")
        folder = tmp_path / f"{given} of {output}"
        settings = {"format": output, "block_size": 4, "batch_size": 3}
        config = CorpusConfig(str(model), str(data), str(folder), **settings)
        done = predict_corpus(config)
        assert (done.rows, done.blocks, done.missing) == (15, 4, 4)
        found = read(folder, output)
        if output == "jsonl":
            assert found == expected
        else:
            # A column of which nothing is said in any row is there as well.
            there = [{k: v for k, v in row.items() if k in expected[0]} for row in found]
            assert filled(there) == filled(expected)
            assert all(v is None for row in found for k, v in row.items() if k not in expected[0])
            schemas = [pq.read_schema(part) for part in sorted((folder / "parts").iterdir())]
            assert all(schema == schemas[0] for schema in schemas)
            served = look_at(str(model))
            answers = served.task.answer_fields(served.labels)
            assert set(schemas[0].names) == {"row", "error", *answers}


def test_lines_of_text(models, write, tmp_path):
    data = write([{"text": text} for text in TEXTS], "txt")
    config = CorpusConfig(
        str(models("tagger")), str(data), str(tmp_path / "out"), block_size=4, batch_size=3
    )
    predict_corpus(config)
    assert read(tmp_path / "out", "jsonl") == wanted(models("tagger"), TEXTS)


def test_without_a_folder_answers_come_in_order(models, write):
    data = write([{"text": text} for text in TEXTS])
    found = list(records(CorpusConfig(str(models("tagger")), str(data), batch_size=3)))
    assert [one["row"] for one in found] == list(range(15))
    assert [one["text"] for one in found] == TEXTS


def test_translations_and_what_a_run_read(models, write, tmp_path):
    rows = [{"translation": {"en": text, "de": "x"}} for text in TEXTS]
    config = CorpusConfig(
        str(models("generator")), str(write(rows, "parquet")), str(tmp_path / "out"), lang="en-de",
        block_size=4, batch_size=3,
    )  # fmt: skip
    predict_corpus(config)
    assert read(tmp_path / "out", "jsonl") == wanted(models("generator"), TEXTS)


def test_words_between_spaces(models, write, tmp_path):
    data = write([{"text": "it's x.y ,"}] * 12)
    told = {"pretokenized": True, "block_size": 99}
    predict_corpus(CorpusConfig(str(models("tagger")), str(data), str(tmp_path / "out"), **told))
    assert read(tmp_path / "out", "jsonl")[0]["words"] == ["it's", "x.y", ","]


@pytest.mark.parametrize("output", ["jsonl", "parquet"])
@pytest.mark.parametrize("given", ["jsonl", "parquet"])
def test_columns_that_are_kept(given, output, models, write, tmp_path):
    more = [{"id": n, "meta": {"a": [n, None]}, "maybe": None if n % 2 else "x"} for n in range(15)]
    data = write([{"text": t, **one} for t, one in zip(TEXTS, more, strict=True)], given)
    told = {"keep": ["id", "meta", "maybe"], "format": output, "block_size": 4}
    predict_corpus(CorpusConfig(str(models("tagger")), str(data), str(tmp_path / "out"), **told))
    found = read(tmp_path / "out", output)
    if (given, output) == ("jsonl", "parquet"):  # of no known type
        more = [{**one, "id": str(one["id"]), "meta": json.dumps(one["meta"])} for one in more]
    assert [{name: row[name] for name in more[0]} for row in found] == more


def test_parts_are_a_data_set(models, write, tmp_path):
    """Of any library that reads folders of files."""
    predict_corpus(
        CorpusConfig(
            str(models("tagger")), str(write([{"text": t} for t in TEXTS])), str(tmp_path / "out"),
            format="parquet", block_size=4,
        )
    )  # fmt: skip
    table = pq.read_table(tmp_path / "out" / "parts")
    assert table.column("row").to_pylist() == list(range(15))
    assert table.column("text").to_pylist() == TEXTS
