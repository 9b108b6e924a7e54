"""Whether an evaluation is the best so far, and whether to go on after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tokenexit.errors import UserError
from tokenexit.objectives import Objective
from tokenexit.training.checkpoint import TrainerState
from tokenexit.training.config import TrainConfig

Evaluate = Callable[[Any], Mapping[str, Any]]
"""Returns at least ``quality``, by which the best step is chosen; called by every process."""


def judge_by_exits(evaluate: Evaluate) -> Evaluate:
    """The same, judged by the mean over exits, where their qualities are told (``by_exit``)."""

    def judged(model: Any) -> Mapping[str, Any]:
        found = evaluate(model)
        by_exit = found.get("by_exit")
        return {**found, "quality": sum(by_exit) / len(by_exit)} if by_exit else found

    return judged


def judge(state: TrainerState, quality: float, patience: int | None) -> bool:
    """Enter an evaluation into the state. Called by every process.

    What the main process measured counts everywhere, so that all stop at the same step.

    Args:
        state: Its best evaluation, how long ago that was and whether to stop are updated.
        quality: What the evaluation gave; one that is no number is no better than any.
        patience: Evaluations without a better one after which to stop; None for never.

    Returns:
        Whether it is the best so far.
    """
    if state.processes > 1:
        from accelerate.utils import broadcast_object_list

        quality = broadcast_object_list([quality])[0]
    better = quality > state.best_quality
    if better:
        state.best_quality, state.best_step, state.waited = quality, state.step, 0
    else:
        state.waited += 1
    state.stopped = ran_out(state, patience)
    return better


def ran_out(state: TrainerState, patience: int | None) -> bool:
    """Whether there is nothing more to wait for."""
    return patience is not None and state.waited >= patience


def check_patience(config: TrainConfig, objective: Objective, evaluated: bool) -> None:
    """Refuse to stop early where that has no meaning.

    Raises:
        UserError: Nothing is evaluated, or the exits are trained after the top, so that an
            evaluation without gain is no sign of an end.
    """
    if config.patience is None:
        return
    if not evaluated:
        raise UserError("train.patience counts evaluations, and there are none here.")
    if objective.staged:
        name = config.objective.get("name")
        raise UserError(
            f"train.patience cannot stop train.objective={name}, which trains in stages: the "
            "last would never begin. Leave it out, or use train.epochs."
        )
