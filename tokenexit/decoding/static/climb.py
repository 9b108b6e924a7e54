"""A step: segment after segment, until nobody is left."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tokenexit.decoding.cache import Index
from tokenexit.decoding.static import upwards
from tokenexit.decoding.static.choose import Choice, choose
from tokenexit.decoding.static.form import Asked, Form
from tokenexit.decoding.static.room import Room
from tokenexit.decoding.static.segment import run, run_pending, score_all
from tokenexit.decoding.static.sequences import StaticSequences
from tokenexit.decoding.static.sizes import width_for
from tokenexit.static.buckets import power
from tokenexit.static.segment import Segment

if TYPE_CHECKING:
    from tokenexit.decoding.static.network import Network


def climb(
    decoding: StaticSequences,
    asked: Asked,
    wanted: np.ndarray | None,
    choice: Choice | None = None,
) -> Index:
    """Take the sequences that live one token further.

    The host asks once after each exit at which the rule is asked, until nobody is left; after
    the top it need not. Where nothing is to be fetched all segments run, and it asks at the end.

    Args:
        decoding: What is ready for a step.
        asked: Who leaves.
        wanted: Which sequences live, ``[R]`` bool; None where the host does not know, nor want
            to know where they left.
        choice: How the next token is chosen; None leaves it to the caller.

    Returns:
        Where each sequence left, ``[R]``; 0 for those that do not live. Where the host does not
        know who lives, of no meaning.
    """
    place, form = decoding.length, asked.form
    _tell(decoding, asked, place)
    try:
        left, last = _up(decoding, form, wanted, choice)
        _end(decoding, form, last, choice)
    except Exception:
        decoding.undo()  # whoever tries again finds no half a token
        raise
    if not decoding.static.fetched and wanted is not None and len(form.segments) > 1:
        left = decoding.reads.fetch(decoding.room.exit_layer)[: decoding.num_rows]
    layers = np.where(left == 0, form.top, left.clip(min=0))
    upwards.left(decoding, form, last, None if wanted is None else layers)
    decoding.stepped()
    return layers


def _up(
    decoding: StaticSequences, form: Form, wanted: np.ndarray | None, choice: Choice | None
) -> tuple[Index, int]:
    """Where sequences left as far as the host knows, 0 if after the last layer that ran."""
    rows, last = decoding.num_rows, form.top
    left: Index = np.zeros(rows, dtype=np.int64) if wanted is None else wanted - 1
    for segment in form.segments:
        upwards.ready(decoding, segment.first, segment.last)
        _segment(decoding, form, segment, left == 0, choice)
        upwards.passed(decoding, segment.first, segment.last)
        if segment.last == form.top or not decoding.static.fetched:
            continue
        left = decoding.reads.fetch(decoding.room.exit_layer)[:rows]
        if (left != 0).all():
            last = segment.last
            break
    return left, last


def _tell(decoding: StaticSequences, asked: Asked, place: int) -> None:
    """Put the numbers of a rule where segments read them."""
    room = decoding.room
    if asked.rule.schedule is not None or room.rule is not asked:
        room.lines.copy_(asked.lines(place, room.place + 1))
        room.rule = asked
    if asked.rule.depths is not None:
        room.depth.copy_(asked.rule.depths(room.tokens, room.place + 1))


def _segment(
    decoding: StaticSequences,
    form: Form,
    segment: Segment,
    there: np.ndarray,
    choice: Choice | None,
) -> None:
    place = decoding.length
    width, room, network = width_for(place + 1), decoding.room, decoding.network
    then = choice if segment.last == form.top else None
    if form.window:
        filled = decoding.filled[segment.first - 1 : segment.last]
        count = power(int((decoding.steps + 1 - filled)[:, there].max()))
        work = partial(run_pending, network, room, form, segment, width, count)
        decoding.run((form, segment, width, count), work)
    else:
        work = partial(_run_and_choose, network, room, form, segment, width, then)
        decoding.run((form, segment, width, then), work)


def _run_and_choose(
    network: Network, room: Room, form: Form, segment: Segment, width: int, choice: Choice | None
) -> None:
    run(network, room, form, segment, width)
    if choice is not None:
        choose(room, choice)


def _end(decoding: StaticSequences, form: Form, last: int, choice: Choice | None) -> None:
    """What is left to do after a step that ended below the top: score, and choose."""
    if last == form.top:
        return
    late = not (form.scores_all or (form.rule.shortlist and not form.listed(last)))
    if late or choice is not None:
        work = partial(_score_and_choose, decoding.network, decoding.room, late, choice)
        decoding.run(("end", late, choice), work)


def _score_and_choose(network: Network, room: Room, late: bool, choice: Choice | None) -> None:
    if late:
        score_all(network, room)
    if choice is not None:
        choose(room, choice)
