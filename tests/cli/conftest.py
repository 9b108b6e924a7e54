"""A tagger's folder, built in code, and the console script in this process."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tokenexit.cli import main

_path = Path(__file__).parents[1] / "models" / "conftest.py"
_spec = importlib.util.spec_from_file_location("small_models", _path)
assert _spec is not None
assert _spec.loader is not None
_small = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_small)
wordpiece, make_tagger = _small.wordpiece, _small.make_tagger


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def folder(make_tagger: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tagger"
    make_tagger().save_pretrained(path)
    return path


@pytest.fixture
def cli(monkeypatch: Any, capsys: Any) -> Callable[..., Done]:
    def run(*arguments: Any, stdin: bytes = b"") -> Done:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["tokenexit", *map(str, arguments)])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            with pytest.raises(SystemExit) as stop:
                main()
        shown = capsys.readouterr()
        return Done(int(stop.value.code or 0), shown.out, shown.err)

    return run


@pytest.fixture
def ok(cli) -> Callable[..., str]:
    """The same, where nothing may go wrong."""

    def run(*arguments: Any, stdin: bytes = b"") -> str:
        done = cli(*arguments, stdin=stdin)
        assert done.code == 0, done.err
        return done.out

    return run
