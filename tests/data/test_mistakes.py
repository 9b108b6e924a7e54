"""What people give by mistake: one message with the file, the row and what to do."""

from __future__ import annotations

import decimal
import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenexit.data.files import read_file
from tokenexit.data.pairs import read_pairs
from tokenexit.data.source import load_splits
from tokenexit.data.tagged import read_tagged
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError

datasets = pytest.importorskip("datasets")
GOOD = '{"tokens": ["Ada"], "ner_tags": ["B-PER"], "text": "a", "label": "x"}\n'


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(path: Path, *values: dict) -> Path:
    return put(path, "\n".join(map(json.dumps, values)))


class TestText:
    """CSV and TSV are read as they are written."""

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    @pytest.mark.parametrize("kind", ["csv", "tsv"])
    def test_nothing_is_guessed(self, tmp_path, end, mark, kind):
        values = ["007", "08", "7", "True", "1.0", "1e5", "NA", "null", "nan", "None", "-", "+1"]
        between = "," if kind == "csv" else "\t"
        lines = [between.join(("text", "label")), *(f"{v}{between}{v}" for v in values)]
        split = read_texts(put(tmp_path / f"a.{kind}", mark + end.join(lines)))["all"]
        assert split.tokens == [[value] for value in values]
        assert split.tags == [[value] for value in values]

    def test_sources_and_targets(self, tmp_path):
        path = put(tmp_path / "a.tsv", "source\ttarget\n12\t2020-01-01\n\tNA\n")
        assert read_pairs(path)["all"].targets == ["2020-01-01", "NA"]
        assert read_pairs(path)["all"].sources == ["12", ""]

    def test_long_fields_quotes_and_line_ends_inside(self, tmp_path):
        long = "x" * 3_000_000
        path = put(tmp_path / "a.csv", f'text,label\n"{long}",a\n"two\r\nlines, ""q""",b\n\n,c\n')
        assert read_texts(path)["all"].tokens == [[long], ['two\r\nlines, "q"'], [""]]

    def test_empty_lines_before_and_between(self, tmp_path):
        for kind, mark in (("csv", ","), ("tsv", "\t")):
            path = put(tmp_path / f"a.{kind}", f"\n\r\ntext{mark}label\n\na{mark}x\n\n\n")
            assert read_texts(path)["all"].tokens == [["a"]]

    def test_one_column_keeps_its_empty_texts(self, tmp_path):
        for kind in ("csv", "tsv"):
            path = put(tmp_path / f"a.{kind}", "text\na\n\nb\n")
            assert read_texts(path, label_column=None)["all"].tokens == [["a"], [""], ["b"]]

    def test_null_bytes_are_characters(self, tmp_path):
        assert read_texts(put(tmp_path / "a.tsv", "text\tlabel\na\0b\tx\n"))["all"].tokens == [
            ["a\0b"]
        ]

    def test_numbers_to_learn_are_parsed(self, tmp_path):
        path = put(tmp_path / "a.csv", "text,label\na,007\nb,-1e-1\nc, .5 \n")
        assert read_texts(path, regression=True)["all"].tags == [["7.0"], ["-0.1"], ["0.5"]]

    @pytest.mark.parametrize("value", ["NA", "inf", "nan", "1_0", "0x1", "1e999", "True", "٣"])
    def test_what_is_no_number(self, tmp_path, value):
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
    def test_malformed_tables(self, tmp_path, name, content, message):
        with pytest.raises(UserError, match=message):
            read_texts(put(tmp_path / name, content))

    def test_doubled_columns_that_nobody_needs(self, tmp_path):
        path = put(tmp_path / "a.csv", "id,text,id,label\n1,a,2,b\n")
        assert read_texts(path)["all"].tokens == [["a"]]

    @pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
    def test_one_word_a_row(self, tmp_path, name):
        mark = "," if name == "a.csv" else "\t"
        for first in ("Word", "tokens"):
            lines = [mark.join((first, "Tag")), mark.join(("Ada", "B-PER"))]
            with pytest.raises(UserError, match=r"one word a row is read as CoNLL columns"):
                read_tagged(put(tmp_path / name, "\n".join(lines)))


