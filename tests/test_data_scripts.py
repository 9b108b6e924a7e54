from __future__ import annotations

import importlib
import importlib.util
import itertools
from pathlib import Path
from types import ModuleType

import pytest

from tokenexit.data.bio import is_bio, spans, to_bio
from tokenexit.data.pairs import read_pairs
from tokenexit.data.tagged import label_names, read_tagged
from tokenexit.data.texts import ScoredSplit, read_texts
from tokenexit.tasks.multilabel import LabelSetSplit

SCRIPTS = Path(__file__).parents[1] / "data_scripts"
pytestmark = pytest.mark.skipif(not SCRIPTS.is_dir(), reason="data_scripts are not installed")


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    """Load a script as `python data_scripts/NAME.py` would find its neighbours."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return load


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    return importlib.import_module("tokenexit.demo.tagging")


@pytest.mark.parametrize("task", ["ner", "pos"])
def test_demo_is_written_in_the_one_schema(demo, task: str, tmp_path: Path) -> None:
    assert demo.write(tmp_path / "d", task, sentences=200, seed=1) == tmp_path / "d"
    ner, pos = read_tagged(tmp_path / "d"), read_tagged(tmp_path / "d", "pos_tags")
    assert {name: len(split) for name, split in ner.items()} == {
        "train": 200, "validation": 25, "test": 25,
    }  # fmt: skip
    assert label_names(ner["train"]) == (
        "O", "B-DATE", "I-DATE", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER",
        "B-PROD", "I-PROD",
    )  # fmt: skip
    assert {"NOUN", "VERB", "AUX", "SCONJ"} < set(label_names(pos["train"], "pos_tags"))


@pytest.mark.parametrize("task", ["ner", "pos"])
def test_demo_sentences_are_sound(demo, task: str) -> None:
    for rows in demo.make(task, 400, seed=5).values():
        for row in rows:
            words, tags = row["tokens"], row["ner_tags"]
            assert 6 <= len(words) <= 32
            assert len(words) == len(tags) == len(row["pos_tags"])
            assert all(word and not word.isspace() for word in words)
            assert words[0][0].isupper() or words[0][0].isdigit()
            assert is_bio(tags)
            assert to_bio(tags) == tags


def test_demo_follows_from_the_seed(demo) -> None:
    assert demo.make("ner", 50, 3) == demo.make("ner", 50, 3)
    assert demo.make("ner", 50, 3) != demo.make("ner", 50, 4)


def test_demo_splits_differ_and_hold_unseen_names(demo) -> None:
    splits = demo.make("ner", 800, 0)
    names = {
        split: {
            " ".join(row["tokens"][span.start : span.end])
            for row in rows
            for span in spans(row["ner_tags"])
        }
        for split, rows in splits.items()
    }
    for split in ("validation", "test"):
        unseen = names[split] - names["train"]
        assert 0.2 < len(unseen) / len(names[split]) < 0.9
    for one, other in itertools.combinations(splits, 2):
        first = {tuple(row["tokens"]) for row in splits[one]}
        second = {tuple(row["tokens"]) for row in splits[other]}
        assert len(first & second) < 0.05 * len(second)


def test_demo_names_are_ambiguous(demo) -> None:
    types: dict[str, set[str]] = {}
    for row in demo.make("ner", 2000, 0)["train"]:
        for span in spans(row["ner_tags"]):
            if span.end - span.start == 1:
                types.setdefault(row["tokens"][span.start], set()).add(span.type)
    assert all(len(types[name]) == 4 for name in demo.AMBIGUOUS)
    assert types["May"] == {"PER", "DATE"}


def test_demo_words_are_of_the_class_of_what_they_are_like(demo) -> None:
    compared: dict[str, set[str]] = {}
    for row in demo.make("pos", 800, 0)["train"]:
        words, classes = row["tokens"], row["pos_tags"]
        if words[1:4] == ["is", "not", "like"] and words[5:7] == ["but", "like"]:
            assert classes[0] == classes[7] != classes[4]
            compared.setdefault(words[0].lower(), set()).add(classes[0])
    assert set(compared) <= set(demo.ANY)
    assert set.union(*compared.values()) == set(demo.POS.values())
    assert max(map(len, compared.values())) > 1


def test_every_word_of_the_templates_has_a_class(demo) -> None:
    groups = (demo.EASY, demo.MEDIUM, demo.HARD, demo.DEEP, demo.CLASSES, demo.ENDS, demo.LEADS)
    for template in itertools.chain(*groups, demo.LIKENESS, *demo.CLAUSES.values()):
        for item in template.split():
            assert item.startswith("{") or "/" in item or item in demo.WORD_POS, template


def test_demo_mistakes(demo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="task must be one of ner, pos"):
        demo.make("nre", 1, 0)
    with pytest.raises(SystemExit) as stop:
        load("make_demo_tagging").main([str(tmp_path), "--sentences", "0"])
    assert stop.value.code == 2
    assert "at least 1" in capsys.readouterr().err


@pytest.fixture(scope="module")
def pairs() -> ModuleType:
    return importlib.import_module("tokenexit.demo.pairs")


PAIR_TASKS = ["translation", "data_to_text", "summarization"]


@pytest.mark.parametrize("task", PAIR_TASKS)
def test_demo_pairs_are_written_in_the_one_schema(task: str, tmp_path: Path, capsys) -> None:
    load("make_demo_pairs").main(
        [str(tmp_path / "d"), "--task", task, "--pairs", "80", "--seed", "1"]
    )
    assert capsys.readouterr().out == f"{tmp_path / 'd'}\n"
    splits = read_pairs(tmp_path / "d")
    assert {k: len(v) for k, v in splits.items()} == {"train": 80, "validation": 6, "test": 6}
    least = 2 if task == "data_to_text" else 1
    for split in ("validation", "test"):
        assert all(len(wordings) >= least for wordings in splits[split].references or [])
    assert all(len(wordings) == 1 for wordings in splits["train"].references or [])


@pytest.mark.parametrize("task", PAIR_TASKS)
def test_demo_pairs_are_sound(pairs, task: str) -> None:
    splits = pairs.make(task, 400, seed=5)
    sources = [row["source"] for rows in splits.values() for row in rows]
    assert len(set(sources)) == len(sources) == 460
    for row in itertools.chain(*splits.values()):
        for text in (row["target"], *(row["references"] or ())):
            assert text[0].isupper()
            assert text.endswith(".")
            assert text == " ".join(text.split())
            assert not any(mark in text for mark in ("{", "_", " ,", " .", ".."))
    words = {word for rows in splits.values() for row in rows for word in row["target"].split()}
    assert len(words) < 700
    assert splits == pairs.make(task, 400, seed=5)
    assert splits != pairs.make(task, 400, seed=6)


def test_demo_translations_agree(pairs) -> None:
    texts = {row["source"]: row["target"] for row in pairs.make("translation", 4000, 0)["train"]}
    both = [text.lower() for text in texts.values()]
    assert not [text for text in both if " der lampe" in text or " die hut " in text]
    cranes = {text: texts[text] for text in texts if " crane " in f" {text[:-1].lower()} "}
    for text, german in cranes.items():
        country = any(place in text.lower() for place in ("lake", "forest", "island"))
        assert ("Kranich" in german) == country
    assert {"Kranich" in german for german in cranes.values()} == {True, False}


def test_demo_reports_hold_what_the_summary_says(pairs) -> None:
    for row in pairs.make("summarization", 300, 0)["train"]:
        words = row["target"].rstrip(".").split()
        said = row["source"].replace(".", " ").replace(",", " ").split()
        assert set(words) <= {*said, "won", "will", "get", "not", "found", "of", "the", "a", "new"}


def test_demo_pairs_mistakes(pairs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="task must be one of translation, data_to_text, summ"):
        pairs.make("poetry", 1, 0)
    with pytest.raises(SystemExit) as stop:
        load("make_demo_pairs").main([str(tmp_path), "--pairs", "0"])
    assert stop.value.code == 2
    assert "at least 1" in capsys.readouterr().err


NER = "-DOCSTART- -X- -X- O\n\nEU NNP I-NP I-ORG\nmet VBD I-VP O\nUN NNP I-NP I-ORG\n"


def run(module: ModuleType, *argv: object) -> int:
    import _common  # pyright: ignore

    column = "pos_tags" if module.__name__ == "prepare_ud" else "ner_tags"
    reader = getattr(module, "read_ontonotes", _common.read)
    return _common.main(module.__doc__, column, [str(arg) for arg in argv], reader)


def test_conll2003_becomes_bio(script, tmp_path: Path) -> None:
    for name in ("eng.train", "eng.testa", "eng.testb"):
        (tmp_path / name).write_text(NER, encoding="utf-8")
    assert run(script("prepare_conll2003"), tmp_path / "out", "--input", tmp_path) == 0
    splits = read_tagged(tmp_path / "out")
    assert list(splits) == ["train", "validation", "test"]
    assert splits["test"].tags == [["B-ORG", "O", "B-ORG"]]


def test_single_files(script, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / name for name in ("train.txt", "valid.txt")]
    for path in files:
        path.write_text(NER, encoding="utf-8")
    assert run(script("prepare_conll2003"), tmp_path / "out", "--input", *files) == 0
    assert "validation: 1 sentences, 3 words, 2 entities" in capsys.readouterr().out
    assert list(read_tagged(tmp_path / "out")) == ["train", "validation"]


def test_sentences_are_labelled_by_what_they_mention(script, tmp_path: Path, capsys) -> None:
    text = "a B-X\nb I-X\nc B-W\n\nd O\n"
    (tmp_path / "train.txt").write_text(text, encoding="utf-8")
    label = script("label_sentences").main
    assert label([str(tmp_path / "out"), "--input", str(tmp_path / "train.txt")]) == 0
    assert "train: 2 sentences, 1 without a label, 1 with several" in capsys.readouterr().out
    split = read_texts(tmp_path / "out", kind=LabelSetSplit)["train"]
    assert split.tokens == [["a b c"], ["d"]]
    assert split.tags == [["W|X"], ["none"]]
    assert label([str(tmp_path / "out"), "--input", str(tmp_path / "none.txt")]) == 2


def test_sentences_are_scored_by_their_tags(script, tmp_path: Path, capsys) -> None:
    (tmp_path / "train.txt").write_text("a NOUN\nb VERB\nc PROPN\nd X\n\ne VERB\n", "utf-8")
    score = script("score_sentences").main
    told = [str(tmp_path / "out"), "--input", str(tmp_path / "train.txt"), "--tags"]
    assert score([*told, "NOUN", "PROPN"]) == 0
    assert "train: 2 sentences, 0.250 +- 0.250" in capsys.readouterr().out
    split = read_texts(tmp_path / "out", kind=ScoredSplit)["train"]
    assert split.tokens == [["a b c d"], ["e"]]
    assert [float(score) for [score] in split.tags] == [0.5, 0.0]
    assert score([*told, "NOUNS"]) == 2
    assert "No word has NOUNS; there are NOUN, PROPN, VERB, X." in capsys.readouterr().err


def test_wnut17_with_its_own_file_names(script, tmp_path: Path) -> None:
    for name in ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"):
        (tmp_path / name).write_text("New\tB-location\nYork\tI-location\n\t\n", encoding="utf-8")
    assert run(script("prepare_wnut17"), tmp_path / "out", "--input", tmp_path) == 0
    assert list(read_tagged(tmp_path / "out")) == ["train", "validation", "test"]


def test_ud_with_raw_text_beside_it(script, tmp_path: Path) -> None:
    row = "1\tgo\tgo\tVERB\t_\t_\t0\troot\t_\t_\n"
    (tmp_path / "x-ud-train.conllu").write_text(row, encoding="utf-8")
    (tmp_path / "x-ud-train.txt").write_text("go", encoding="utf-8")
    assert run(script("prepare_ud"), tmp_path / "out", "--input", tmp_path) == 0
    assert read_tagged(tmp_path / "out", "pos_tags")["train"].tags == [["VERB"]]


def gold(word: str, bracket: str) -> str:
    return f"bc/x 0 0 {word} NN * - - - Speaker {bracket} -\n"


def test_ontonotes_brackets(script, tmp_path: Path) -> None:
    text = "#begin document (x); part 000\n" + gold("the", "*") + gold("New", "(GPE*")
    text += gold("York", "*)") + gold("UN", "(ORG)") + "\n" + gold("hi", "*") + "#end document\n"
    for part in ("train", "development"):
        path = tmp_path / "data" / part / "data" / "a.v4_gold_conll"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    module = script("prepare_ontonotes")
    assert run(module, tmp_path / "out", "--input", tmp_path / "data") == 0
    splits = read_tagged(tmp_path / "out")
    assert list(splits) == ["train", "validation"]
    assert splits["train"].tokens == [["the", "New", "York", "UN"], ["hi"]]
    assert splits["train"].tags == [["O", "B-GPE", "I-GPE", "B-ORG"], ["O"]]


@pytest.mark.parametrize(
    ("part", "text", "message"),
    [
        ("train", gold("a", "(GPE*"), "'GPE' does not end within its sentence"),
        ("train", "a b c\n", "line 1: 3 columns, CoNLL-2012 has at least 12"),
        ("elsewhere", gold("a", "*"), "no folder named train, development or test"),
    ],
)
def test_ontonotes_mistakes(
    script, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str, text: str, message: str
) -> None:
    path = tmp_path / "data" / part / "a.gold_conll"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    module = script("prepare_ontonotes")
    assert run(module, tmp_path / "out", "--input", tmp_path / "data") == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("train.txt", "a B-X\nb\n", "line 2: 1 columns"),
        ("train.txt", "a PER\n", "'PER' is not an entity tag"),
        ("words.txt", "a B-X\n", "its name must say train"),
        (None, "", "is not a file"),
    ],
)
def test_mistakes_end_with_code_2(
    script, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, message: str
) -> None:
    path = tmp_path / (name or "missing.txt")
    if name:
        path.write_text(text, encoding="utf-8")
    assert run(script("prepare_conll2003"), tmp_path / "out", "--input", path) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_hub_id_without_a_network(script, tmp_path: Path, monkeypatch, capsys) -> None:
    import huggingface_hub.constants

    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert run(script("prepare_wnut17"), tmp_path / "out", "--hub", "owner/wnut") == 2
    assert "cannot be reached" in capsys.readouterr().err


def test_ontonotes_bracket_cells(script) -> None:
    from_brackets = script("prepare_ontonotes").from_brackets
    assert from_brackets("*", "") == ("O", "")
    assert from_brackets("(ORG)", "") == ("B-ORG", "")
    assert from_brackets("(ORG*", "") == ("B-ORG", "ORG")
    assert from_brackets("*", "ORG") == ("I-ORG", "ORG")
    assert from_brackets("*)", "ORG") == ("I-ORG", "")


def test_two_sources_for_one_split(script, tmp_path: Path, capsys) -> None:
    files = [tmp_path / "train.txt", tmp_path / "my-train.txt"]
    for path in files:
        path.write_text(NER, encoding="utf-8")
    assert run(script("prepare_conll2003"), tmp_path / "out", "--input", *files) == 2
    assert "only one file may say so" in capsys.readouterr().err


def test_ontonotes_of_another_encoding(script, tmp_path: Path, capsys) -> None:
    path = tmp_path / "data" / "train" / "a.gold_conll"
    path.parent.mkdir(parents=True)
    path.write_bytes((gold("a", "*") + gold("Zürich", "*")).encode("latin-1"))
    assert run(script("prepare_ontonotes"), tmp_path / "o", "--input", tmp_path / "data") == 2
    assert "a.gold_conll, line 2: not UTF-8 text" in capsys.readouterr().err


def test_places_that_cannot_be_written_to(script, tmp_path: Path, capsys) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "train.txt").write_text(NER, encoding="utf-8")
    place = str(tmp_path / "file" / "out")
    assert run(script("prepare_conll2003"), place, "--input", tmp_path / "train.txt") == 2
    assert "cannot be written: Not a directory" in capsys.readouterr().err
    for name in ("make_demo_tagging", "make_demo_pairs", "make_demo_texts"):
        with pytest.raises(SystemExit) as stop:
            load(name).main([place])
        assert stop.value.code == 2
        assert "cannot be written: Not a directory" in capsys.readouterr().err


def passages(documents: dict[str, list[str]]) -> list[dict[str, str]]:
    return [
        {"doc": name, "source": "books", "text": text}
        for name, texts in documents.items()
        for text in texts
    ]


def essay(subject: str, number: int, sentences: int = 12) -> list[str]:
    """Sentences that no other document has."""
    return [
        f"The {subject} of case {number} in part {part} is told in some words more than eight."
        for part in range(sentences)
    ]


def test_windows_of_a_document_and_of_its_like_stay_in_one_split(script, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    module = script("make_long_texts")
    subjects = ("law", "music", "chess")
    texts = {f"{s}/{n}": [" ".join(essay(s, n))] for s in subjects for n in range(20)}
    said = "A quotation of more than eight words that both of these two have."
    texts["law/3"] = [*essay("law", 3)[:6], said, *essay("law", 3)[6:]]
    texts["law/7"] = [said, *essay("law", 7)]
    everywhere = "By the end of this part you will know more than you did before."
    texts = {name: [everywhere, *parts] for name, parts in texts.items()}
    texts["law/1"].append("A sentence of two fields that is long enough to tell them apart.")
    texts["chess/1"].append("A sentence of two fields, that is long enough to tell them apart!")
    pq.write_table(pa.Table.from_pylist(passages(texts)), tmp_path / "texts.parquet")
    told = ["--input", str(tmp_path), "--words", "60", "--windows", "40", "--of-document", "2"]
    assert module.main([str(tmp_path / "out"), *told, "--source", "books"]) == 0
    found = {
        name: pq.read_table(tmp_path / "out" / f"{name}.parquet").to_pylist()
        for name in ("train", "validation", "test")
    }
    splits = read_texts(tmp_path / "out")
    assert {name: len(split) for name, split in splits.items()} == {
        name: len(rows) for name, rows in found.items()
    }
    place = {row["doc"]: name for name, rows in found.items() for row in rows}
    for name, rows in found.items():
        assert rows
        assert all(place[row["doc"]] == name for row in rows)
        assert all(row["label"] == row["doc"].partition("/")[0] for row in rows)
        assert all(60 <= len(row["sentence"].split()) <= 80 for row in rows)
        assert not any("By the end" in row["sentence"] for row in rows)
    assert place.get("law/3", "train") == place.get("law/7", "train")
    assert not {"law/1", "chess/1"} & place.keys()  # of two classes
    bad = {"train": found["train"], "test": found["train"][:1]}
    with pytest.raises(module.UserError, match="share 'the document"):
        module.check_leaks(bad)
    with pytest.raises(module.UserError, match="share 'the"):
        module.check_leaks({**bad, "test": [{**found["train"][0], "doc": "law/99"}]})


def test_what_makes_no_task_is_told(script, tmp_path: Path, capsys) -> None:
    module = script("make_long_texts")
    assert module.main([str(tmp_path / "out"), "--input", str(tmp_path / "none")]) == 2
    assert "no parquet file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        module.main([str(tmp_path / "out"), "--input", "x", "--words", "0"])
    args = module.parsed([str(tmp_path), "--input", "x"])
    with pytest.raises(module.UserError, match="fewer than two classes"):
        module.make(passages({"law/1": essay("law", 1)}), args)
