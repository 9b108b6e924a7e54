from __future__ import annotations

import json
from pathlib import Path

import pytest

from tokenexit.data.pairs import PairSplit, read_pairs
from tokenexit.errors import UserError

datasets = pytest.importorskip("datasets")
SHARED = Path(__file__).parents[3] / "shared" / "data"
ROWS = [
    {"source": "a b", "target": "x y", "references": ["x y", "X."]},
    {"source": "", "target": "z", "references": None},
    {"source": "c", "target": "w", "references": []},
    {"source": "d", "target": "v", "references": ["u"]},
]
SOURCES = ["a b", "", "c", "d"]
TARGETS = ["x y", "z", "w", "v"]
REFERENCES = [["x y", "X."], ["z"], ["w"], ["v", "u"]]
TWO_WAYS = [
    {"translation": {"en": "one", "de": "eins"}, "references_de": ["eins", "ein"]},
    {"translation": {"en": "two", "de": "zwei"}, "references_de": None},
]


def jsonl(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return path


def parquet(folder: Path) -> None:
    datasets.Dataset.from_list(ROWS).to_parquet(folder / "train.parquet")


def lines(folder: Path) -> None:
    jsonl(folder / "train.jsonl", ROWS)


def disk(folder: Path) -> None:
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(folder)


@pytest.mark.parametrize("save", [parquet, lines, disk])
def test_every_format_reads_the_same(tmp_path: Path, save) -> None:
    save(tmp_path)
    train = read_pairs(tmp_path)["train"]
    assert train == PairSplit(SOURCES, TARGETS, REFERENCES, f"{tmp_path} [train]")
    assert len(train) == 4
    assert train.head(99) == train
    assert train.take([3, 0]) == PairSplit(
        ["d", "a b"], ["v", "x y"], [["v", "u"], ["x y", "X."]], train.origin
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [("document", "summary"), ("text", "summary"), ("article", "highlights"), ("src", "tgt")],
)
def test_usual_names(tmp_path: Path, first: str, second: str) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"id": 3, first: "a", second: "b"}])
    assert read_pairs(path)["all"] == PairSplit(["a"], ["b"], [["b"]], str(path))


def test_tsv_with_a_first_line_of_names(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('source\ttarget\nsay "hi"\tsag "hi"\n\tnichts\n', encoding="utf-8")
    split = read_pairs(path)["all"]
    assert split.sources == ['say "hi"', ""]
    assert split.targets == ['sag "hi"', "nichts"]


def test_columns_of_other_names(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{**ROWS[0], "long": "a", "short": "b"}])
    split = read_pairs(path, source_column="long", target_column="short")["all"]
    assert (split.sources, split.targets) == (["a"], ["b"])
    assert split.references == [["b"]], "those of the column target are not its own"
    assert read_pairs(path, source_column="long")["all"].references == [["x y", "X."]]
    own = jsonl(tmp_path / "b.jsonl", [{"long": "a", "short": "b", "references": ["c"]}])
    split = read_pairs(own, source_column="long", target_column="short")["all"]
    assert split.references == [["b", "c"]]


def test_both_directions_of_a_translation(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", TWO_WAYS)
    german = read_pairs(path, lang="en-de")["all"]
    assert (german.sources, german.targets) == (["one", "two"], ["eins", "zwei"])
    assert german.references == [["eins", "ein"], ["zwei"]]
    english = read_pairs(path, lang="de-en")["all"]
    assert (english.sources, english.targets) == (["eins", "zwei"], ["one", "two"])
    assert english.references == [["one"], ["two"]]


def test_a_column_for_each_language(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"en": "one", "de": "eins"}])
    assert read_pairs(path, lang="de-en")["all"].targets == ["one"]


def test_translation_features_of_the_hub(tmp_path: Path) -> None:
    features = datasets.Features({"translation": datasets.Translation(["en", "de"])})
    rows = [{"translation": row["translation"]} for row in TWO_WAYS]
    datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / "test.parquet")
    assert read_pairs(tmp_path, lang="en-de")["test"].targets == ["eins", "zwei"]


def test_references_without_a_target(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"source": "a", "references": ["b", "c"]}])
    assert read_pairs(path)["all"] == PairSplit(["a"], ["b"], [["b", "c"]], str(path))
    jsonl(path, [{"source": "a", "references": "b"}])
    assert read_pairs(path)["all"].references == [["b"]]
    jsonl(path, [{"source": "a", "references": ["b"]}, {"source": "a", "references": None}])
    with pytest.raises(UserError, match="row 1: neither a target nor a reference"):
        read_pairs(path)


