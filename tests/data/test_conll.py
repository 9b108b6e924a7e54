from __future__ import annotations

from pathlib import Path

import pytest

from tokenexit.data.conll import read_conll, read_conllu
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
