from __future__ import annotations

import json
from pathlib import Path

import pytest

from tokenexit.data.layout import find_splits, split_of
from tokenexit.data.source import load_splits
from tokenexit.errors import UserError

datasets = pytest.importorskip("datasets")
ROWS = [{"sentence": 'He said "hi", twice', "label": "yes"}, {"sentence": "b\tc", "label": "no"}]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def save(folder: Path, name: str, rows: list[dict] = ROWS) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    made = datasets.Dataset.from_list(rows)
    if path.suffix == ".parquet":
        made.to_parquet(path)
    elif path.suffix == ".csv":
        made.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    else:
        path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.json", "a.csv"])
def test_one_file_of_each_format(tmp_path: Path, name: str) -> None:
    splits = load_splits(save(tmp_path, name))
    assert list(splits) == ["all"]
    assert splits["all"].to_list() == ROWS


def test_tsv_has_no_quoting(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('sentence\tlabel\n"Hi" he said\t1\n', encoding="utf-8")
    assert load_splits(tmp_path / "a.tsv")["all"].to_list() == [
        {"sentence": '"Hi" he said', "label": "1"}
    ]


def test_nothing_is_cached(tmp_path: Path) -> None:
    before = set(Path(datasets.config.HF_DATASETS_CACHE).rglob("*"))
    save(tmp_path, "train.parquet")
    assert load_splits(tmp_path)["train"].to_list() == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["train.parquet"]
    assert set(Path(datasets.config.HF_DATASETS_CACHE).rglob("*")) == before


def test_class_names_survive_parquet(tmp_path: Path) -> None:
    names = ["O", "B-PER"]
    features = datasets.Features(
        {
            "tokens": datasets.List(datasets.Value("string")),
            "ner_tags": datasets.List(datasets.ClassLabel(names=names)),
        }
    )
    rows = [{"tokens": ["a", "b"], "ner_tags": [0, 1]}]
    datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / "train.parquet")
    loaded = load_splits(str(tmp_path))["train"]
    assert loaded.class_names("ner_tags") == ("O", "B-PER")
    assert loaded.class_names("tokens") is None


def test_rows_with_other_keys_are_united(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n\n{"b": {"de": "x"}}\n', encoding="utf-8")
    assert load_splits(tmp_path / "a.jsonl")["all"].to_list() == [
        {"a": 1, "b": None},
        {"a": None, "b": {"de": "x"}},
    ]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train.parquet", "validation.parquet", "test.parquet"], ["train", "validation", "test"]),
        (["test.json", "dev.json", "train.json"], ["train", "validation", "test"]),
        (["valid.csv", "train.csv", "README.txt"], ["train", "validation"]),
        (["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"], ["train"]),
        (["eng.train", "eng.testa", "eng.testb"], ["train", "validation", "test"]),
        (
            ["wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"],
            ["train", "validation", "test"],
        ),
        (["x-ud-train.conllu", "x-ud-train.txt", "x-ud-dev.conllu"], ["train", "validation"]),
        (["everything.jsonl", "notes.txt"], ["all"]),
        (["only.json"], ["all"]),
    ],
)
def test_folder_layouts(tmp_path: Path, names: list[str], expected: list[str]) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_splits(tmp_path)
    assert list(found) == expected
    assert not any(p.suffix == ".txt" for paths in found.values() for p in paths)


def test_shards_are_joined_in_order(tmp_path: Path) -> None:
    save(tmp_path, "data/train-00001-of-00002.parquet", ROWS[1:])
    save(tmp_path, "data/train-00000-of-00002.parquet", ROWS[:1])
    assert load_splits(tmp_path)["train"].to_list() == ROWS


