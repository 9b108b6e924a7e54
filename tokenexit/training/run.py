"""What all phases of a training share, and how one of them begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenexit.errors import UserError
from tokenexit.objectives import Objective
from tokenexit.training.batches import Example, labelled_words
from tokenexit.training.beginning import Beginning, keep, newest, restore
from tokenexit.training.checkpoint import TrainerState
from tokenexit.training.loss_module import Beside, LossModule
from tokenexit.training.patience import Evaluate
from tokenexit.training.phases import Phase
from tokenexit.training.preparations.base import Material, prepared

if TYPE_CHECKING:
    from accelerate import Accelerator

MakeModule = Callable[[Any, Objective, bool], LossModule]
"""Wraps model and objective as one module."""


@dataclass(frozen=True)
class Run:
    """What all phases share; the arguments of ``train``.

    Attributes:
        splits: Shares of the training texts, by name.
    """

    model: Any
    sentences: Sequence[Example]
    splits: Mapping[str, Sequence[Example]]
    accelerator: Accelerator
    folder: Path
    seed: int
    evaluate: Evaluate | None
    chosen_on: int
    loss_module: MakeModule
    bucket: bool

    @property
    def checkpoints(self) -> Path:
        """Where they are kept."""
        return self.folder / "checkpoints"


@dataclass(frozen=True)
class Begun:
    """A phase that can start.

    Attributes:
        texts: To learn from.
        module: Model and objective, with teacher and columns.
        state: Before its first step.
    """

    texts: Sequence[Example]
    module: LossModule
    state: TrainerState


def begin(run: Run, phase: Phase, before: TrainerState) -> Begun:
    """Make the model what a phase starts from: prepared, or as it was when the phase began.

    Args:
        run: The training.
        phase: Which.
        before: The state of the phase before it, unless it began before a kill.
    """
    model, config = run.model, phase.config
    texts = run.sentences if config.split is None else run.splits[config.split]
    if not phase.objective.unlabelled:
        texts = [text for text in texts if labelled_words(text)]
    module = run.loss_module(model, phase.objective, config.gradient_equilibrium)
    state = TrainerState(processes=before.processes, phase=phase.number)
    if not phase.is_kept:
        return Begun(texts, module, state)
    place, accelerator = run.checkpoints, run.accelerator
    if newest(place) != phase.number:
        left = model.settings
        columns = prepared(phase.prepare, model, _material(run, phase, texts))
        started = Beginning(before.all_steps, before.chosen_on, columns, before.looks)
        keep(accelerator, place, phase.number, model, started, left)
    begun = restore(place, phase.number, model)
    module.beside = Beside(_teacher(run, phase), begun.columns, texts)
    state.before, state.chosen_on, state.looks = begun.before, begun.chosen_on, begun.looks
    return Begun(texts, module, state)


def _material(run: Run, phase: Phase, texts: Sequence[Example]) -> Material:
    size, seed = phase.config.batch_size, phase.seed(run.seed)
    asked = phase.prepare and phase.objective.reads_teacher
    teacher = _teacher(run, phase) if asked else None

    def module(model: Any) -> LossModule:
        made = run.loss_module(model, phase.objective, False)
        made.beside = Beside(teacher, texts=texts)
        return made

    return Material(texts, run.splits, module, size, seed)


def _teacher(run: Run, phase: Phase) -> LossModule | None:
    """The model that teaches, apart from the one that learns."""
    if phase.folder is not None:
        model = _loaded(run.model, phase)
    elif phase.teacher is not None:
        model = deepcopy(run.model)
        begun = newest(run.checkpoints)
        if begun is not None and phase.teacher <= begun:  # else a phase prepares, as it is now
            restore(run.checkpoints, phase.teacher, model, teaches=True)
    else:
        return None
    model.requires_grad_(False)
    return run.loss_module(model, phase.objective, False).eval()


def _loaded(pupil: Any, phase: Phase) -> Any:
    """A saved model that reads and says what the pupil does.

    Raises:
        UserError: It does not.
    """
    model = type(pupil).from_pretrained(phase.folder).to(pupil.device)
    ours, theirs = (
        None if m.tokenizer is None else m.tokenizer.get_vocab() for m in (pupil, model)
    )
    if ours != theirs or model.settings.labels != pupil.settings.labels:
        what = "classes" if ours == theirs else "tokens"
        raise UserError(
            f"{phase.name}.teacher: the model in {phase.folder} has other {what} than the one that "
            "learns, whose tokens it is shown and whose answers it gives; take one that agrees."
        )
    return model