class TestEncodings:
    @pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.conll", "a.conllu"])
    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    def test_wide_ones_are_named(self, tmp_path, name, encoding):
        path = put(tmp_path / name, '{"text": "abc",\n "label"'.encode(encoding))
        wanted = "UTF-32" if encoding == "utf-32" else "UTF-16"
        with pytest.raises(UserError, match=rf"{name} is not UTF-8 text: it looks like {wanted}"):
            read_file(path)

    @pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.conll", "a.conllu"])
    @pytest.mark.parametrize(("byte", "guess"), [(b"\xfc", "Latin-1"), (b"\x93", "Windows-1252")])
    def test_narrow_ones_are_guessed(self, tmp_path, name, byte, guess):
        path = put(tmp_path / name, b"one\ntwo\nth" + byte + b"ree\n")
        with pytest.raises(UserError, match=rf"{name}, line 3: not UTF-8.*{guess}.*iconv"):
            read_file(path)

    @pytest.mark.parametrize("text", ["Zürich, Köln", "東京です", "😀é"])
    def test_one_damaged_byte_is_no_other_encoding(self, tmp_path, text):
        content = f"text\tlabel\n{text}\tx\n".encode()
        path = put(tmp_path / "a.tsv", content + b"a\xff\tx\n")
        with pytest.raises(
            UserError, match=r"a\.tsv, line 3: .*0xff.*that byte is damaged"
        ) as error:
            read_texts(path)
        assert "iconv" not in str(error.value)

    def test_a_corrupt_byte_in_parquet(self, tmp_path):
        column = pa.array([b"fine", b"bro\xffken"]).view(pa.string())
        pq.write_table(pa.table({"text": column, "label": ["a", "b"]}), tmp_path / "a.parquet")
        with pytest.raises(UserError, match=r"a\.parquet, row 1, column 'text'.*UnicodeDecodeErr"):
            read_texts(tmp_path / "a.parquet")

    @pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.conll"])
    def test_surrogates_that_a_program_has_written(self, tmp_path, name):
        mark = "," if name == "a.csv" else "\t"
        half, whole = "x\ud83d", "\ud83d\ude00"
        text = f"text{mark}label\n{half}{mark}{whole}\n"
        if name == "a.json":
            text = f'[{{"text": "{half}", "label": "{whole}"}}]'
        table = read_file(put(tmp_path / name, text.encode("utf-8", "surrogatepass")))
        if name == "a.conll":
            assert table.column("tokens") == [["text", "x\ufffd"]]
            assert table.column("tags") == [["label", "\U0001f600"]]
        else:
            assert table.to_list() == [{"text": "x\ufffd", "label": "\U0001f600"}]

    @pytest.mark.parametrize("text", ["\ud83d", "a\ude00b", "\ud83d\ud83d"])
    def test_lone_surrogates(self, tmp_path, text):
        path = rows(tmp_path / "a.jsonl", {"text": text, "label": text, "tokens": [text]})
        whole = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
        assert read_texts(path)["all"].tokens == [[whole]]
        assert read_texts(path)["all"].tags == [[whole]]
        assert read_tagged(path, None)["all"].tokens == [[whole]]


class TestUnusedColumns:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (1, "2b"),
            ({"page": 1}, "none"),
            (2**128, None),
            ([1], [["a"]]),
            ({"a": {"b": [1]}}, {"a": 1}),
            (True, 1.5),
            ("\ud83d", []),
        ],
    )
    def test_may_hold_anything(self, tmp_path, first, second):
        made = [json.loads(GOOD) | {"id": value} for value in (first, second)]
        assert read_tagged(rows(tmp_path / "a.jsonl", *made))["all"].tokens == [["Ada"], ["Ada"]]
        assert len(read_texts(put(tmp_path / "a.json", json.dumps(made)))["all"]) == 2

    def test_in_parquet(self, tmp_path):
        table = pa.table(
            {
                "price": pa.array([decimal.Decimal("1.5")]),
                "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
                "broken": pa.array([b"\xff"]).view(pa.string()),
                "when": pa.array([10**18], pa.timestamp("ns")),
                "text": ["a"],
                "label": ["x"],
            }
        )
        pq.write_table(table, tmp_path / "a.parquet")
        assert read_texts(tmp_path / "a.parquet")["all"].tokens == [["a"]]
        with pytest.raises(UserError, match=r"row 0, column 'map': .* is no text"):
            read_texts(tmp_path / "a.parquet", column="map")
        with pytest.raises(UserError, match=r"row 0, column 'price': Decimal.* is no label"):
            read_texts(tmp_path / "a.parquet", label_column="price")


