from __future__ import annotations

from pathlib import Path

import pytest

from tokenexit.data.conll import read_conll, read_conllu
from tokenexit.data.files import read_file
from tokenexit.data.tagged import read_tagged
from tokenexit.errors import UserError

CONLL = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

-DOCSTART- -X- -X- O

Peter NNP B-NP B-PER
"""
CONLLU = """# sent_id = 1
# text = I don't.
1\tI\tI\tPRON\tPRP\t_\t2\tnsubj\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\tdo\tAUX\tVBP\t_\t0\troot\t_\t_
3\tn't\tnot\tPART\tRB\t_\t2\tadvmod\t_\t_
3.1\tgo\tgo\tVERB\t_\t_\t_\t_\t_\t_
4\t.\t.\tPUNCT\t.\t_\t2\tpunct\t_\t_

# sent_id = 2
1\t#1\t#1\tSYM\t_\t_\t0\troot\t_\t_
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_conll2003_columns(tmp_path: Path) -> None:
    assert read_conll(write(tmp_path / "a.conll", CONLL)) == {
        "tokens": [["EU", "rejects"], ["Peter"]],
        "pos_tags": [["NNP", "VBZ"], ["NNP"]],
        "ner_tags": [["B-ORG", "O"], ["B-PER"]],
    }


def test_wnut_two_columns_with_blank_lines_of_tabs(tmp_path: Path) -> None:
    text = "#hash\tO\nNew\tB-location\nYork\tI-location\n\t\n\n@a\tO"
    assert read_conll(write(tmp_path / "a.conll", text)) == {
        "tokens": [["#hash", "New", "York"], ["@a"]],
        "tags": [["O", "B-location", "I-location"], ["O"]],
    }


def test_odd_blanks_are_not_column_breaks(tmp_path: Path) -> None:
    text = "\ufeffa\u00a0b\tO\r\nc\u2028d\tO\r\n\r\n"
    assert read_conll(write(tmp_path / "a.conll", text))["tokens"] == [["a\u00a0b", "c\u2028d"]]
    assert read_conll(write(tmp_path / "b.conll", "a\u00a0b  O \n"))["tokens"] == [["a\u00a0b"]]


def test_conllu_skips_comments_ranges_and_empty_nodes(tmp_path: Path) -> None:
    assert read_conllu(write(tmp_path / "a.conllu", CONLLU)) == {
        "tokens": [["I", "do", "n't", "."], ["#1"]],
        "pos_tags": [["PRON", "AUX", "PART", "PUNCT"], ["SYM"]],
    }


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("# id = 1\n# text = a b\na O\nb O\n\n# id = 2\nc O\n", [["a", "b"], ["c"]]),
        ("# sent_id = 1\na X Y O\nb X Y O\n", [["a", "b"]]),  # as many columns as rows
        ("# newdoc\n# newdoc id = 3\n# newpar\na O\n", [["a"]]),
        ("#begin document (x); part 000\na O\n\n#end document\n", [["a"]]),
        ("# a note of five words\na O\n", [["a"]]),
        ("# note\na O\n", [["a"]]),
        ("#\n##\n## x y\na O\n", [["a"]]),
        ("#\thttp://x [2009]\n1\ta\tO\tO\n2\tb\tO\tO\n3\tc\tO\tO\n", [["a", "b", "c"]]),
        ("# text = a\tb\na\tO\n", [["a"]]),
        ("#a note, not a hashtag\na\tO\n", [["a"]]),
        ("# O\na O\n\n# SYM\na SYM\n", [["#", "a"], ["#", "a"]]),
        ("#love HT\na O\n\na O\n#x HT\n", [["#love", "a"], ["a", "#x"]]),
        ("#\tSYM\n#x\tHT\n", [["#", "#x"]]),
        ("a\tO\n#\tO\n# b\tO\n", [["a", "#", "# b"]]),
        ("#x O\n", [["#x"]]),
    ],
)
def test_comments_go_and_hashtags_stay(tmp_path: Path, text: str, tokens: list) -> None:
    assert read_conll(write(tmp_path / "a.conll", text))["tokens"] == tokens


@pytest.mark.parametrize(
    "text", ["a O \nb  O\n", "a\tO\t\nb\tO\t\n", "a\tO \r\nb\t O", "a O\rb O\r"]
)
def test_blanks_and_ends_of_lines(tmp_path: Path, text: str) -> None:
    found = read_conll(write(tmp_path / "a.conll", text))
    assert found == {"tokens": [["a", "b"]], "tags": [["O", "O"]]}


