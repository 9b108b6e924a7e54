"""Exits learn from another model, beside the labels: from its answers, and from its states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.errors import UserError, unknown_name
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.teacher import Teacher
from tokenexit.objectives.weights import layer_weights
from tokenexit.signals import Signals

OF = ("top", "exits")
"""Whose answers are imitated."""


@OBJECTIVES.register("distillation")
@dataclass(frozen=True)
class Distillation(Objective):
    """Every exit learns from the top of ``train.teacher`` (Hinton et al. 2015).

    An exit's loss is ``(1 - share) CE + share T^2 KL(teacher^T || exit^T)``, times ``answers``.
    Beside that, the mean squared difference of states to the teacher's may be learned, after each
    layer from the teacher's at the same share of its depth, by which a shallower network is taught
    as well; where embeddings stand for layers, from the last of these on. It is the mean over
    layers, width and a text's rows, once for each labelled word.

    Args:
        weights: Of the exits, see ``joint``.
        share: Of the teacher's answers, from 0 to 1; the rest goes to the labels.
        temperature: ``T``, above 0.
        answers: Weight of all that; 0 where states alone teach.
        states: Weight of the states, which have to be as wide as the teacher's; 0 for none.
        of: ``top``, or ``exits`` where each exit learns from the teacher's at its layer.

    Raises:
        UserError: A setting is out of range.
    """

    weights: str | float = "depth"
    share: float = 0.5
    temperature: float = 1.0
    states: float = 0.0
    answers: float = 1.0
    of: str = "top"
    reads_teacher = True

    def __post_init__(self) -> None:
        layer_weights(self.weights, (1,))
        if not 0 <= self.share <= 1:
            raise UserError(f"distillation.share must be from 0 to 1, not {self.share!r}.")
        if not self.temperature > 0:
            raise UserError(f"distillation.temperature must be above 0, not {self.temperature!r}.")
        for name in ("states", "answers"):
            if not getattr(self, name) >= 0:
                value = getattr(self, name)
                raise UserError(f"distillation.{name} must be 0 or more, not {value!r}.")
        if not self.states + self.answers:
            raise UserError("distillation.answers and states are both 0: nothing is learned.")
        if self.of not in OF:
            raise unknown_name("distillation.of", self.of, OF)

    @property
    def reads_states(self) -> bool:  # type: ignore[override]
        """Whether states are compared."""
        return self.states > 0

    def start(self, info: BatchInfo) -> BatchLoss:
        """Nobody halts."""
        assert info.teacher is not None, "set train.teacher"
        return _Taught(self, info, info.teacher)


class _Taught(BatchLoss):
    def __init__(self, settings: Distillation, info: BatchInfo, teacher: Teacher) -> None:
        super().__init__()
        self._settings, self._info, self._teacher = settings, info, teacher
        self._labelled: Tensor | None = None
        self._weights = layer_weights(settings.weights, info.exit_layers)

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Compare an exit's answers of words with a gold class."""
        heat, share = self._settings.temperature, self._settings.share
        weight, known = self._settings.answers * self._weights[signals.layer], signals.known
        self._labelled = words[known]
        self.cross_entropy(signals, weight * (1 - share))
        told = self._teacher.logits
        if self._settings.of == "exits":
            told = self._teacher.exits[signals.layer]
        said = F.log_softmax(signals.logits[known].float() / heat, dim=-1)
        wanted = F.log_softmax(told[words[known]].float() / heat, dim=-1)
        gap = F.kl_div(said, wanted, log_target=True, reduction="sum")
        self.add(weight * share * heat**2 * gap)
        return None

    def watch(self, states: Sequence[Tensor]) -> None:
        """Compare states."""
        wanted, depth = self._teacher.states, len(states)
        if wanted[0].shape[-1] != states[0].shape[-1]:
            raise UserError(
                f"distillation.states compares states of width {states[0].shape[-1]} with a "
                f"teacher's of {wanted[0].shape[-1]}; set it to 0, or take a teacher as wide."
            )
        gaps = [
            F.mse_loss(
                state.float(),
                wanted[same_depth(layer, depth, len(wanted)) - 1].float(),
                reduction="none",
            ).mean(dim=-1)
            for layer, state in enumerate(states, start=1)
            if layer >= self._info.lower
        ]
        each = torch.stack(gaps).mean(dim=0)
        assert self._labelled is not None
        weights = row_weights(self._info, self._labelled).to(each)
        self.add(self._settings.states * (each * weights).sum())


def row_weights(info: BatchInfo, labelled: Tensor) -> Tensor:
    """Labelled words of each row's text over its rows, ``[T]``.

    Args:
        info: Of the batch.
        labelled: Numbers of words with a gold class.
    """
    assert info.row_sentence is not None
    assert info.word_sentence is not None
    texts = len(info.sentence)
    rows = torch.bincount(info.row_sentence, minlength=texts)
    known = torch.bincount(info.word_sentence[labelled.cpu()], minlength=texts)
    return (known / rows.clamp_min(1))[info.row_sentence]


def same_depth(layer: int, layers: int, others: int) -> int:
    """The layer, of ``others``, at the depth of ``layer`` of ``layers``."""
    return max(1, round(layer * others / layers))
