"""Heads for texts with several labels: a sigmoid for each label, and classes that are sets."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.errors import UserError
from tokenexit.heads.base import HEADS, ExitHead, Fitted
from tokenexit.heads.thresholds import best_shift
from tokenexit.signals import Signals

Sets = int | Sequence[Sequence[int]]
"""Numbers of the labels in each class; a number of labels stands for all sets of them."""


def subsets(labels: int) -> list[tuple[int, ...]]:
    """All sets of so many labels, the empty one first, then by size and in order."""
    sizes = range(labels + 1)
    return [chosen for size in sizes for chosen in itertools.combinations(range(labels), size)]


class SetScores(nn.Module):
    """Classes that are sets of labels: a set's score is the sum of the scores of its labels.

    With scores ``z`` of three labels, the classes and their logits are::

        {}   {0}  {1}  {2}  {0,1}      {0,2}      {1,2}      {0,1,2}
        0    z0   z1   z2   z0 + z1    z0 + z2    z1 + z2    z0 + z1 + z2

    If every set is a class, the softmax over classes is the product of the labels' sigmoids: its
    cross-entropy is the sum of their binary cross-entropies, its entropy the sum of theirs, its
    best class has every label that is likelier than not, and leads the second best by the score of
    the label that is least sure. The fitted shift moves the score at which a label counts as there
    from 0 to where its F1 on the validation split is best.

    Args:
        sets: The sets, one a class.
        num_classes: ``C``.

    Raises:
        UserError: Another number of sets than of classes.
    """

    members: Tensor

    def __init__(self, sets: Sets, num_classes: int) -> None:
        super().__init__()
        given = subsets(sets) if isinstance(sets, int) else [tuple(one) for one in sets]
        if len(given) != num_classes:
            raise UserError(f"There are {num_classes} classes, and {len(given)} sets of labels.")
        labels = 1 + max(max(one, default=0) for one in given)
        members = torch.zeros(len(given), labels, dtype=torch.bool)
        for row, chosen in enumerate(given):
            members[row, list(chosen)] = True
        self.register_buffer("members", members, persistent=False)
        self._empty = given.index(()) if () in given else None
        self._single = [given.index((n,)) for n in range(members.shape[1]) if (n,) in given]
        self._seen: list[tuple[Tensor, Tensor]] = []  # scores and gold of labels

    @property
    def labels(self) -> int:
        """How many labels there are, ``L``."""
        return self.members.shape[1]

    def forward(self, scores: Tensor) -> Tensor:
        """Scores of labels ``[N, L]`` to logits of sets ``[N, C]``."""
        return scores @ self.members.T.to(scores.dtype)

    def observe(self, signals: Signals) -> None:
        """Keep scores and gold labels of rows whose set is a class."""
        if self._empty is None or len(self._single) < self.labels:
            return
        assert signals.target is not None
        known = signals.target >= 0
        logits = signals.logits[known].float()
        scores = logits[:, self._single] - logits[:, [self._empty]]
        self._seen.append((scores.cpu(), self.members[signals.target[known]].cpu()))

    def shift(self) -> Tensor:
        """Scores above which each label is best taken for there, ``[L]``; forgets the rows."""
        seen, self._seen = self._seen, []
        if not seen:
            return torch.zeros(self.labels)
        scores, gold = (torch.cat(parts) for parts in zip(*seen, strict=True))
        found = [best_shift(scores[:, label], gold[:, label]) for label in range(self.labels)]
        return torch.tensor(found)


@HEADS.register("label_sets")
class LabelSetsHead(ExitHead):
    """Dropout and one linear layer with a sigmoid for each label; see ``SetScores``.

    Args:
        width: Width of the states, ``H``.
        num_classes: ``C``, sets of labels.
        sets: The sets, as the task ``multilabel`` gives them; each class a label of its own when
            None, which makes it a linear head.
        dropout: Dropout on the states while training.
    """

    fitted_on = "validation"

    def __init__(
        self, width: int, num_classes: int, *, sets: Sets | None = None, dropout: float = 0.1
    ) -> None:
        super().__init__()
        alone = [[number] for number in range(num_classes)]
        self.sets = SetScores(alone if sets is None else sets, num_classes)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, self.sets.labels)

    def forward(self, hidden: Tensor, past: Tensor | None = None, /) -> Tensor:
        """States ``[N, H]`` to logits ``[N, C]``."""
        return self.sets(self.project(self.dropout(hidden)))

    def observe(self, signals: Signals) -> None:
        """See ``SetScores``."""
        self.sets.observe(signals)

    @torch.no_grad()
    def finalize(self) -> None:
        """Move the bias by the shift."""
        self.project.bias.sub_(self.sets.shift().to(self.project.bias))

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        return self.project.weight.numel() + self.sets.members.numel()


class LabelSetsOutput(nn.Linear, Fitted):
    """The same at the top, in a linear layer with a row a class: a plain checkpoint's.

    Whatever its weights, logits are those of the nearest weights that are sums over labels, and
    these are what is saved: a plain linear layer that loads them says the same.

    Args:
        last: The layer in whose place it stands.
        sets: The sets, one a class.
    """

    fitted_on = "validation"
    inverse: Tensor

    def __init__(self, last: nn.Linear, sets: Sets) -> None:
        super().__init__(last.in_features, last.out_features)
        self.load_state_dict(last.state_dict())
        self.sets = SetScores(sets, last.out_features)
        # From the classes' weights to the labels', by least squares.
        inverse = torch.linalg.pinv(self.sets.members.float())
        self.register_buffer("inverse", inverse, persistent=False)
        self.to(last.weight)

    def _of_labels(self, weight: Tensor) -> Tensor:
        return self.inverse.to(weight.dtype) @ weight

    def forward(self, input: Tensor) -> Tensor:
        """States ``[N, H]`` to logits ``[N, C]``."""
        return self.sets(F.linear(input, self._of_labels(self.weight), self._of_labels(self.bias)))

    def observe(self, signals: Signals) -> None:
        """See ``SetScores``."""
        self.sets.observe(signals)

    @torch.no_grad()
    def finalize(self) -> None:
        """Move the bias by the shift."""
        self.bias.sub_(self.sets(self.sets.shift().to(self.bias)))

    def _save_to_state_dict(self, destination: dict[str, Tensor], prefix: str, keep_vars: bool):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in ("weight", "bias"):
            weight = destination[prefix + name]
            sums = self.sets.members.to(weight.dtype) @ self._of_labels(weight)
            destination[prefix + name] = sums if keep_vars else sums.detach()