class TestLabels:
    @pytest.mark.parametrize(
        ("label", "message"),
        [
            (["a", "b"], r"\['a', 'b'\] is no label: a text has one"),
            ([[0, 3, "PER"]], "nor spans with offsets"),
            ({"a": 1}, "is no label"),
            (True, "True is no label. Write labels as strings"),
            (1.0, "a number with a fraction"),
            (float("nan"), "a number with a fraction.*pandas"),
        ],
    )
    def test_what_is_none(self, tmp_path, label, message):
        path = rows(
            tmp_path / "a.jsonl", {"text": "a", "label": "x"}, {"text": "b", "label": label}
        )
        with pytest.raises(UserError, match=rf"a\.jsonl, row 1, column 'label': .*{message}"):
            read_texts(path)

    def test_whole_numbers_are_labels_by_their_digits(self, tmp_path):
        made = [{"text": "a", "label": value} for value in (1, "1", "01", 2**70)]
        tags = read_texts(rows(tmp_path / "a.jsonl", *made))["all"].tags
        assert tags == [["1"], ["1"], ["01"], [str(2**70)]]

    @pytest.mark.parametrize("value", [10**400, [1.0], {"a": 1}, "1", float("inf"), True])
    def test_what_cannot_be_learned(self, tmp_path, value):
        path = rows(tmp_path / "a.jsonl", {"text": "a", "label": value})
        with pytest.raises(UserError, match=r"row 0, column 'label': .* is no number"):
            read_texts(path, regression=True)

    @pytest.mark.parametrize("number", [2, 9])
    def test_a_class_without_a_name(self, tmp_path, number):
        names = datasets.ClassLabel(names=["a", "b"])
        table = pa.table({"text": ["t"], "label": [number], "tokens": [["t"]], "ner": [[number]]})
        both = {"label": names, "ner": datasets.List(names)}
        info = {"info": {"features": datasets.Features(both).to_dict()}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
        pq.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(UserError, match=rf"row 0, .*{number} is no label: .* for 0 to 1"):
            read_texts(tmp_path / "a.parquet")
        with pytest.raises(UserError, match=rf"row 0, .*{number} among the tags, .* 0 to 1"):
            read_tagged(tmp_path / "a.parquet")

    @pytest.mark.parametrize("tokens", [None, "a b", [1], ["a", None], [["a"]], {"a": 1}, 7])
    def test_words_that_are_none(self, tmp_path, tokens):
        path = rows(tmp_path / "a.jsonl", {"tokens": tokens, "ner_tags": ["O"]})
        with pytest.raises(UserError, match=r"a\.jsonl, row 0, column 'tokens'"):
            read_tagged(path)

    def test_odd_words_are_words(self, tmp_path):
        words = ["", " ", "a b", "a\nb", "\u200b", "\u00a0", "\0"]
        path = rows(tmp_path / "a.jsonl", {"tokens": words, "ner_tags": ["O"] * len(words)})
        assert read_tagged(path)["all"].tokens == [words]

    @pytest.mark.parametrize("text", ["text", "data", "tokens"])
    @pytest.mark.parametrize("name", ["entities", "spans", "annotations"])
    def test_spans_with_offsets(self, tmp_path, text, name):
        held = ["Ada", "ran"] if text == "tokens" else "Ada ran"
        path = rows(tmp_path / "a.jsonl", {text: held, name: [[0, 3, "PER"]]})
        with pytest.raises(UserError, match=r"offsets \(doccano, spaCy.*offsets_to_biluo_tags"):
            read_tagged(path)


class TestJson:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (GOOD + '{"text": ' + "[" * 200_000, r"a\.jsonl, line 2: nested too deep"),
            (GOOD + '{"id": 1' + "0" * 5000 + "}", r"a\.jsonl, line 2: .*4300.*Mend"),
            (GOOD + "{'text': 'a'}", r"a\.jsonl, line 2: not valid JSON"),
            ('{\n"text": ["a"],\n"label": ["b"]}', r"one object with the keys text, label"),
            ("[1, 2]", "row 0 is int"),
            ('{"text": "a", "text": "b", "label": "x"}', "2 columns are named 'text'"),
            ('[{"text": "a"}\n{"text": "b"}]', "not valid JSON at line 2"),
            ("\n\n", "has no rows"),
            ("null", "row 0 is NoneType"),
        ],
    )
    def test_malformed(self, tmp_path, content, message):
        with pytest.raises(UserError, match=message):
            read_texts(put(tmp_path / "a.jsonl", content))

    def test_doubled_keys_that_nobody_needs(self, tmp_path):
        content = '{"id": 1, "id": 2, "meta": {"a": 1, "a": 2}, "text": "\\ud83d", "label": "x"}'
        assert read_texts(put(tmp_path / "a.json", content))["all"].tokens == [["\ufffd"]]

    def test_packed(self, tmp_path):
        packed = gzip.compress(GOOD.encode() * 9)
        assert len(load_splits(put(tmp_path / "train.jsonl.gz", packed).parent)["train"]) == 9
        for content in (packed[:-9], packed[:20], b"plain", b""):
            with pytest.raises(UserError, match=r"cannot be unpacked|has no rows"):
                read_file(put(tmp_path / "a.jsonl.gz", content))
        for name in ("a.jsonl.zip", "a.parquet.gz", "a.csv.bz2"):
            with pytest.raises(UserError, match="Unpack it first"):
                read_file(tmp_path / name)

    def test_packed_shards(self, tmp_path):
        for number in range(2):
            put(tmp_path / f"train-0000{number}-of-00002.jsonl.gz", gzip.compress(GOOD.encode()))
        assert len(read_tagged(tmp_path)["train"]) == 2


