"""Figures for papers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tokenexit.errors import UserError
from tokenexit.reporting import save_figures

Make = Callable[..., Path]


@pytest.mark.parametrize("format", ["pdf", "png", "svg"])
def test_figures_are_written(run: Path, format: str):
    pytest.importorskip("matplotlib")
    paths = save_figures(run, format)
    assert [path.name for path in paths] == [
        f"{n}.{format}" for n in ("curve", "exits", "reliability")
    ]
    assert all(path.stat().st_size > 2000 for path in paths)


def test_the_same_run_gives_the_same_file(run: Path):
    pytest.importorskip("matplotlib")
    first = [path.read_bytes() for path in save_figures(run, "svg")]
    assert first == [path.read_bytes() for path in save_figures(run, "svg")]


@pytest.mark.parametrize(("layers", "texts"), [(1, None), (6, []), (24, [[("one", 1)]])])
def test_unusual_runs(make_run: Make, layers: int, texts: Any):
    pytest.importorskip("matplotlib")
    assert save_figures(make_run(layers=layers, texts=texts), "svg")


def test_what_is_missing_is_left_out(make_run: Make):
    pytest.importorskip("matplotlib")
    run = make_run(skip=("traces/test.parquet",))
    assert [path.stem for path in save_figures(run)] == ["curve", "exits"]


def test_nothing_to_draw(make_run: Make):
    pytest.importorskip("matplotlib")
    skip = ("traces/test.parquet", "metrics.json", "pareto.csv")
    with pytest.raises(UserError, match="to draw from"):
        save_figures(make_run(skip=skip))


def test_unknown_format(run: Path):
    with pytest.raises(UserError, match="Did you mean 'png'"):
        save_figures(run, "pngg")


def test_without_matplotlib_the_extra_is_named(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r'pip install "tokenexit\[plots\]"'):
        save_figures(run)
