"""Which files are a corpus, and in which order."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenexit.data.corpus import find_files, is_corpus
from tokenexit.errors import UserError


@pytest.fixture
def make(tmp_path):
    def files(*names: str) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".parquet":
                pq.write_table(pa.table({"text": ["a"]}), path)
            else:
                path.write_text('{"text": "a"}\n', encoding="utf-8")
        return tmp_path

    return files


def names(folder: Path, *args: str | None) -> list[str]:
    return [str(Path(path).relative_to(folder)) for path in find_files(str(folder), *args).paths]


def test_a_folder_with_all_that_is_in_it_part_by_part(make):
    folder = make("b.parquet", "a/2.parquet", "a/1.parquet", "a-b.parquet", ".hidden/x.parquet")
    assert names(folder) == ["a/1.parquet", "a/2.parquet", "a-b.parquet", "b.parquet"]
    assert names(folder, None, "a") != []
    assert find_files(str(folder), name="a").format == "parquet"


def test_what_describes_the_data_is_no_data(make):
    folder = make("x.jsonl", "y.ndjson.gz", "README.txt", "info.json", "LICENSE")
    assert (find_files(str(folder)).format, names(folder)) == ("json", ["x.jsonl", "y.ndjson.gz"])


def test_text_alone_is_data(make):
    folder = make("1.txt", "2.txt.gz")
    assert (find_files(str(folder)).format, names(folder)) == ("text", ["1.txt", "2.txt.gz"])


def test_a_file_of_any_name_is_text(make):
    folder = make("corpus.en", "plain")
    assert find_files(str(folder / "corpus.en")).format == "text"
    assert find_files(str(folder / "plain")).format == "text"


def test_links(make, tmp_path_factory):
    """As the Hub's cache has them: the link alone says what is in a file."""
    folder, other = make("a.jsonl"), tmp_path_factory.mktemp("other")
    (other / "blob").write_bytes(b"{}\n")
    (folder / "b.jsonl.gz").symlink_to(other / "blob")
    (other / "c.jsonl").write_bytes(b"{}\n")
    (folder / "more").symlink_to(other)
    (folder / "again").symlink_to(folder)
    wanted = [folder / "a.jsonl", folder / "b.jsonl.gz", other / "c.jsonl"]
    assert find_files(str(folder)).paths == tuple(map(str, wanted))
    assert find_files(str(folder / "again")).paths == find_files(str(folder)).paths
    assert find_files(str(folder / "b.jsonl.gz")).paths == (str(folder / "b.jsonl.gz"),)


def test_one_split(make):
    folder = make("train-0.jsonl", "train-1.jsonl", "test.jsonl", "dev/0.jsonl")
    assert names(folder, "train") == ["train-0.jsonl", "train-1.jsonl"]
    assert names(folder, "validation") == ["dev/0.jsonl"]
    with pytest.raises(UserError, match="has no split 'dev'; it has: test, train, validation"):
        find_files(str(folder), "dev")


@pytest.mark.parametrize(
    ("files", "source", "told"),
    [
        (["a.parquet", "b.jsonl"], ".", r"of one format.*\.jsonl, \.parquet"),
        (["a.csv"], ".", r"holds no corpus.*There is: a\.csv"),
        (["a.csv"], "a.csv", "not from csv.*to_parquet"),
        (["a.parquet"], "b.parquet", "does not exist"),
        (["a/state.json"], "a", "save_to_disk"),
    ],
)
def test_what_is_no_corpus(files, source, told, make):
    folder = make(*files)
    with pytest.raises(UserError, match=told):
        find_files(str(folder / source))


def test_options_of_folders_and_of_the_hub(make):
    file = str(make("a.jsonl") / "a.jsonl")
    with pytest.raises(UserError, match="--split is for folders"):
        find_files(file, split="train")
    with pytest.raises(UserError, match="--revision is for Hub"):
        find_files(file, revision="main")
    with pytest.raises(UserError, match="There is no folder"):
        find_files(str(Path(file).parent), name="b")


def test_files_of_the_hub_come_with_their_commit(monkeypatch):
    root = "hf://datasets/some/thing@abc/"
    splits = {"train": [f"{root}0.parquet", f"{root}1.parquet"], "test": [f"{root}t.parquet"]}
    builder = SimpleNamespace(config=SimpleNamespace(data_files=splits))
    asked = []

    def load(source, name, revision):
        asked.append((source, name, revision))
        return builder

    monkeypatch.setattr("datasets.load_dataset_builder", load)
    found = find_files("some/thing", name="de", revision="v1")
    assert found.paths == tuple(splits["train"] + splits["test"])
    assert find_files("some/thing", "test").paths == (f"{root}t.parquet",)
    assert asked[0] == ("some/thing", "de", "v1")
    with pytest.raises(UserError, match="no split 'dev'; it has: train, test"):
        find_files("some/thing", "dev")
    splits["test"] = [f"{root}t.zip"]
    with pytest.raises(UserError, match=r"it has \.parquet, \.zip.*refs/convert/parquet"):
        find_files("some/thing")


def test_the_builders_of_datasets_say_what_is_taken(make):
    """The same call that the Hub answers, on a folder."""
    import datasets

    folder = make("train-0.parquet", "test.parquet")
    files = datasets.load_dataset_builder(str(folder)).config.data_files
    assert files is not None
    assert [str(key) for key in files] == ["train", "test"]
    assert list(files["train"]) == [str(folder / "train-0.parquet")]


def test_the_hub_without_a_network():
    with pytest.raises(UserError, match="neither a file nor a folder here"):
        find_files("nobody/nothing")


def test_what_is_asked_for_as_a_corpus(make):
    folder = make("a.parquet", "b.jsonl", "c.txt")
    assert is_corpus(str(folder))
    assert is_corpus(str(folder / "a.parquet"))
    assert is_corpus("owner/name")
    lines = [str(folder / "b.jsonl"), str(folder / "c.txt"), "-", "missing", "no/such/file"]
    assert not any(map(is_corpus, lines))
