"""The curve of a run whose trade-off is a reducer's, or that of widths, not a policy's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenexit.calibration.rows.found import TriedReducer, frontier_of
from tokenexit.evaluation.curve import point
from tokenexit.policies.never import Never
from tokenexit.reducers import Reducer, from_config
from tokenexit.widths import Widths
from tokenexit.workflows.recipes import Measure
from tokenexit.workflows.reducing import REDUCER
from tokenexit.workflows.same_run import read_record

Dial = Reducer | Widths
"""What makes the trade-off where no policy does."""

SHARES = (1.0, 0.75, 0.5, 0.25)
"""Widths that are run."""

SURENESS = (0.0, 0.3, 0.5, 0.7)
"""Of selectors, likewise: none is left out at 0."""


def dial_of(model: Any) -> Dial | None:
    """The reducer of a model, else its widths; None where it has neither."""
    return getattr(model, "reducer", None) or getattr(model, "widths", None)


def reducer_settings(folder: Path, reducer: Dial, count: int) -> list[Dial | None]:
    """Settings to run, the most work first: none, and those on the frontier of a calibration.

    Where there was none, the reducer as it is and values of its threshold. Of widths that are a
    share of each layer, other shares; those of pruned layers as they are. Of selected ones, how
    sure selectors have to be.

    Args:
        folder: Of the run.
        reducer: Of its model, or its widths.
        count: Settings at most, beside none.
    """
    if isinstance(reducer, Widths) and reducer.selected is not None:
        chosen = [Widths(selected=sure) for sure in SURENESS[: max(count, 1)]]
        return [*dict.fromkeys([*chosen, reducer])]
    if isinstance(reducer, Widths):
        by_share = isinstance(reducer.heads, float) and isinstance(reducer.neurons, float)
        shares = [Widths(share, share) for share in SHARES[: max(count, 1)]] if by_share else []
        return [*dict.fromkeys([*shares, reducer])]
    path, found = folder / REDUCER, list[Reducer]()
    if path.is_file():
        tried = [TriedReducer(**one) for one in read_record(path)["tried"]]
        front = frontier_of(tried)[::-1]
        found = [from_config(front[place].reducer) for place in _even(len(front), count - 1)]
    elif (spec := reducer.threshold_spec()) is not None and count > 1:
        places = [number / max(count - 2, 1) for number in range(count - 1)]
        values = [float(f"{spec.value(place):.4g}") for place in places]
        found = [reducer.with_threshold(value) for value in values]
    return [None, *dict.fromkeys([*found, reducer])]


def _even(length: int, count: int) -> list[int]:
    """So many places of a list, both ends among them."""
    if length <= count:
        return list(range(length))
    return [round(n * (length - 1) / max(count - 1, 1)) for n in range(count)]


def sweep_reducer(
    model: Any, settings: list[Dial | None], run_one: Measure, found: dict[str, Any]
) -> Iterator[None]:
    """Run settings that are not among the points yet; yields after each.

    Args:
        model: Whose reducer is set, and set back.
        settings: From ``reducer_settings``.
        run_one: Runs a policy.
        found: Of the run; its ``points`` grow.
    """
    done = {one.get("reducer") for one in found["points"]}
    for reducer in settings:
        told = reducer_text(reducer)
        if told in done:
            continue
        with reduced_by(model, told):
            result = run_one(Never())
        value = reducer.threshold_value() if isinstance(reducer, Reducer) else None
        about = asdict(point("engine", Never(), value, result))
        found["points"].append({**about, "family": _name(reducer), "reducer": told})
        yield


def _name(reducer: Dial | None) -> str:
    if isinstance(reducer, Widths):
        return "widths"
    return "no reducer" if reducer is None else reducer.to_config()["name"]


def reducer_text(reducer: Dial | None) -> str:
    """A reducer, or widths, as one line of JSON, ``null`` for none."""
    return "null" if reducer is None else reducer.to_json()


@contextmanager
def reduced_by(model: Any, told: str | None) -> Iterator[None]:
    """A model with a reducer, or widths, of a point; as it is where the point names none."""
    if told is None:
        yield
        return
    given: Mapping[str, Any] | None = json.loads(told)
    widths = given is not None and "name" not in given
    before = model.settings.widths if widths else model.settings.reducer
    use = model.use_widths if widths else model.use_reducer
    use(given)
    try:
        yield
    finally:
        use(before)