def test_shards_that_do_not_match(tmp_path: Path) -> None:
    save(tmp_path, "train-0.parquet", [{"a": 1}])
    save(tmp_path, "train-1.parquet", [{"a": "x"}])
    table = load_splits(tmp_path)["train"]
    with pytest.raises(UserError, match=r"shards do not match.*'a' holds int in .* and str in"):
        table.column("a")
    save(tmp_path, "train-1.parquet", [{"b": 1}])
    with pytest.raises(UserError, match=r"shards do not match: .*train-0.* has the columns a, and"):
        load_splits(tmp_path)


def test_save_to_disk_folders(tmp_path: Path) -> None:
    made = datasets.Dataset.from_list(ROWS)
    made.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": made}).save_to_disk(tmp_path / "many")
    assert load_splits(tmp_path / "one")["all"].to_list() == ROWS
    assert load_splits(tmp_path / "many")["train"].to_list() == ROWS


def test_name_is_a_sub_folder(tmp_path: Path) -> None:
    save(tmp_path, "en/train.jsonl")
    assert load_splits(tmp_path, name="en")["train"].to_list() == ROWS
    with pytest.raises(UserError, match=r"no sub-folder 'de'; there is: en"):
        load_splits(tmp_path, name="de")


@pytest.mark.parametrize("name", ["en-train-test.csv", "dev.train.conll"])
def test_a_name_that_stands_for_two_splits(name: str) -> None:
    with pytest.raises(UserError, match="stands for both"):
        split_of(Path(name))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"holds no data file.*There is: nothing"),
        (["picture.png"], r"There is: picture\.png"),
        (["a.jsonl", "b.jsonl"], r"cannot tell the splits apart.*a\.jsonl, b\.jsonl"),
        (["train.jsonl", "train.parquet"], r"2 files claim the train split"),
        (["train-small.jsonl", "train.jsonl"], r"2 files claim the train split"),
    ],
)
def test_folders_that_cannot_be_read(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=message):
        load_splits(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.parquet", "no", r"a\.parquet cannot be read as parquet"),
        ("a.jsonl", '{"a": 1}\n{"a":', r"a\.jsonl, line 2: not valid JSON"),
        ("a.json", '[{"a": 1}', r"not valid JSON"),
        ("a.json", '["x"]', r"row 0 is str, expected an object"),
        ("a.csv", "a,b\n1,2,3\n", r"cannot be read as csv"),
        ("a.jsonl", "", "has no rows"),
        ("a.xlsx", "", r"unknown format '\.xlsx'.*\.parquet"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        load_splits(tmp_path / name)


@pytest.mark.parametrize(
    "source", ["./nowhere", "/no/where", "a/b/c", "nowhere.jsonl", "~/no-such-place", "a b", ""]
)
def test_paths_that_do_not_exist(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"path '.*' does not exist"):
        load_splits(source)


def test_a_missing_name_in_an_existing_folder_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpora").mkdir()
    with pytest.raises(UserError, match="'corpora/wnut' does not exist"):
        load_splits("corpora/wnut")


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("source", ["conll2003", "owner/some-data"])
def test_hub_id_without_a_network(source: str) -> None:
    with pytest.raises(UserError, match=r"neither a file nor a folder.*cannot be reached.*data="):
        load_splits(source)


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (lambda: datasets.exceptions.DatasetNotFoundError("x"), "the Hub has no such data set"),
        (lambda: RuntimeError("Dataset scripts are no longer supported"), "refs/convert/parquet"),
        (lambda: ValueError("Config name is missing. Pick one among a, b"), "among a, b"),
        (lambda: ConnectionError("no route"), "cannot be reached"),
    ],
)
def test_what_the_hub_may_answer(
    monkeypatch: pytest.MonkeyPatch, raised: object, message: str
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise raised()  # type: ignore[operator]

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(UserError, match=message):
        load_splits("owner/data")


def test_options_that_do_not_apply(tmp_path: Path) -> None:
    path = save(tmp_path, "a.jsonl")
    with pytest.raises(UserError, match="revision='main' is for Hub"):
        load_splits(path, revision="main")
    with pytest.raises(UserError, match="name='x' is for folders"):
        load_splits(path, name="x")
