"""A head whose form is searched for, exit by exit (LECO)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.heads.base import HEADS, ExitHead

FORMS: tuple[tuple[str, Callable[[Tensor], Tensor] | None], ...] = (
    ("linear", None),
    ("tanh", torch.tanh),
    ("gelu", F.gelu),
    ("relu", F.relu),
)
"""What may stand before the output: nothing, or a dense layer with one of these."""


@HEADS.register("searched")
class SearchedHead(ExitHead):
    """Differentiable search among small heads (LECO, Zhang et al. 2023; DARTS, Liu et al. 2019).

    While searching, the output reads a mixture of all forms, weighted by the softmax of
    ``architecture``, which the objective ``searched`` learns. Deriving keeps the
    form of the largest weight. The paper's space of forms could not be verified in full; this
    one has a plain projection and dense layers of three activations.

    Args:
        width: Width of the states, ``H``.
        num_classes: ``C``.
        dropout: Dropout before the output while training.
    """

    derived: Tensor

    def __init__(self, width: int, num_classes: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.architecture = nn.Parameter(1e-3 * torch.randn(len(FORMS)))
        self.dense = nn.ModuleList(nn.Linear(width, width) for _, act in FORMS if act is not None)
        for layer in self.dense:
            assert isinstance(layer, nn.Linear)
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, num_classes)
        self.register_buffer("derived", torch.tensor(-1))
        self._read_last: tuple[Tensor, int, int] | None = None

    @property
    def searching(self) -> bool:
        """Whether no form has been derived yet."""
        return self._kept() < 0

    @property
    def form(self) -> int:
        """Number of the form that inference uses: the derived one, or the one now in front."""
        kept = self._kept()
        return kept if kept >= 0 else int(self.architecture.argmax())

    def derive(self) -> None:
        """End the search; called again, it changes nothing."""
        if self.searching:
            self.derived.fill_(self.form)

    def _kept(self) -> int:
        """The derived form, -1 for none; a device is asked only when it may be another one."""
        held, known = self.derived, self._read_last
        if held.is_inference():  # does not say when it has changed
            return int(held)
        if known is None or known[0] is not held or known[1] != held._version:
            known = self._read_last = held, held._version, int(held)
        return known[2]

    def forward(self, hidden: Tensor, past: Tensor | None = None, /) -> Tensor:
        """States ``[N, H]`` to logits ``[N, C]``."""
        if self.training and self.searching:
            shares = self.architecture.softmax(dim=0)
            read = sum(
                (share * self._read(form, hidden) for form, share in enumerate(shares)),
                torch.zeros_like(hidden),
            )
        else:
            read = self._read(self.form, hidden)
        return self.project(self.dropout(read))

    def _read(self, form: int, hidden: Tensor) -> Tensor:
        activation = FORMS[form][1]
        return hidden if activation is None else activation(self.dense[form - 1](hidden))

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row of the form in use."""
        width = self.project.in_features
        dense = 0 if FORMS[self.form][1] is None else width * width
        return dense + width * self.project.out_features
