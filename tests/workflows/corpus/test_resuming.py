"""What was begun is gone on with at the first missing part, by the same run alone."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenexit.errors import UserError
from tokenexit.workflows.corpus import CorpusConfig, Job, predict_corpus
from tokenexit.workflows.corpus.plan import INDEX, MANIFEST

pytestmark = pytest.mark.slow

PARTS = [f"part-{block:08d}" for block in range(6)]


class Killed(BaseException):
    """As SIGKILL."""


def parts(config: CorpusConfig) -> dict[str, bytes]:
    folder = Path(config.output_dir) / "parts"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def written(monkeypatch) -> list[int]:
    """Blocks that were predicted, as they are."""
    blocks: list[int] = []
    write = Job.write

    def noting(self: Job, block: int) -> None:
        blocks.append(block)
        write(self, block)

    monkeypatch.setattr(Job, "write", noting)
    return blocks


def test_all_is_done_once(asked, written):
    done = predict_corpus(asked())
    assert (done.rows, done.blocks, done.missing, written) == (23, 6, 6, [0, 1, 2, 3, 4, 5])
    before = parts(asked())
    assert [name.split(".")[0] for name in before] == PARTS
    assert predict_corpus(asked()).missing == 0
    assert written == [0, 1, 2, 3, 4, 5]
    assert parts(asked()) == before
    inside = sorted(path.name for path in Path(asked().output_dir).iterdir())
    assert inside == [INDEX, MANIFEST, "parts"]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_stopped_in_the_middle_of_a_part(kind, asked, written, monkeypatch):
    predict_corpus(asked("whole", format=kind))
    records, taken = Job.records, []

    def killed(self: Job, rows: range) -> Any:
        for record in records(self, rows):
            taken.append(record)
            if len(taken) == 11:
                raise Killed
            yield record

    with monkeypatch.context() as patch:
        patch.setattr(Job, "records", killed)
        with pytest.raises(Killed):
            predict_corpus(asked(format=kind))
    assert list(parts(asked())) == [f"part-0000000{block}.{kind}" for block in (0, 1)]
    written.clear()
    assert predict_corpus(asked(format=kind)).missing == 4
    assert written == [2, 3, 4, 5]
    assert parts(asked()) == parts(asked("whole"))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("damage", ["cut", "emptied", "removed", "another's", "partial"])
def test_a_part_that_is_not_whole_is_written_anew(damage, kind, asked, written, caplog):
    predict_corpus(asked(format=kind))
    whole = parts(asked())
    folder = Path(asked().output_dir) / "parts"
    part = folder / f"part-00000003.{kind}"
    if damage == "cut":
        part.write_bytes(part.read_bytes()[:-7])
    elif damage == "emptied":
        part.write_bytes(b"")
    elif damage == "another's":
        shutil.copy(folder / f"part-00000005.{kind}", part)
    else:
        part.unlink()
    if damage == "partial":  # as a kill leaves it
        (folder / f".part-00000003.{kind}.abc.partial").write_bytes(b"{")
    written.clear()
    assert predict_corpus(asked(format=kind)).missing == 1
    assert written == [3]
    assert parts(asked()) == whole
    said = [record.getMessage() for record in caplog.records]
    assert [part.name in text for text in said] == (
        [] if damage in ("removed", "partial") else [True]
    )


def test_a_part_of_as_many_lines_as_it_should_have_whose_last_is_cut(asked, written):
    predict_corpus(asked())
    part = Path(asked().output_dir) / "parts" / "part-00000002.jsonl"
    whole = part.read_bytes()
    part.write_bytes(whole[: whole.rindex(b"{")] + b'{"row": 11\n')
    assert predict_corpus(asked()).missing == 1
    assert part.read_bytes() == whole


def test_the_files_are_looked_through_once(asked, monkeypatch):
    predict_corpus(asked())
    whole = parts(asked())
    (Path(asked().output_dir) / "parts" / "part-00000001.jsonl").unlink()

    def never(*args: Any) -> None:
        raise AssertionError(args)

    with monkeypatch.context() as patch:
        patch.setattr("tokenexit.workflows.corpus.preparing.scan", never)
        predict_corpus(asked())
    assert parts(asked()) == whole
    (Path(asked().output_dir) / INDEX).write_text("{")  # which costs no more than looking again
    (Path(asked().output_dir) / "parts" / "part-00000001.jsonl").unlink()
    predict_corpus(asked())
    assert parts(asked()) == whole


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"policy": "entropy:0.2"}, "policy was None and is .*entropy"),
        ({"block_size": 5}, "block_size was 4 and is 5"),
        ({"format": "parquet"}, "format was 'jsonl' and is 'parquet'"),
        ({"keep": ["id"]}, "columns was .* and is .*"),
        ({"precision": "int8", "decode": "legal"}, "decode was None and is 'legal'; precision was"),
        ({"column": "id"}, "columns was"),
    ],
)
def test_other_settings_do_not_go_on(changed, told, asked):
    predict_corpus(asked())
    before = parts(asked())
    with pytest.raises(UserError, match=told) as found:
        predict_corpus(asked(**changed))
    assert "cannot be gone on with" in str(found.value)
    assert parts(asked()) == before
    predict_corpus(asked())


def test_what_may_change(asked, written):
    predict_corpus(asked())
    predict_corpus(asked(batch_size=7, threads=1, device="cpu", runtime="eager"))
    assert len(written) == 6


def test_another_model_does_not_go_on(asked, models, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(models("tagger"), model)
    predict_corpus(asked(model=model))
    moved = tmp_path / "moved"
    shutil.copytree(model, moved)
    assert predict_corpus(asked(model=moved)).missing == 0  # the same, wherever it is
    with pytest.raises(UserError, match=r"the model was .*/model and is .*/pos"):
        predict_corpus(asked(model=models("pos")))
    settings = json.loads((model / "exit_config.json").read_text())
    settings["policy"] = {"name": "entropy", "threshold": 0.2}
    (model / "exit_config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match=r"the model .*/model was changed"):
        predict_corpus(asked(model=model))


def test_another_corpus_does_not_go_on(asked, corpus):
    predict_corpus(asked())
    first, more = corpus / "0.jsonl", corpus / "2.jsonl"
    shutil.copy(first, more)
    with pytest.raises(UserError, match=r"the corpus has .*2\.jsonl as well"):
        predict_corpus(asked())
    more.unlink()
    shutil.move(first, more)
    with pytest.raises(UserError, match=r"no .*0\.jsonl any more; the corpus has .*2\.jsonl"):
        predict_corpus(asked())
    shutil.move(more, first)
    predict_corpus(asked())
    rows = first.read_text()
    first.write_text(rows.replace("x3", "y3"))
    with pytest.raises(UserError, match=r"0\.jsonl was changed"):
        predict_corpus(asked())
    first.write_text(rows)
    os.utime(first, ns=(1, 1))
    with pytest.raises(UserError, match=r"0\.jsonl was changed"):  # nobody can tell
        predict_corpus(asked())


def test_a_mistake_that_left_no_part_does_not_bind(asked):
    with pytest.raises(UserError, match="--pending has no meaning for taggers"):
        predict_corpus(asked(pending="lazy"))
    assert predict_corpus(asked(policy="entropy:0.5")).missing == 6


def test_a_row_without_a_text_is_named_and_what_stands_before_it_is_kept(asked, corpus):
    file = corpus / "1.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:7], '{"text": null}\n', *lines[8:]]))
    with pytest.raises(UserError, match=r"1\.jsonl, row 7, column 'text': expected text"):
        predict_corpus(asked())
    assert len(parts(asked())) == 4


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_rows_without_a_text_are_noted_where_that_is_asked_for(kind, asked, corpus):
    """After the run ended at the first as well; what was written before stays."""
    predict_corpus(asked("whole", format=kind, keep=["id"]))
    lines = (corpus / "1.jsonl").read_text().splitlines(keepends=True)
    lines[0] = '{"text": 3, "id": "a"}\n'
    lines[5:8] = ['{"text": \n', '{"id": "b"}\n', "[]\n"]
    (corpus / "1.jsonl").write_text("".join(lines))
    with pytest.raises(UserError, match=r"1\.jsonl, row 0, column 'text'"):
        predict_corpus(asked(format=kind, keep=["id"]))
    first = parts(asked())
    assert len(first) == 2
    done = predict_corpus(asked(format=kind, keep=["id"], bad_rows="note"))
    assert done.missing == 4
    assert {name: parts(asked())[name] for name in first} == first
    found, whole = (read(Path(asked(name).output_dir), kind) for name in ("out", "whole"))
    wrong = {10: "not int '3'", 15: "not valid JSON", 16: "not NoneType", 17: "is list"}
    assert [one["row"] for one in found] == list(range(23))
    for row, one in enumerate(found):
        if row not in wrong:
            assert {**whole[row], "id": None} == {**one, "id": None}
            continue
        assert wrong.pop(row) in one["error"]
        assert "1.jsonl, row" in one["error"]
        assert one.get("words") is None
        assert one.get("id") == {10: "a", 16: "b"}.get(row)
    assert not wrong


def read(folder: Path, kind: str) -> list[dict[str, Any]]:
    files = sorted((folder / "parts").iterdir())
    if kind == "parquet":
        return [row for file in files for row in pq.read_table(file).to_pylist()]
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_parquet_of_columns_that_change_their_type(asked, corpus, write):
    data = write([{"text": "a", "id": "x"}] * 12, "parquet", "typed")
    pq.write_table(pa.table({"text": ["a"], "id": [1]}), data / "2.parquet")
    told = "Of the rows 12 to 12, what is kept does not fit"
    with pytest.raises(UserError, match=told):
        predict_corpus(asked(data=data, keep=["id"], format="parquet"))
