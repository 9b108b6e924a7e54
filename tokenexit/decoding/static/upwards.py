"""How far each layer is filled, and what is made up before it runs again.

All sequences advance together, so that the host knows without asking: a layer has run at a step,
or none of them has reached it there.
"""

from __future__ import annotations

from functools import partial
from itertools import groupby

import numpy as np

from tokenexit.decoding.cache import Index
from tokenexit.decoding.static.counting import count_step, count_window
from tokenexit.decoding.static.form import Form
from tokenexit.decoding.static.layer import fill, project_sources
from tokenexit.decoding.static.sequences import StaticSequences
from tokenexit.static.buckets import power

MOST_AT_ONCE = 64
"""Places that are filled by one product at most."""


def ready(on: StaticSequences, first: int, last: int) -> None:
    """Make what layers, from 1, need to run at the next place."""
    if not on.projected[first - 1 : last].all():
        _project(on, first, last)
    if on.pending != "parallel":
        _fill(on, first, last, on.length)


def _project(on: StaticSequences, first: int, last: int) -> None:
    """Keys and values of the sources, in layers that nobody has reached before."""
    new = [layer for layer in range(first, last + 1) if not on.projected[layer - 1]]
    for low, high in _runs(new, [0] * len(new)):
        on.run(("source", low, high), partial(project_sources, on.network, on.room, low, high))
        on.projected[low - 1 : high] = True
        for layer in range(low, high + 1):
            on.work.sourced(layer - 1, int(on.lengths.sum()))


def _fill(on: StaticSequences, first: int, last: int, until: int) -> None:
    """Give tokens below a place keys and values in layers that they skipped."""
    starts = on.filled[first - 1 : last, 0].tolist()  # all sequences are as far
    if min(starts, default=until) >= until:
        return
    missing = [(n, start) for n, start in enumerate(starts, first) if start < until]
    for low, high in _runs([layer for layer, _ in missing], [start for _, start in missing]):
        start = starts[low - first]
        while start < until:
            count = _power_within(min(until - start, MOST_AT_ONCE))
            on.room.start.fill_(start)
            work = partial(fill, on.network, on.room, low, high, count)
            on.run(("fill", low, high, count), work)
            for layer in range(low, high + 1):
                on.work.propagated(layer - 1, count * on.num_rows)
            start += count
        on.filled[low - 1 : high] = until


def passed(on: StaticSequences, first: int, last: int) -> None:
    """Layers have run for the tokens of the next place."""
    if on.pending != "parallel":
        on.filled[first - 1 : last] = on.length + 1


def left(on: StaticSequences, form: Form, upto: int, layers: Index | None) -> None:
    """A step has ended after a layer, all sequences having left.

    Args:
        on: Whose.
        form: Who was asked what.
        upto: The layer.
        layers: Where each sequence left, ``[R]``; 0 for those that do not live. None where
            the host does not know yet.
    """
    place = on.length
    if on.pending == "eager":
        _fill(on, upto + 1, len(on.filled), place + 1)
    on.tops[place] = upto
    if layers is None:
        return
    if form.window:
        _passed_by(on, layers)
    count_step(on, form, place, upto, layers)


def wrote(on: StaticSequences, form: Form, first: int, layers: Index) -> None:
    """Where sequences left at some steps is known now, ``[R, T]``."""
    for place, here in enumerate(layers.T, first):
        count_step(on, form, place, on.tops[place], here)


def checked(on: StaticSequences) -> None:
    """All tokens have reached the top."""
    _passed_by(on, np.full(on.num_rows, len(on.filled)))


def _passed_by(on: StaticSequences, layers: Index) -> None:
    """Tokens went through layers together with all that were pending there."""
    count_window(on, on.filled, layers)
    depth = np.arange(1, len(on.filled) + 1)[:, None]
    on.filled = np.where(depth <= layers, on.steps + 1, on.filled)


def _power_within(count: int) -> int:
    """The largest power of two that is no more."""
    return power(count + 1) // 2


def _runs(layers: list[int], kinds: list[int]) -> list[tuple[int, int]]:
    """First and last of layers that follow one another and are of one kind."""
    numbered = enumerate(zip(layers, kinds, strict=True))
    named = [(layer, (kind, layer - number)) for number, (layer, kind) in numbered]
    groups = (list(group) for _, group in groupby(named, key=lambda pair: pair[1]))
    return [(group[0][0], group[-1][0]) for group in groups]