class TestPlaces:
    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("/dev/null", "neither a file nor a folder but a device or a pipe"),
            ("x" * 5000 + ".jsonl", "cannot be looked up: File name too long"),
            ("~nosuchuser0/data", "cannot be looked up"),
            ("a\0b.jsonl", "cannot be looked up|does not exist"),
            (7, "a file, a folder or a Hub id"),
            (None, "a file, a folder or a Hub id"),
            (["a.jsonl"], "a file, a folder or a Hub id"),
        ],
    )
    def test_that_are_none(self, source, message):
        with pytest.raises(UserError, match=message):
            load_splits(source)

    def test_a_pipe(self, tmp_path):
        os.mkfifo(tmp_path / "a.jsonl")
        with pytest.raises(UserError, match=r"a\.jsonl is neither a file nor a folder"):
            load_splits(tmp_path / "a.jsonl")
        with pytest.raises(UserError, match="holds no data file"):
            load_splits(tmp_path)

    def test_a_folder_named_like_a_file(self, tmp_path):
        (tmp_path / "a.jsonl").mkdir()
        with pytest.raises(UserError, match=r"a\.jsonl holds no data file"):
            load_splits(tmp_path / "a.jsonl")

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read all")
    def test_without_permission(self, tmp_path):
        path = put(tmp_path / "train.jsonl", GOOD)
        path.chmod(0)
        with pytest.raises(UserError, match=r"train\.jsonl cannot be read as json: Permission"):
            load_splits(tmp_path)

    def test_a_file_that_cannot_be_opened(self, tmp_path, monkeypatch):
        def refuse(*_args, **_options):
            raise PermissionError(13, "Permission denied")

        path = put(tmp_path / "train.jsonl", GOOD)
        monkeypatch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(UserError, match=r"train\.jsonl cannot be read as json: Permission"):
            load_splits(path)

    def test_what_editors_and_systems_leave(self, tmp_path):
        put(tmp_path / "train.jsonl", GOOD)
        put(tmp_path / ".ipynb_checkpoints" / "train-checkpoint.jsonl", GOOD)
        for name in (
            "._train.jsonl",
            ".train.jsonl.swp",
            "train.jsonl~",
            "~train.csv",
            ".DS_Store",
        ):
            put(tmp_path / name, b"\0\0")
        assert list(load_splits(tmp_path)) == ["train"]

    def test_mixed_endings(self, tmp_path):
        put(tmp_path / "train.jsonl", GOOD)
        put(tmp_path / "test.csv", "text,label\na,x\n")
        assert read_texts(tmp_path)["test"].tags == [["x"]]
        put(tmp_path / "train.csv", "text,label\na,x\n")
        with pytest.raises(UserError, match="2 files claim the train split"):
            load_splits(tmp_path)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda folder: (folder / "train" / "state.json").write_text("{"),
            lambda folder: (folder / "train" / "state.json").write_text("[]"),
            lambda folder: (folder / "train" / "state.json").unlink(),
            lambda folder: (folder / "dataset_dict.json").write_text('{"splits": 3}'),
            lambda folder: (folder / "train" / "dataset_info.json").write_text('{"features": 1}'),
            lambda folder: next((folder / "train").glob("*.arrow")).unlink(),
            lambda folder: next((folder / "train").glob("*.arrow")).write_bytes(b"ARROW"),
        ],
    )
    def test_damaged_save_to_disk_folders(self, tmp_path, damage):
        made = datasets.Dataset.from_list([json.loads(GOOD)] * 20)
        datasets.DatasetDict({"train": made}).save_to_disk(tmp_path / "d")
        damage(tmp_path / "d")
        with pytest.raises(
            UserError, match=r"made by save_to_disk and cannot be read.*save it again"
        ):
            read_tagged(tmp_path / "d")

    def test_one_split_of_a_saved_folder_is_read(self, tmp_path):
        datasets.Dataset.from_list([json.loads(GOOD)]).save_to_disk(tmp_path / "d")
        (tmp_path / "d" / "state.json").unlink()
        assert read_tagged(tmp_path / "d")["all"].tokens == [["Ada"]]


