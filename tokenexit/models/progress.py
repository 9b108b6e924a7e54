"""Progress bars where people wait, and only where somebody asked for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

_SHOWN: ContextVar[bool] = ContextVar("shown", default=False)


@contextmanager
def showing_progress(wanted: bool = True) -> Iterator[None]:
    """Show on stderr how far models have come with the texts they are given inside."""
    before = _SHOWN.set(wanted)
    try:
        yield
    finally:
        _SHOWN.reset(before)


def show_progress(wanted: bool) -> None:
    """As ``showing_progress``, from here to the end of a program."""
    _SHOWN.set(wanted)


def tracked(steps: Sequence[T], what: str) -> Iterable[T]:
    """The steps of a pass over texts, with a bar where bars are shown."""
    if not _SHOWN.get() or len(steps) < 2:
        return steps
    from tqdm import tqdm

    return tqdm(steps, desc=what, unit="batch", leave=False, dynamic_ncols=True)


@contextmanager
def counting_up(total: int, what: str) -> Iterator[Callable[[int], object]]:
    """Something to be told how many more are done, with a bar where bars are shown."""
    if not _SHOWN.get():
        yield lambda more: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=what, leave=False, dynamic_ncols=True) as bar:
        yield bar.update
