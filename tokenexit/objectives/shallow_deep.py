"""One shallow exit and the top, with layers that learn from deeper ones (FREE)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.errors import UserError, unknown_name
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.joint import JointLoss
from tokenexit.objectives.weights import layer_weights
from tokenexit.signals import Signals

MAPPINGS = ("last", "nearest", "uniform")


@OBJECTIVES.register("shallow_deep")
@dataclass(frozen=True)
class ShallowDeep(Objective):
    """FREE (Bae et al. 2023, arXiv 2310.05424): a shallow and a deep model in one.

    Cross-entropy at one exit and at the top, in proportion to their layers, plus ``alpha`` times
    the mean squared distance of shallow states to deeper ones, which are detached. The
    distance is taken at the exits that the model has, and only the two are scored: give a model
    exits at all layers to distil layer by layer, or at the two alone for ``last``.

    Checked against the released code: weights, mappings, ``alpha=0.5``, states compared after
    the final norm. Here states are brought to unit root mean square instead, without the norm's
    learned gain. The code's table of teachers is by hand where depths do not divide evenly, and
    it picks the nearest layers for a batch; here each word picks its own, so that nothing
    depends on how a step is cut. The optional linear map of students is left out.

    Args:
        shallow: The exit; None for the first at a quarter of the depth or above, as published
            for T5-large (6 of 24; 8 for 3B).
        alpha: Weight of the distances, 0 or more.
        mapping: Who learns from whom. ``uniform``: the ``i``-th of ``n`` shallow exits from the
            exit at ``i/n`` of all. ``last``: the shallow exit from the top. ``nearest``: each of
            the teachers of ``uniform``, from the top down, teaches the nearest exit below the
            one taught before (the paper's dynamic mapping).

    Raises:
        UserError: A setting is unknown or out of range, or no exit of the model.
    """

    shallow: int | None = None
    alpha: float = 0.5
    mapping: str = "nearest"

    def __post_init__(self) -> None:
        if self.mapping not in MAPPINGS:
            raise unknown_name("shallow_deep.mapping", self.mapping, MAPPINGS)
        if not self.alpha >= 0:
            raise UserError(f"shallow_deep.alpha must be 0 or more, not {self.alpha!r}.")

    def start(self, info: BatchInfo) -> BatchLoss:
        """Find the exits of both models, and the teachers."""
        exits = info.exit_layers
        *lower, top = exits
        if self.shallow is None and not lower:
            return JointLoss({top: 1.0})
        shallow = self.shallow
        if shallow is None:
            shallow = next((layer for layer in lower if 4 * layer >= top), lower[-1])
        if shallow not in lower:
            raise UserError(
                f"shallow_deep.shallow={shallow!r} is no exit below the top; this model's are at "
                f"{lower}. Name one of them, or add the layer to exit_layers."
            )
        students = [layer for layer in lower if layer <= shallow]
        count = len(students)
        # Rounded up, so that every teacher is above its student and the last one is the top.
        teachers = [exits[-(-i * len(exits) // count) - 1] for i in range(1, count + 1)]
        if self.mapping == "last":
            students, teachers = [shallow], [top]
        return _ShallowDeepLoss(self, layer_weights("depth", (shallow, top)), students, teachers)


class _ShallowDeepLoss(JointLoss):
    def __init__(
        self,
        settings: ShallowDeep,
        weights: dict[int, float],
        students: list[int],
        teachers: list[int],
    ) -> None:
        super().__init__(weights)
        self.score_few()
        self._settings, self._students, self._teachers = settings, students, teachers
        self._states: dict[int, Tensor] = {}

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        super().arrive(signals, words)
        if not self._settings.alpha:
            return None
        if signals.layer in {*self._students, *self._teachers}:
            hidden = signals.hidden.float()
            self._states[signals.layer] = F.rms_norm(hidden, hidden.shape[-1:])
        if signals.layer == signals.num_layers:
            assert signals.target is not None
            nearest = self._settings.mapping == "nearest"
            distance = self._nearest() if nearest else self._paired()
            known = signals.target != -100
            self.add(self._settings.alpha * distance.masked_fill(~known, 0.0).sum())
        return None

    def _paired(self) -> Tensor:
        """Mean distance over pairs, ``[N]``."""
        pairs = zip(self._students, self._teachers, strict=True)
        found = [_distance(self._states[low], self._states[high]) for low, high in pairs]
        return torch.stack(found).mean(dim=0)

    def _nearest(self) -> Tensor:
        """Mean over teachers of the distance to the student that each word picks, ``[N]``."""
        students = torch.stack([self._states[layer] for layer in self._students])
        place = torch.arange(len(students), device=students.device)[:, None]
        word = torch.arange(students.shape[1], device=students.device)
        picked = torch.full_like(word, len(students))
        found = []
        for layer in reversed(self._teachers):
            # Below the teacher, since a state is at no distance from itself. Where no student
            # is left below the one picked last, the lowest is taught again.
            below = sum(student < layer for student in self._students)
            closed = place >= picked.clamp(1, below)
            gaps = _distance(students.detach(), self._states[layer])
            picked = gaps.masked_fill(closed, float("inf")).argmin(dim=0)
            found.append(_distance(students[picked, word], self._states[layer]))
        return torch.stack(found).mean(dim=0)


def _distance(student: Tensor, teacher: Tensor) -> Tensor:
    return (student - teacher.detach()).square().mean(dim=-1)
