"""Several passes of a step over the same batch, each through a part of the same network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.objectives.base import BatchLoss
from tokenexit.objectives.sub_network import SubNetwork
from tokenexit.signals import Signals


@dataclass
class Taught:
    """What the top says in one pass, for passes after it to learn from.

    Attributes:
        logits: Of all words, without a gradient, ``[W, C]``; those of words that left are NaN.
    """

    logits: Tensor | None = None

    def keep(self, signals: Signals, words: Tensor, num_words: int) -> None:
        """Keep the logits of the words that reached the top."""
        found = signals.logits.detach().float()
        blank = found.new_full((num_words, found.shape[1]), torch.nan)
        self.logits = blank.index_copy(0, words, found)


class DistilledPass(BatchLoss):
    """A pass whose top imitates the top of another pass of the same step.

    Labelled words teach. Numbers are imitated by squared error, classes by Kullback-Leibler
    divergence, summed over classes.

    Args:
        teacher: Filled by a pass before this one.
        part: What the pass goes through.
        weight: Of its loss.
        reverse: Take ``KL(student || teacher)``, by which a student that is unsure is not wrong,
            instead of ``KL(teacher || student)``.
    """

    def __init__(
        self, teacher: Taught, part: SubNetwork, weight: float = 1.0, reverse: bool = False
    ) -> None:
        super().__init__()
        self.part, self._teacher = part, teacher
        self._weight, self._reverse = weight, reverse

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Add the divergence at the top; exits below it are passed by."""
        if signals.layer < signals.num_layers:
            return None
        assert signals.target is not None and self._teacher.logits is not None
        known = signals.known
        told = signals.logits.float().index_select(0, known)
        wanted = self._teacher.logits.index_select(0, words.index_select(0, known))
        if signals.target.is_floating_point():
            gap = F.mse_loss(told, wanted, reduction="sum")
        else:
            pair = told.log_softmax(dim=-1), wanted.log_softmax(dim=-1)
            student, teacher = reversed(pair) if self._reverse else pair
            gap = F.kl_div(student, teacher, log_target=True, reduction="sum")
        self.add(self._weight * gap)
        return None
