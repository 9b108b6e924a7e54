"""All exits teach each other (GAML-BERT, LeeBERT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.errors import UserError, unknown_name
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.signals import Signals

MODES = ("aligned", "learned")


@OBJECTIVES.register("mutual_distillation")
@dataclass(frozen=True)
class MutualDistillation(Objective):
    """Every exit learns from the labels and from every other exit's answers.

    Each exit's loss is ``CE_i + share * mean_j T^2 KL(p_j^T || p_i^T)`` over all other exits ``j``,
    which stay fixed meanwhile. With ``mode="aligned"``, GAML-BERT (Zhu et al. 2021), the
    gradient of the divergences is stripped of what opposes that of the labels. With
    ``mode="learned"``, LeeBERT (Zhu 2021), the weight of every term is learned one level above, so
    that a step on some texts of a batch helps the others; see ``training.bilevel``. How
    often the paper turns to that level, and how it starts, could not be verified.

    Args:
        mode: ``aligned`` or ``learned``.
        share: Weight of the divergences, above 0.
        temperature: ``T``, above 0.

    Raises:
        UserError: A setting is out of range.
    """

    mode: str = "aligned"
    share: float = 1.0
    temperature: float = 2.0
    every: ClassVar[int] = 4

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise unknown_name("mutual_distillation.mode", self.mode, MODES)
        for name in ("share", "temperature"):
            value = getattr(self, name)
            if not value > 0:
                raise UserError(f"mutual_distillation.{name} must be above 0, not {value!r}.")

    @property
    def projects(self) -> bool:  # type: ignore[override]
        """Whether divergences yield to labels."""
        return self.mode == "aligned"

    @property
    def upper_every(self) -> int:  # type: ignore[override]
        """Steps between those that train the weights."""
        return self.every if self.mode == "learned" else 0

    def learned(self, exit_layers: tuple[int, ...]) -> nn.Module | None:
        """Two weights an exit: of its labels and of its divergences."""
        return TermWeights(len(exit_layers)) if self.mode == "learned" else None

    def start(self, info: BatchInfo) -> BatchLoss:
        """Collect every exit's answers; they are compared at the top."""
        return _Mutual(self, info)

    def outer(self, info: BatchInfo) -> BatchLoss:
        """Labels alone judge the weights, all exits alike."""
        return _Mutual(self, info, plain=True)


class TermWeights(nn.Module):
    """Weights of the losses' terms, ``[2, E]``, positive, one on average.

    Args:
        exits: Number of exits, ``E``.
    """

    def __init__(self, exits: int) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(2, exits))

    def forward(self) -> Tensor:
        """The weights, ``[2, E]``."""
        return self.raw.flatten().softmax(dim=0).unflatten(0, (2, -1)) * self.raw.numel()


class _Mutual(BatchLoss):
    def __init__(self, settings: MutualDistillation, info: BatchInfo, plain: bool = False):
        super().__init__()
        self._settings, self._plain = settings, plain
        exits, weights = len(info.exit_layers), info.learned
        self._of_labels = torch.ones(exits) if plain or weights is None else weights()[0]
        self._of_others = torch.ones(exits) if plain or weights is None else weights()[1]
        self._logits: list[Tensor] = []

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        assert signals.target is not None
        known = signals.known
        exits = len(self._of_labels)
        added = self.cross_entropy(signals, self._of_labels[len(self._logits)] / exits)
        if self._settings.projects:
            self.guide = added if self.guide is None else self.guide + added
        self._logits.append(signals.logits.float()[known])
        if signals.layer == signals.num_layers and not self._plain:
            self._teach_each_other()
        return None

    def _teach_each_other(self) -> None:
        heat, exits = self._settings.temperature, len(self._logits)
        if exits == 1:
            return
        said = [F.log_softmax(logits / heat, dim=-1) for logits in self._logits]
        scale = self._settings.share * heat**2 / (exits * (exits - 1))
        for number, student in enumerate(said):
            for other, teacher in enumerate(said):
                if other == number:
                    continue
                gap = F.kl_div(student, teacher.detach(), log_target=True, reduction="sum")
                self.add(scale * self._of_others[number] * gap)
