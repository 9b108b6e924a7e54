"""Choose a reducer by a quality to keep or a budget of multiply-accumulates."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from tokenexit.calibration.rows.config import ReducerGoal
from tokenexit.calibration.rows.evolution import Shares, evolve
from tokenexit.calibration.rows.found import FoundReducer, TriedReducer, best_of, frontier_of
from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError
from tokenexit.evaluation.evaluate import Result, evaluate
from tokenexit.evaluation.processes import is_main
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.policies.never import Never
from tokenexit.reducers import Reducer
from tokenexit.reducers.counts import Counted
from tokenexit.results import kept

logger = logging.getLogger(__name__)


def calibrate_reducer(
    model: Any,
    split: TaggedSplit,
    goal: ReducerGoal,
    *,
    name: str = "validation",
    batch_size: int = 32,
    on_unknown: str = "error",
    seed: int = 0,
    held_to: float | None = None,
) -> FoundReducer:
    """Choose a setting of a model's reducer by real runs. The model is not changed.

    Args:
        model: A tagger or text classifier that has a reducer.
        split: Texts with right answers that the model was not trained on.
        goal: What is to be kept or saved, and which way settings are tried.
        name: Name of the split.
        batch_size: Texts a batch.
        on_unknown: ``error`` or ``keep`` labels outside the training set, as wrong.
        seed: Of the search.
        held_to: Quality of which a share is to be kept, such as that of another model; the model's
            own without a reducer when None.

    Raises:
        UserError: No reducer, one that cannot be turned in this way, or texts without answers.
    """
    reducer = check_tunable(model, goal)
    trials = Trials(model, split, name, batch_size, on_unknown, held_to)
    if goal.by == "search":
        assert isinstance(reducer, Counted)
        _search(trials, reducer, goal, seed)
    else:
        _turn(trials, reducer, goal)
    best, reached = best_of(trials.tried, goal)
    if not reached and is_main():
        logger.warning("No setting of the reducer is as asked; took the nearest to it.")
    return FoundReducer(
        split=name,
        n_sentences=len(split),
        reducer=best.reducer,
        reached=reached,
        goal={key: value for key, value in asdict(goal).items() if value is not None},
        metric=trials.metric,
        quality_full=trials.full,
        chosen=best,
        tried=sorted(trials.tried, key=lambda one: -one.mac_ratio),
    )


def check_tunable(model: Any, goal: ReducerGoal) -> Reducer:
    """The reducer of a model, if it can be chosen as is asked.

    Raises:
        UserError: There is none, or it cannot.
    """
    reducer = model.reducer if isinstance(model, EncoderModel) else None
    if reducer is None:
        raise UserError(
            "There is no reducer to calibrate: give one, such as reducer.name=significance in a "
            "recipe or --reducer significance, of a tagger or text classifier."
        )
    if goal.by == "search" and not isinstance(reducer, Counted):
        raise UserError(
            "A search is over shares of rows, as significance and core_set keep them, and the "
            f"model has {reducer!r}: turn its threshold instead (by=threshold)."
        )
    if goal.by != "search" and reducer.threshold_spec() is None:
        raise UserError(f"{reducer!r} has no threshold to calibrate; use it as it is.")
    return reducer


class Trials:
    """Settings of a reducer on one split; each is run once.

    Args:
        model: The model.
        split: Texts.
        name: Name of the split.
        batch_size: Texts a batch.
        on_unknown: See ``calibrate_reducer``.
        held_to: See there.

    Attributes:
        full: Quality of which a share is to be kept.
        metric: What quality is.
        depth: Layers of the network.
    """

    def __init__(
        self,
        model: EncoderModel,
        split: TaggedSplit,
        name: str,
        batch_size: int,
        on_unknown: str,
        held_to: float | None,
    ) -> None:
        self._model, self._split, self._name = model, split, name
        self._options: dict[str, Any] = {"batch_size": batch_size, "on_unknown": on_unknown}
        with _using(model, None):
            own: Result = evaluate(model, split, name, Never(), **self._options)[0]
        self.metric, self.full = own.metric, own.quality_full_depth if held_to is None else held_to
        self._options |= {"on_unknown": None, "full_depth": self.full}
        self.depth = model.backbone.num_layers
        self._known: dict[str, TriedReducer] = {}

    @property
    def tried(self) -> list[TriedReducer]:
        """All that was run."""
        return list(self._known.values())

    def run(self, reducer: Reducer) -> TriedReducer:
        """Run a setting, unless it was run before."""
        key = reducer.to_json()
        if key not in self._known:
            with _using(self._model, reducer):
                told = self._model, self._split, self._name, Never()
                one = evaluate(*told, **self._options)[0]
            share = kept(one.quality, one.quality_full_depth, one.lower_is_better)
            config = reducer.to_config()
            self._known[key] = TriedReducer(config, one.quality, share, one.mac_ratio)
        return self._known[key]


@contextmanager
def _using(model: EncoderModel, reducer: Reducer | None) -> Iterator[None]:
    before = model.reducer
    model.use_reducer(reducer)
    try:
        yield
    finally:
        model.use_reducer(before)


def _search(trials: Trials, reducer: Counted, goal: ReducerGoal, seed: int) -> None:
    """Shares of rows, layer by layer."""

    def survivors(new: Sequence[Shares]) -> list[Shares]:
        for shares in new:
            trials.run(replace(reducer, ratio=1.0, counts=(), shares=shares))  # type: ignore[type-var]
        return [tuple(one.reducer["shares"]) for one in frontier_of(trials.tried)]

    told = {"ratio": goal.ratio, "rounds": goal.rounds, "children": goal.children}
    evolve(survivors, trials.depth, seed=seed, **told)


def _turn(trials: Trials, reducer: Reducer, goal: ReducerGoal) -> None:
    """Half of the settings evenly, the rest where what is as asked ends."""
    spec, quality = reducer.threshold_spec(), goal.kept
    assert spec is not None
    places: dict[float, bool] = {}

    def ask(place: float) -> None:
        one = trials.run(reducer.with_threshold(spec.value(place)))
        kept = one.relative_quality >= quality if quality is not None else one.mac_ratio > budget
        places[place] = kept

    budget = 1 / (goal.speedup or 1.0)
    even = max(goal.settings // 2, 2)
    for number in range(even):
        ask(number / (even - 1))
    for _ in range(goal.settings - even):
        # The strict end keeps the quality, and is above a budget.
        last = max((place for place, kept in places.items() if kept), default=0.0)
        beyond = [place for place in places if place > last]
        if not beyond:
            return
        ask((last + min(beyond)) / 2)