def test_sources_alone(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"source": "a"}])
    only = read_pairs(path, sources_only=True)["all"]
    assert only == PairSplit(["a"], None, None, str(path))
    assert only.head(1) == only
    with pytest.raises(UserError, match="no target column"):
        read_pairs(path)
    way = jsonl(tmp_path / "b.jsonl", [{"en": "one"}])
    assert read_pairs(way, lang="en-de", sources_only=True)["all"].sources == ["one"]


def test_empty_targets_are_refused_in_training_alone(tmp_path: Path) -> None:
    rows = [{"source": "a", "target": "b"}, {"source": "a", "target": " "}]
    jsonl(tmp_path / "test.jsonl", rows)
    assert read_pairs(tmp_path)["test"].targets == ["b", " "]
    jsonl(tmp_path / "train.jsonl", rows)
    with pytest.raises(UserError, match=r"\[train\], row 1: the target is empty"):
        read_pairs(tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": "b", "target": "c"}], r"no source column \(looked for source, .*has: a, target\."),
        ([{"source": "b", "a": "c"}], r"no target column.*has: source, a\. .*target_column"),
        ([{"tokens": ["b"]}], "no source column"),
        ([{"source": None, "target": "c"}], r"row 0, column 'source': .*not NoneType"),
        ([*ROWS, {"source": "b", "target": None}], r"row 4, column 'target': .*not NoneType"),
        ([{"source": ["b"], "target": "c"}], r"expected text, not list"),
        ([{"source": "b", "target": 7}], r"expected text, not int '7'"),
        ([{**ROWS[0], "references": ["b", None]}], r"row 0, column 'references': None among"),
        ([{**ROWS[0], "references": 5}], r"row 0, column 'references': 5 among"),
        (TWO_WAYS, r"holds translations \(en, de\); .*lang=en-de"),
    ],
)
def test_bad_rows(tmp_path: Path, rows: list[dict], message: str) -> None:
    path = jsonl(tmp_path / "bad.jsonl", rows)
    with pytest.raises(UserError, match=rf"bad\.jsonl.*{message}"):
        read_pairs(path)


@pytest.mark.parametrize(
    ("rows", "lang", "message"),
    [
        (TWO_WAYS, "ende", "such as en-de; it is 'ende'"),
        (TWO_WAYS, "en-en", "two languages"),
        (TWO_WAYS, "en-fr", r"no language 'fr' \(lang=en-fr\); it has: en, de"),
        ([{"en": "a", "nl": "b"}], "en-de", "no language 'de'.*it has: en, nl"),
        (ROWS, "en-de", r"no language 'en'.*it has: source, .*leave lang out"),
        ([*TWO_WAYS, {"translation": {"en": "a"}}], "en-de", r"row 2, language 'de': .*NoneType"),
        ([*TWO_WAYS, {"translation": None}], "en-de", r"row 2, language 'en': .*NoneType"),
        ([*TWO_WAYS, {"translation": "a"}], "en-de", r"row 2, .*a translation is an object.*'a'"),
    ],
)
def test_bad_languages(tmp_path: Path, rows: list[dict], lang: str, message: str) -> None:
    path = jsonl(tmp_path / "bad.jsonl", rows)
    with pytest.raises(UserError, match=message):
        read_pairs(path, lang=lang)


def test_other_mistakes(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(UserError, match="already says what to read"):
        read_pairs(path, lang="en-de", target_column="target")
    with pytest.raises(UserError, match=r"looked for body\).*it has: source, target, references"):
        read_pairs(path, source_column="body")


def test_an_empty_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none = datasets.Dataset.from_dict({"source": [], "target": []})
    none.to_parquet(tmp_path / "test.parquet")
    with pytest.raises(UserError, match=r"test\.parquet has no rows"):
        read_pairs(tmp_path)
    monkeypatch.setattr("tokenexit.data.source.load_splits", lambda *_, **__: {"test": none})
    with pytest.raises(UserError, match=r"owner/name \[test\] has no rows"):
        read_pairs("owner/name")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared corpora are not beside this checkout")
@pytest.mark.parametrize(
    ("name", "lang", "pairs", "references"),
    [
        ("e2e_nlg", None, (42061, 547, 630), 4693),
        ("scitldr", None, (1992, 619, 618), 1967),
        ("tatoeba_en_de", "de-en", (161980, 2000, 2000), 2095),
    ],
)
def test_shared_corpora(name: str, lang: str | None, pairs: tuple, references: int) -> None:
    splits = read_pairs(SHARED / name, lang=lang)
    assert tuple(map(len, splits.values())) == pairs
    assert sum(map(len, splits["test"].references or [])) == references
    for split in splits.values():
        for target, wordings in zip(split.targets or [], split.references or [], strict=True):
            assert target in wordings
