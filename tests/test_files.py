"""Files are whole, and a failure to write is one sentence."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tokenexit.errors import UserError
from tokenexit.files import (
    check_output,
    clear_partials,
    json_line,
    output,
    replacing,
    sync_tree,
    to_json,
    write_json,
    write_text,
    writing,
)


def test_a_file_is_replaced(tmp_path: Path):
    write_text(tmp_path / "new" / "a.txt", "one\r\ntwo\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"one\r\ntwo\n"
    write_text(tmp_path / "new" / "a.txt", "three")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    def stop_half_way() -> None:
        with replacing(tmp_path / "a.txt") as partial:
            partial.write_text("half")
            raise KeyError

    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(KeyError):
        stop_half_way()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_the_mode_is_that_of_any_new_file(tmp_path: Path, mask: int):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.txt", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~mask


def test_a_link_is_replaced_and_not_followed(tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "a.json").symlink_to(victim)
    write_json(tmp_path / "a.json", {"a": 1})
    assert victim.read_text() == "precious"
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
    assert not (tmp_path / "a.json").is_symlink()


def test_json_is_valid_whatever_is_in_it():
    data = {"a": float("nan"), "b": [1.5, float("-inf")], "c": (None, "ü")}
    assert json.loads(to_json(data)) == {"a": None, "b": [1.5, None], "c": [None, "ü"]}


def test_half_a_surrogate_pair_survives(tmp_path: Path):
    write_json(tmp_path / "a.json", {"word": "\ud83d"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"word": "\ud83d"}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full. Make room"),
        (RuntimeError("Error: No space left on device (os error 28)"), "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system. Give a place"),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied"),
    ],
)
def test_a_failure_is_told_in_words(tmp_path: Path, error: Exception, told: str):
    with pytest.raises(UserError, match=told) as caught, replacing(tmp_path / "a.bin"):
        raise error
    assert str(tmp_path / "a.bin") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_library_that_cannot_tell_is_understood(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tokenexit.files._space", lambda path: 0)
    with pytest.raises(UserError, match="the disk is full"), replacing(tmp_path / "a.bin"):
        raise RuntimeError("unexpected pos 257088 vs 256976")


def test_other_errors_stay_what_they_are(tmp_path: Path):
    with pytest.raises(RuntimeError, match="something else"), replacing(tmp_path / "a.bin"):
        raise RuntimeError("something else")


def test_what_a_kill_left_is_cleared(tmp_path: Path):
    (tmp_path / ".a.json.x1.partial").write_text("half")
    (tmp_path / ".step.partial").mkdir()
    (tmp_path / "kept.json").write_text("{}")
    clear_partials(tmp_path)
    sync_tree(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("I/O error: No space left on device (os error 28)", "the disk is full"),
        ("Error while serializing: File too large (os error 27)", "File too large"),
        ("Read-only file system (os error 30)", "Read-only file system"),
    ],
)
def test_libraries_in_rust_tell_why_as_well(tmp_path, text, message):
    with pytest.raises(UserError, match=message), writing(tmp_path / "model.safetensors"):
        raise RuntimeError(text)


def test_one_line_of_json_does_nothing_to_a_terminal():
    text = "a\x9b2J\u202e\u2028\x7f\ud83d ü"
    line = json_line({"text": text, "none": float("nan")})
    assert json.loads(line) == {"text": text, "none": None}
    assert not {"\x9b", "\u202e", "\u2028", "\x7f", "\ud83d"} & set(line)
    assert "ü" in line


def test_a_pipe_is_written_into_and_stays_one(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with output(pipe) as out:
        out.write("one\n")
        assert os.read(reader, 100) == b"one\n"  # at once
    os.close(reader)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("name", ["/dev/null", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_devices_stay_what_they_are(name: str, tmp_path: Path):
    if not os.path.lexists(name):
        pytest.skip("no such device here")
    before = os.lstat(name).st_mode
    code = (
        "import sys; from tokenexit.files import check_output, output\n"
        "print('before', flush=True); check_output(sys.argv[1])\n"
        "with output(sys.argv[1]) as out: out.write('{}\\n')\n"
        "print('after')\n"
    )
    with (tmp_path / "shown").open("w") as shown:
        subprocess.run([sys.executable, "-c", code, name], check=True, stdout=shown)
    middle = "" if name == "/dev/null" else "{}\n"
    assert (tmp_path / "shown").read_text() == f"before\n{middle}after\n"
    assert stat.S_IFMT(os.lstat(name).st_mode) == stat.S_IFMT(before)


def test_a_place_is_refused_before_anything_is_written_to_it(tmp_path: Path):
    (tmp_path / "file").touch()
    for place, told in ((tmp_path, "is a folder"), (tmp_path / "file" / "x", "cannot be written")):
        with pytest.raises(UserError, match=told):
            check_output(place)
        with pytest.raises(UserError, match=told), output(place):
            pytest.fail("it was opened")
    check_output(tmp_path / "new" / "x")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_limit_on_the_size_of_files(tmp_path: Path):
    """Torch, whose error says nothing of it, safetensors and Python alike."""
    code = (
        "import resource, signal, sys, torch\n"
        "from safetensors.torch import save_file\n"
        "from tokenexit.errors import UserError\n"
        "from tokenexit.files import replacing\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "big = {'a': torch.zeros(50_000)}\n"
        "writers = [lambda p: torch.save(big, p), lambda p: save_file(big, p),\n"
        "           lambda p: p.write_bytes(bytes(200_000))]\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (99_999, 99_999))\n"
        "for write in writers:\n"
        "    try:\n"
        "        with replacing(sys.argv[1]) as partial:\n            write(partial)\n"
        "    except UserError as error:\n        print(error)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "file")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all("file cannot be written" in line for line in lines)
    assert list(tmp_path.iterdir()) == []
