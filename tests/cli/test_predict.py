"""``tokenexit predict``: what it can be told, and answers while texts come."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tokenexit.cli.lines import Lines
from tokenexit.errors import UserError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ENV = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
PROGRAM = [sys.executable, "-m", "tokenexit", "predict"]


def words(shown: str) -> list[list[str]]:
    return [json.loads(line)["words"] for line in shown.splitlines()]


# --- lines -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"\xef\xbb\xbfa\r\nb\r\n", ["a", "b"]),
        ("a\x0cb\u2028c\n\x85".encode(), ["a\x0cb\u2028c", "\x85"]),
        (b"x" * 200_000 + b"\ny", ["x" * 200_000, "y"]),
        ("é".encode() * 70_001, ["é" * 70_001]),  # a letter across what is read at once
    ],
)
def test_lines_of_a_file(content, lines, tmp_path):
    file = tmp_path / "text"
    file.write_bytes(content)
    source = Lines(str(file))
    assert [line for block in source.blocks(2) for line in block] == lines
    assert source.total == len(lines)
    assert all(len(block) <= 2 for block in source.blocks(2))


def test_lines_of_a_pipe_come_as_they_are_written(tmp_path):
    read, write = os.pipe()
    blocks = Lines(f"/dev/fd/{read}").blocks(4)
    os.write(write, b"a\nb\nc")
    assert next(blocks) == ["a", "b"]
    os.write(write, b"d\n" + b"e\n" * 6)
    assert [next(blocks), next(blocks)] == [["cd", "e", "e", "e"], ["e", "e", "e"]]
    os.close(write)
    assert list(blocks) == []
    os.close(read)


def test_what_cannot_be_read(tmp_path):
    for file, told in ((str(tmp_path), "is a folder"), (str(tmp_path / "no"), "There is no file")):
        with pytest.raises(UserError, match=told):
            Lines(file)
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"fine\nnot \xff\n")
    with pytest.raises(UserError, match="cannot be read as UTF-8 text: line 2"):
        Lines(str(bad))


# --- what it can be told -----------------------------------------------------------------------


def test_words_as_they_are(cli, folder):
    done = cli("predict", folder, "--pretokenized", stdin=b"Ada 's  U.S , x.y\n\n")
    assert words(done.out) == [["Ada", "'s", "U.S", ",", "x.y"], []]


def test_words_as_they_are_are_not_split(cli, folder):
    done = cli("predict", folder, "--pretokenized", "--splitter", "whitespace", stdin=b"a b\n")
    assert (done.code, done.out) == (2, "")
    assert "give one of the two" in done.err


def test_another_splitter(cli, folder):
    assert words(cli("predict", folder, "--splitter", "whitespace", stdin=b"it's, so").out) == [
        ["it's,", "so"]
    ]
    assert words(cli("predict", folder, "--splitter", "words+clitics", stdin=b"it's").out) == [
        ["it", "'s"]
    ]


def test_decoding(cli, folder):
    text = b"ada was born in london and paris she , ." * 3
    free, legal = (
        cli("predict", folder, "--decode", how, stdin=text).out for how in ("argmax", "legal")
    )
    assert free != legal
    assert all("score" in entity for entity in json.loads(legal)["entities"])


def test_into_a_file(cli, folder, tmp_path):
    out = tmp_path / "new" / "found.jsonl"
    text = tmp_path / "text.txt"
    text.write_bytes(b"Ada\nwas born\n" * 40)
    done = cli("predict", folder, text, "--output", out, "--batch-size", 7, "--progress")
    assert (done.code, done.out) == (0, "")
    assert "80/80" in done.err
    shown = cli("predict", folder, text, "--no-progress")
    assert out.read_text(encoding="utf-8") == shown.out
    assert shown.err == ""
    assert [p.name for p in out.parent.iterdir()] == ["found.jsonl"]
    text.write_bytes(b"Ada\n\xff\n")
    assert cli("predict", folder, text, "--output", out).code == 2
    assert out.read_text(encoding="utf-8") == shown.out  # the old file


def test_nothing_that_a_terminal_obeys(cli, folder):
    done = cli(
        "predict", folder, "--splitter", "whitespace", stdin="a\x9b2J \u202eb \x1b[1m".encode()
    )
    assert not {"\x9b", "\u202e", "\x1b"} & set(done.out)
    assert words(done.out) == [["a\x9b2J", "\u202eb", "\x1b[1m"]]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--dtype", "float8"], "Unknown dtype 'float8'"),
        (["--device", "toaster"], "no device 'toaster'"),
        (["--device", "cuda:99"], "no device 'cuda:99'"),
        (["--pending", "lazy"], "--pending has no meaning for taggers"),
        (["--splitter", "letters"], "no splitter 'letters'"),
        (["--threads", "0"], "--threads"),
        (["--policy", "entropy:2"], "from 0 to 1"),
        (["--output", "/dev/null/x"], "cannot be written"),
        (["--output", "."], "is a folder"),
        (["--threads", "100000"], "--threads"),
        (["--batch-size", "9" * 30], "--batch-size"),
        (["--policy", "{"], "neither a name nor JSON"),
        (["--policy", "@x.json"], "neither a name nor JSON"),
    ],
)
def test_mistakes(options, told, cli, folder):
    done = cli("predict", folder, *options, stdin=b"Ada\n")
    assert done.code == 2
    assert told in done.err
    assert done.err.count("\n") == 1


def test_other_numbers(cli, folder):
    options = ["--dtype", "bfloat16", "--device", "cpu", "--threads", 1, "--policy", "entropy:0.5"]
    assert words(cli("predict", folder, *options, stdin=b"Ada sang\n").out) == [["Ada", "sang"]]


# --- while texts come --------------------------------------------------------------------------


def test_the_first_result_comes_before_the_input_ends(folder):
    with subprocess.Popen(
        [*PROGRAM, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENV
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        for text in (b"Ada sang\n", b"Paris\n"):
            program.stdin.write(text)
            program.stdin.flush()
            assert json.loads(program.stdout.readline())["text"] == text.decode().strip()
        program.stdin.close()
        assert program.wait() == 0


def test_it_ends_quietly_when_nobody_reads_on_or_somebody_stops_it(folder, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(
        [*PROGRAM, str(folder), str(pipe)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        with pipe.open("wb", buffering=0) as writer:
            writer.write(b"Ada\n")
            program.stdout.readline()
            program.stdout.close()
            writer.write(b"Ada\n" * 200)
            assert program.wait() in (0, 1, 141)
        assert program.stderr.read().strip() == b""
    with subprocess.Popen(
        [*PROGRAM, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENV,
        # Where tests run in the background interrupts are ignored, and a child inherits that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdin.write(b"Ada\n")
        program.stdin.flush()
        program.stdout.readline()
        program.send_signal(signal.SIGINT)
        assert program.wait(timeout=120) == 130
        assert program.stderr.read().strip() == b""
