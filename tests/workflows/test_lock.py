"""One writer a folder, for as long as it lives."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tokenexit.errors import UserError
from tokenexit.workflows.lock import LOCK, locked

pytestmark = pytest.mark.slow

HOLDS = """
import sys, time
from tokenexit.workflows.lock import locked
with locked(sys.argv[1], "a run"):
    print("held", flush=True)
    time.sleep(600)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_ends_with_the_process_that_is_killed(tmp_path):
    run = tmp_path / "run"
    process = holder(run)
    try:
        with pytest.raises(UserError, match=rf"a run \(process {process.pid}\)"), locked(run):
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (run / LOCK).is_file()  # what a kill leaves locks nobody out
    with locked(run):
        assert (run / LOCK).read_text().split()[0].isdigit()
    assert not (run / LOCK).exists()


def test_by_any_name_of_the_folder(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    with locked(tmp_path / "run"):
        for name in ("run", "./run/", "link", tmp_path / "run" / ".." / "run"):
            with pytest.raises(UserError, match="being written"), locked(name):
                pass


def test_other_folders_are_free(tmp_path):
    with locked(tmp_path / "a"), locked(tmp_path / "a" / "b"), locked(tmp_path / "c"):
        assert (tmp_path / "a" / "b").is_dir()
    assert not list(tmp_path.iterdir())


def test_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match="cannot be written"), locked(tmp_path / "run"):
        pass
    assert (tmp_path / "victim").read_text() == "mine"


def test_an_owner_that_goes_meanwhile_takes_its_file_along(tmp_path, monkeypatch):
    """A lock on a file that has lost its name would keep nobody out."""
    from tokenexit.workflows import lock

    (tmp_path / LOCK).touch()
    same, asked = lock._same_file, []

    def gone(handle: int, path: Path) -> bool:
        if not asked:
            asked.append(time.monotonic())
            path.unlink()
        return same(handle, path)

    monkeypatch.setattr(lock, "_same_file", gone)
    with locked(tmp_path), pytest.raises(UserError, match="being written"), locked(tmp_path):
        pass
