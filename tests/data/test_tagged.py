from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from tokenexit.data.tagged import (
    TaggedSplit,
    check_labels,
    label_names,
    read_tagged,
    with_validation,
)
from tokenexit.errors import UserError

datasets = pytest.importorskip("datasets")
SHARED = Path(__file__).parents[3] / "shared" / "data"
ROWS = [
    {"tokens": ["Ada", "Lovelace", "met", "Bob"], "ner_tags": ["B-PER", "I-PER", "O", "B-PER"]},
    {"tokens": [], "ner_tags": []},
    {"tokens": ["in", "Rome"], "ner_tags": ["O", "B-LOC"]},
]
TOKENS = [row["tokens"] for row in ROWS]
TAGS = [row["ner_tags"] for row in ROWS]


def jsonl(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return path


def split(tags: list[list[str]], origin: str = "d [train]") -> TaggedSplit:
    return TaggedSplit([["w"] * len(row) for row in tags], tags, origin)


def parquet(folder: Path) -> None:
    datasets.Dataset.from_list(ROWS).to_parquet(folder / "train.parquet")


def class_labels(folder: Path) -> None:
    names = ["O", "B-LOC", "B-PER", "I-PER"]
    text, label = datasets.Value("string"), datasets.ClassLabel(names=names)
    features = datasets.Features({"words": datasets.List(text), "labels": datasets.List(label)})
    rows = [{"words": row["tokens"], "labels": row["ner_tags"]} for row in ROWS]
    datasets.Dataset.from_list(rows, features=features).to_parquet(folder / "train.parquet")


def lines(folder: Path) -> None:
    jsonl(folder / "train.jsonl", ROWS)


def disk(folder: Path) -> None:
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(folder)


@pytest.mark.parametrize("save", [parquet, class_labels, lines, disk])
def test_every_format_reads_the_same(tmp_path: Path, save) -> None:
    save(tmp_path)
    train = read_tagged(tmp_path)["train"]
    assert train == TaggedSplit(TOKENS, TAGS, f"{tmp_path} [train]")
    assert len(train) == 3
    assert train.num_words == 6
    assert train.head(1).tokens == TOKENS[:1]
    assert train.head(99) == train


def test_conll_files(tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text("Ada\tB-PER\nran\tO\n", encoding="utf-8")
    row = "1\tgo\tgo\tVERB\t_\t_\t0\troot\t_\t_\n"
    (tmp_path / "x.conllu").write_text(row, encoding="utf-8")
    assert read_tagged(tmp_path / "train.conll")["all"].tags == [["B-PER", "O"]]
    assert read_tagged(tmp_path / "x.conllu", "pos_tags")["all"].tags == [["VERB"]]
    with pytest.raises(UserError, match=r"no column for the tags.*tokens, pos_tags.*column=pos_"):
        read_tagged(tmp_path / "x.conllu")


def test_words_without_tags(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"tokens": ["a"]}])
    only = read_tagged(path, column=None)["all"]
    assert only.tokens == [["a"]]
    assert only.tags is None
    assert only.head(1).tags is None
    with pytest.raises(UserError, match="has no tags"):
        label_names(only)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "a b", "ner_tags": ["O"]}], r"no column for the words.*it has: text, ner_tags"),
        ([{"tokens": ["a"], "pos_tags": ["X"]}], r"no column for the tags.*column=pos_tags"),
        ([*ROWS, {"tokens": ["a"], "ner_tags": ["O", "O"]}], r"row 3, .*1 words but 2 tags"),
        ([*ROWS, {"tokens": ["a", None], "ner_tags": ["O", "O"]}], r"row 3, .*None among the word"),
        ([*ROWS, {"tokens": ["a"], "ner_tags": [None]}], r"row 3, .*None among the tags"),
        ([*ROWS, {"tokens": None, "ner_tags": []}], r"row 3, .*list of words, not NoneType"),
        ([*ROWS, {"tokens": []}], r"row 3, .*list of tags, not NoneType"),
        ([{"tokens": "a b", "ner_tags": ["O"]}], r"row 0, .*list of words, not str 'a b'"),
        ([{"tokens": [], "ner_tags": []}, {"tokens": ["a"], "ner_tags": [3]}], "without names"),
        (
            [{"tokens": ["a"], "ner_tags": ["S-PER"]}],
            r"'S-PER'.*convert_tags=true in a rec",
        ),
        ([{"tokens": ["a"], "ner_tags": ["NOUN"]}], r"'NOUN'.*column=pos_tags"),
        (
            [{"tokens": ["a"], "ner_tags": ["I-PER"]}],
            r"IOB1.*convert_tags=true in a rec",
        ),
    ],
)
def test_bad_rows(tmp_path: Path, rows: list[dict], message: str) -> None:
    path = jsonl(tmp_path / "bad.jsonl", rows)
    with pytest.raises(UserError, match=rf"bad\.jsonl.*{message}"):
        read_tagged(path)


def test_the_message_names_the_split(tmp_path: Path) -> None:
    jsonl(tmp_path / "train.jsonl", ROWS)
    jsonl(tmp_path / "test.jsonl", [{"tokens": ["a"], "ner_tags": []}])
    with pytest.raises(UserError, match=r"\[test\], row 0"):
        read_tagged(tmp_path)


