"""The phases of a training: what each learns from, and what is checked of them beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tokenexit.errors import UserError, unknown_name
from tokenexit.objectives import Objective, from_config
from tokenexit.training import preparations
from tokenexit.training.batches import Example, labelled_words
from tokenexit.training.config import TrainConfig
from tokenexit.training.freezing import TOP, check_frozen
from tokenexit.training.patience import Evaluate, check_patience, judge_by_exits
from tokenexit.training.preparations import Preparation

PREVIOUS = "previous"


@dataclass(frozen=True)
class Phase:
    """One of the trainings of a run.

    Attributes:
        number: From 0.
        config: Its settings.
        objective: What is learned.
        prepare: What is done before.
        teacher: Number of the phase at whose beginning the model was what teaches; None without.
        folder: Of a saved model that teaches instead.
        name: For messages.
    """

    number: int
    config: TrainConfig
    objective: Objective
    prepare: tuple[Preparation, ...] = ()
    teacher: int | None = None
    folder: str | None = None
    name: str = "train"

    @property
    def is_kept(self) -> bool:
        """Whether the model is kept as it begins: it may be asked for again."""
        teacher = self.teacher is not None or self.folder is not None
        return self.number > 0 or teacher or bool(self.prepare)

    def label(self) -> dict[str, int]:
        """What entries of the log say of the phase, where there are several."""
        return {} if self.name == "train" else {"phase": self.number + 1}

    def judge(self, evaluate: Evaluate | None, model: Any) -> Evaluate | None:
        """How the phase's progress is judged: by the top, unless that is done or stays as it is.

        Then it is the mean over exits; and there is nothing to evaluate where those stay, too.
        """
        parts, frozen = model.parts(), {*self.config.freeze}
        top_stays = {*TOP} & {*parts} <= frozen
        if evaluate is None or (top_stays and not {"heads"} & {*parts} - frozen):
            return None
        return judge_by_exits(evaluate) if top_stays or self.objective.staged else evaluate

    def seed(self, seed: int) -> int:
        """The seed of a phase: its own draws and order, those of the run in the first."""
        return seed + (self.number << 32)


def phases_of(config: TrainConfig, *, evaluated: bool) -> list[Phase]:
    """The phases of a training, checked as far as can be without a model.

    Args:
        config: Settings.
        evaluated: Whether there will be evaluations.

    Raises:
        UserError: No such objective, preparation, teacher or share of the texts; an objective
            without what it reads; or patience where it cannot be had.
    """
    return [
        _phase(number, one, f"train.phases[{number}]" if config.phases else "train", evaluated)
        for number, one in enumerate(config.each())
    ]


def _phase(number: int, config: TrainConfig, name: str, evaluated: bool) -> Phase:
    objective = from_config(config.objective)
    check_patience(config, objective, evaluated)
    if config.split is not None and config.split not in config.splits:
        told = config.splits or ["none: set train.splits, such as {exits: 0.8, gate: 0.2}"]
        raise unknown_name(f"share of the texts in {name}.split", config.split, told)
    prepare = tuple(preparations.from_config(one) for one in config.prepare)
    for one in prepare:
        one.check(config.splits)
    given = {column for one in prepare for column in one.gives}
    called = config.objective.get("name")
    for column in objective.reads_columns:
        if column not in given:
            raise UserError(
                f"{name}: the objective {called} reads a column {column!r}, and no preparation "
                f"gives it (there are: {', '.join(sorted(given)) or 'none'}); set {name}.prepare."
            )
    given_teacher = config.teacher
    folder = given_teacher if isinstance(given_teacher, str) and given_teacher != PREVIOUS else None
    teacher = None if folder is not None else _teacher(given_teacher, number, name)
    if objective.reads_teacher and given_teacher is None:
        raise UserError(
            f"{name}: the objective {called} learns from a teacher; set {name}.teacher=previous."
        )
    return Phase(number, config, objective, prepare, teacher, folder, name)


def _teacher(given: str | int | None, number: int, name: str) -> int | None:
    if given is None:
        return None
    if given == PREVIOUS:
        return number
    if isinstance(given, int) and 1 <= given <= number:
        return given  # the model as that phase left it: as the next one begins
    told = f" or one of the phases before, 1 to {number}" if number else ""
    raise UserError(
        f"{name}.teacher must be {PREVIOUS}{told}, or the folder of a model, not {given!r}."
    )


def check_phases(model: Any, config: TrainConfig) -> None:
    """Refuse phases that a model cannot have.

    Raises:
        UserError: A part to freeze that it has not, nothing left to learn, or patience where
            evaluations tell nothing.
    """
    for phase in phases_of(config, evaluated=True):
        check_frozen(model, phase.config.freeze, phase.name)
        _check_parts(model, phase)
        if phase.folder is not None and not Path(phase.folder).is_dir():
            raise UserError(f"{phase.name}.teacher={phase.folder!r} is no folder of a model.")
        if phase.config.patience is not None and phase.judge(lambda _: {}, model) is None:
            raise UserError(
                f"{phase.name} freezes all exits, so that no evaluation would be better than the "
                f"first, and patience={phase.config.patience} has no meaning: set "
                f"{phase.name}.patience=null."
            )


def _check_parts(model: Any, phase: Phase) -> None:
    for part in phase.objective.trains:
        if part not in model.parts():
            ways = {"gate": "heads.gate=true (gate=true of a generator)", "depth": "depth=true"}
            raise UserError(
                f"{phase.name}: the objective {phase.config.objective['name']} trains a {part}, "
                f"and the model has none: set {ways.get(part, part)}. Only generators have depth."
            )


def deal(
    texts: Sequence[Example], shares: Mapping[str, float], seed: int
) -> dict[str, Sequence[Example]]:
    """Deal texts out at random into shares that have none in common.

    Args:
        texts: All of them.
        shares: By name.
        seed: Of the run.

    Raises:
        UserError: There is no labelled text in a share.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(texts), generator=generator).tolist() if shares else []
    found: dict[str, Sequence[Example]] = {}
    start = 0.0
    for name, share in shares.items():
        first, last = round(start * len(texts)), round((start + share) * len(texts))
        found[name] = [texts[place] for place in sorted(order[first:last])]
        start += share
        if not any(map(labelled_words, found[name])):
            raise UserError(
                f"train.splits.{name}={share} of {len(texts)} texts holds no labelled word; give "
                "it a larger share, or more texts."
            )
    return found