class TestParquet:
    def test_damage(self, tmp_path):
        table = pa.table({"text": ["a"] * 50, "label": ["x"] * 50})
        pq.write_table(table, tmp_path / "a.parquet")
        whole = (tmp_path / "a.parquet").read_bytes()
        for content in (b"", b"PAR1", whole[:-1], whole[:-20], whole[: len(whole) // 2], b"no"):
            put(tmp_path / "a.parquet", content)
            with pytest.raises(UserError, match=r"a\.parquet cannot be read as parquet.*encrypted"):
                read_texts(tmp_path / "a.parquet")

    def test_encrypted(self, tmp_path):
        put(tmp_path / "a.parquet", b"PARE" + b"\1" * 60 + b"\x10\0\0\0PARE")
        with pytest.raises(UserError, match=r"a\.parquet cannot be read as parquet.*encrypted"):
            read_texts(tmp_path / "a.parquet")

    def test_no_rows(self, tmp_path):
        pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
        with pytest.raises(UserError, match=r"a\.parquet has no rows"):
            read_texts(tmp_path / "a.parquet")

    def test_doubled_columns(self, tmp_path):
        table = pa.table(
            [pa.array(["a"]), pa.array(["b"]), pa.array(["x"])], ["text"] * 2 + ["label"]
        )
        pq.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(UserError, match=r"a\.parquet: 2 columns are named 'text'"):
            read_texts(tmp_path / "a.parquet")

    @pytest.mark.parametrize(
        "said", [b"{", b"[]", b'{"info": 3}', b'{"info": {"features": {"other": {}}}}']
    )
    def test_what_the_file_says_of_its_columns_may_be_missing(self, tmp_path, said):
        table = pa.table({"text": ["a"], "label": ["x"]})
        pq.write_table(
            table.replace_schema_metadata({b"huggingface": said}), tmp_path / "a.parquet"
        )
        assert read_texts(tmp_path / "a.parquet")["all"].tags == [["x"]]

    def test_what_the_file_says_of_a_needed_column_is_damaged(self, tmp_path):
        said = b'{"info": {"features": {"label": {"_type": "Nothing"}}}}'
        table = pa.table({"text": ["a"], "label": ["x"]})
        pq.write_table(
            table.replace_schema_metadata({b"huggingface": said}), tmp_path / "a.parquet"
        )
        with pytest.raises(UserError, match=r"a\.parquet: what the file says of column 'label'"):
            read_texts(tmp_path / "a.parquet")