def test_class_ids_without_a_name(tmp_path: Path) -> None:
    label = datasets.List(datasets.ClassLabel(names=["O"]))
    features = datasets.Features({"tokens": datasets.List(datasets.Value("string")), "ner": label})
    data = {"tokens": [["a"]], "ner": [[-1]]}
    datasets.Dataset.from_dict(data, features=features).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"row 0, .*-1 among the tags"):
        read_tagged(tmp_path / "a.parquet")


def test_other_schemes_are_converted_on_request(tmp_path: Path) -> None:
    bioes = {"tokens": ["a", "b", "c"], "ner_tags": ["B-X", "E-X", "S-X"]}
    iob1 = {"tokens": ["a", "b", "c"], "ner_tags": ["I-X", "I-X", "B-X"]}
    for name, row in (("bioes", bioes), ("iob1", iob1)):
        path = jsonl(tmp_path / f"{name}.jsonl", [row])
        assert read_tagged(path, convert=True)["all"].tags == [["B-X", "I-X", "B-X"]]
    path = jsonl(tmp_path / "no.jsonl", [bioes, {"tokens": ["a"], "ner_tags": ["PER"]}])
    with pytest.raises(UserError, match=r"row 1: 'PER' is not an entity tag"):
        read_tagged(path, convert=True)


def test_parts_of_speech_are_not_converted(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"tokens": ["a", "b"], "upos": ["NOUN", "I-X"]}])
    for column in ("pos_tags", "upos"):
        assert read_tagged(path, column, convert=True)["all"].tags == [["NOUN", "I-X"]]


def test_label_names() -> None:
    ner = split([["I-b", "O"], ["B-a", "B-c"]])
    assert label_names(ner) == ("O", "B-a", "I-a", "B-b", "I-b", "B-c", "I-c")
    assert label_names(split([["O"]])) == ("O",)
    assert label_names(split([["VERB", "ADJ"], ["NOUN"]]), "pos_tags") == ("ADJ", "NOUN", "VERB")
    with pytest.raises(UserError, match="holds no word"):
        label_names(split([[], []]))


def test_check_labels(caplog: pytest.LogCaptureFixture) -> None:
    test = split([["O"], ["B-X", "B-Y"], ["B-X"]], "d [test]")
    assert check_labels(test, ["O", "B-X", "B-Y"]) is test
    message = r"d \[test\]: 2 label.*'B-X' \(2x\), 'B-Y' \(1x\); first in row 1.*knows: O"
    with pytest.raises(UserError, match=message):
        check_labels(test, ("O",))
    with caplog.at_level(logging.WARNING):
        assert check_labels(test, ("O",), on_unknown="keep") is test
    assert "count as wrong" in caplog.text
    with pytest.raises(UserError, match="error or keep, not 'drop'"):
        check_labels(test, ("O",), on_unknown="drop")


def test_with_validation_holds_out_once_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    tags = [[f"T{number}"] for number in range(50)]
    with caplog.at_level(logging.INFO):
        made = with_validation({"train": split(tags), "test": split([["O"]])}, 0.2, seed=3)
    assert "10 of 50 training sentences were held out" in caplog.text
    assert list(made) == ["train", "validation", "test"]
    assert len(made["validation"]) == 10
    assert sorted((made["train"].tags or []) + (made["validation"].tags or [])) == sorted(tags)
    again = with_validation({"train": split(tags)}, 0.2, seed=3)
    assert again["validation"].tags == made["validation"].tags
    other = with_validation({"train": split(tags)}, 0.2, seed=4)
    assert other["validation"].tags != made["validation"].tags


def test_with_validation_keeps_what_is_there() -> None:
    splits = {"train": split([["O"]]), "validation": split([["O"]])}
    assert with_validation(splits) == splits
    assert list(with_validation({"all": split([["O"], ["O"]])})) == ["train", "validation"]


@pytest.mark.parametrize(
    ("splits", "fraction", "message"),
    [
        ({"test": split([["O"]])}, 0.1, "needs a train split; there is only test"),
        ({}, 0.1, "there is only nothing"),
        ({"train": split([["O"]])}, 0.1, "too few"),
        ({"train": split([["O"]])}, 1.0, "between 0 and 1"),
    ],
)
def test_with_validation_errors(splits: dict, fraction: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        with_validation(splits, fraction)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared corpora are not beside this checkout")
@pytest.mark.parametrize(
    ("name", "column", "sentences", "labels"),
    [
        ("wnut17", "ner_tags", (3394, 1009, 1287), 13),
        ("btc", "ner_tags", (6338, 1001, 2001), 7),
        ("ud_en_ewt", "pos_tags", (12544, 2001, 2077), 17),
    ],
)
def test_shared_corpora(name: str, column: str, sentences: tuple[int, ...], labels: int) -> None:
    splits = read_tagged(SHARED / name, column)
    assert tuple(map(len, splits.values())) == sentences
    names = label_names(splits["train"], column)
    assert len(names) == labels
    for each in splits.values():
        check_labels(each, names)