def test_a_document_line_ends_a_sentence(tmp_path: Path) -> None:
    text = "a O\n-DOCSTART- -X- O O\nb O\n-DOCSTART-\n\nc O\n"
    assert read_conll(write(tmp_path / "a.conll", text))["tokens"] == [["a"], ["b"], ["c"]]


def test_universal_ner_columns(tmp_path: Path) -> None:
    """Numbers of words first, the tag second, and two columns about the annotation."""
    lines = [f"{n}\t{w}\t{t}\t-\t-" for n, (w, t) in enumerate(zip("abc", "OOO", strict=True), 1)]
    lines[1] = lines[1].replace("O", "B-PER")
    text = "# sent_id = x\n# text = a b c\n" + "\n".join(lines) + "\n"
    assert read_conll(write(tmp_path / "a.iob2", text)) == {
        "tokens": [["a", "b", "c"]],
        "ner_tags": [["O", "B-PER", "O"]],
    }


@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a.dev"])
def test_conllu_under_another_name(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, CONLLU)
    assert read_conll(path) == read_conllu(path)


def test_more_columns_have_no_parts_of_speech(tmp_path: Path) -> None:
    german = "Häuser Haus NN B-NC O\nin in APPR B-PC O\nKöln Köln NE I-PC I-LOC\n"
    assert read_conll(write(tmp_path / "deu.train", german)) == {
        "tokens": [["Häuser", "in", "Köln"]],
        "ner_tags": [["O", "O", "I-LOC"]],
    }
    with pytest.raises(UserError, match=r"no column for the tags.*it has: tokens, ner_tags"):
        read_tagged(tmp_path / "deu.train", "pos_tags")


def test_conll2012_has_its_script(tmp_path: Path) -> None:
    rows = [f"bc/x 0 {n} {w} NN * - - - - * -" for n, w in enumerate("ab")]
    text = "#begin document (bc/x); part 000\n" + "\n".join(rows) + "\n\n#end document\n"
    with pytest.raises(UserError, match=r"looks like CoNLL-2012.*prepare_ontonotes"):
        read_conll(write(tmp_path / "a.conll", text))


def test_numbers_that_are_words(tmp_path: Path) -> None:
    text = "1 CD O\n\n1 CD O\n2 CD O\n"
    assert read_conll(write(tmp_path / "a.conll", text))["tokens"] == [["1"], ["1", "2"]]


@pytest.mark.parametrize("suffix", [".bio", ".IOB", ".iob2", ".bioes", ".conll03", ".col", ".bmes"])
def test_endings(tmp_path: Path, suffix: str) -> None:
    assert read_file(write(tmp_path / f"a{suffix}", "a B-X\n")).column("tokens") == [["a"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a B-X\nb\n", r"bad\.conll has 1 malformed.*line 2: 1 columns where 2 were: 'b'"),
        ("a B-X\nb O\n\nc d O\n", r"line 4: 3 columns where 2"),
        ("a\tO\n\tO\n", r"line 2: the word or the tag is empty"),
        ("a\tO\nb\t\n", r"line 2: the word or the tag is empty"),
        ("a\nb\n", r"line 1: one column"),
        ("", "holds no sentence"),
        ("\n\n-DOCSTART- O\n", "holds no sentence"),
        ("a O\n" + "b\n" * 9, r"9 malformed.*line 4.*and 6 more"),
        ("a\tO\n\n#tag\tO\tX\n", r"line 3: 3 columns where 2 were"),
        ("a\tO\n\n#tag\n", r"line 3: 1 columns where 2 were"),
        ("a O\n# note\n# b c d\n", r"line 3: 4 columns where 2 were"),
    ],
)
def test_malformed_conll_is_reported_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_conll(write(tmp_path / "bad.conll", text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\ta\ta\tNOUN\n", r"line 1: 4 columns, CoNLL-U has 10"),
        (CONLLU.replace("2\tdo", "x\tdo"), r"line 5: the id 'x' is not a number"),
        (CONLLU.replace("SYM", "_"), r"line 11: no FORM or no UPOS"),
        ("# only a comment\n", "holds no sentence"),
    ],
)
def test_malformed_conllu_is_reported_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_conllu(write(tmp_path / "bad.conllu", text))


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    path.write_bytes("Zürich O\n".encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8"):
        read_conll(path)
