"""CSV and TSV are read as they are written, or refused by row."""

from __future__ import annotations

import pytest

from tokenexit.data.pairs import read_pairs
from tokenexit.data.tagged import read_tagged
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError

pytest.importorskip("datasets")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_nothing_is_guessed(tmp_path, end, mark, kind, put):
    values = ["007", "08", "7", "True", "1.0", "1e5", "NA", "null", "nan", "None", "-", "+1"]
    between = "," if kind == "csv" else "\t"
    lines = [between.join(("text", "label")), *(f"{v}{between}{v}" for v in values)]
    split = read_texts(put(tmp_path / f"a.{kind}", mark + end.join(lines)))["all"]
    assert split.tokens == [[value] for value in values]
    assert split.tags == [[value] for value in values]


def test_sources_and_targets(tmp_path, put):
    path = put(tmp_path / "a.tsv", "source\ttarget\n12\t2020-01-01\n\tNA\n")
    assert read_pairs(path)["all"].targets == ["2020-01-01", "NA"]
    assert read_pairs(path)["all"].sources == ["12", ""]


def test_long_fields_quotes_and_line_ends_inside(tmp_path, put):
    long = "x" * 3_000_000
    path = put(tmp_path / "a.csv", f'text,label\n"{long}",a\n"two\r\nlines, ""q""",b\n\n,c\n')
    assert read_texts(path)["all"].tokens == [[long], ['two\r\nlines, "q"'], [""]]


def test_empty_lines_before_and_between(tmp_path, put):
    for kind, mark in (("csv", ","), ("tsv", "\t")):
        path = put(tmp_path / f"a.{kind}", f"\n\r\ntext{mark}label\n\na{mark}x\n\n\n")
        assert read_texts(path)["all"].tokens == [["a"]]


def test_one_column_keeps_its_empty_texts(tmp_path, put):
    for kind in ("csv", "tsv"):
        path = put(tmp_path / f"a.{kind}", "text\na\n\nb\n")
        assert read_texts(path, label_column=None)["all"].tokens == [["a"], [""], ["b"]]


def test_null_bytes_are_characters(tmp_path, put):
    assert read_texts(put(tmp_path / "a.tsv", "text\tlabel\na\0b\tx\n"))["all"].tokens == [["a\0b"]]


def test_numbers_to_learn_are_parsed(tmp_path, put):
    path = put(tmp_path / "a.csv", "text,label\na,007\nb,-1e-1\nc, .5 \n")
    assert read_texts(path, regression=True)["all"].tags == [["7.0"], ["-0.1"], ["0.5"]]


@pytest.mark.parametrize("value", ["NA", "inf", "nan", "1_0", "0x1", "1e999", "True", "٣"])
def test_what_is_no_number(tmp_path, value, put):
    path = put(tmp_path / "a.csv", f"text,label\na,1\nb,{value}\n")
    with pytest.raises(UserError, match=r"a\.csv, row 1, column 'label': .* is no number"):
        read_texts(path, regression=True)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,label\na,b\nc,d,e\nf\n", r"row 1, .*'c', has 3 field.*1 more.*quotes"),
        ("a.tsv", "text\tlabel\na\n", r"row 0, .*'a', has 1 field.*names 2: text, label.*tab"),
        ("a.csv", 'text,label\na,b\n"c,d\n', r"open quotes in the row that ends in line 3"),
        ("a.csv", 'text,label\n"a"b,c\n', r"line 2.*quotes"),
        ("a.csv", "text,label\n", "a.csv has no rows"),
        ("a.tsv", "x" * 90_000 + "\t1\nb\t0\n", r"it has: 'xxxx.*\.\.\..*x', 1\."),
        ("a.tsv", "", "a.tsv has no rows"),
        ("a.csv", "text,text,label\na,b,c\n", r"2 columns are named 'text'. Rename"),
        ("a.tsv", "good film\t1\nbad film\t0\n", r"first line that names their columns"),
        ("a.csv", "text;label\na;b\n", r"seems to be parted by semicolons"),
        ("a.csv", "text\tlabel\na\tb\n", r"parted by tabs: give it the ending \.tsv"),
    ],
)
def test_malformed_tables(tmp_path, name, content, message, put):
    with pytest.raises(UserError, match=message):
        read_texts(put(tmp_path / name, content))


def test_doubled_columns_that_nobody_needs(tmp_path, put):
    path = put(tmp_path / "a.csv", "id,text,id,label\n1,a,2,b\n")
    assert read_texts(path)["all"].tokens == [["a"]]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_one_word_a_row(tmp_path, name, put):
    mark = "," if name == "a.csv" else "\t"
    for first in ("Word", "tokens"):
        lines = [mark.join((first, "Tag")), mark.join(("Ada", "B-PER"))]
        with pytest.raises(UserError, match=r"one word a row is read as CoNLL columns"):
            read_tagged(put(tmp_path / name, "\n".join(lines)))


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_a_first_line_in_the_middle(kind, tmp_path, put):
    """Of files that were put one behind the other; it would be a label of its own."""
    mark = "," if kind == "csv" else "\t"
    head, rows = f"text{mark}label\n", f"a{mark}x\nb{mark}y\n"
    path = put(tmp_path / f"a.{kind}", head + rows + head + rows)
    with pytest.raises(UserError, match=r"row 2 repeats the first line"):
        read_texts(path)
    with pytest.raises(UserError, match=r"row 0 repeats the first line"):
        read_texts(put(tmp_path / f"b.{kind}", head + head + rows))
    put(path, f"text{mark}label\ntext{mark}other\n")
    assert read_texts(path)["all"].tokens == [["text"]]
    assert read_texts(put(tmp_path / f"c.{kind}", "text\na\ntext\n"), label_column=None)


def test_one_column_is_not_two_things(tmp_path, put):
    path = put(tmp_path / "a.csv", "text,label,more\na,x,m\n")
    for asked in ({"column": "label"}, {"label_column": "text"}, {"pair_column": "text"},
                  {"pair_column": "label"}):  # fmt: skip
        with pytest.raises(UserError, match="cannot be both the"):
            read_texts(path, **asked)
    with pytest.raises(UserError, match="'more' cannot be both the sources and the targets"):
        read_pairs(path, source_column="more", target_column="more")
    assert read_pairs(path, source_column="more", target_column="text")
    words = put(tmp_path / "a.jsonl", '{"tokens": ["a"], "pos_tags": ["X"]}\n')
    with pytest.raises(UserError, match="'tokens' cannot be both the words and the tags"):
        read_tagged(words, "tokens")
