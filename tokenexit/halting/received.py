"""The attention that rows receive in one layer, gathered from its groups."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.halting.layout import Group, take


class Received:
    """Sums over all rows that ask, or the first of each text alone, of the mean over heads.

    Padding has no part in it: padded keys have no weight, and padded queries, which repeat a real
    one, are left out.

    Args:
        like: States of the rows that are read, ``[R, H]``.
        asking: Which of them ask, ``[A]``; None for all.
        first: Whether the first of each text alone is listened to.
        voices: What the attention of each row counts, ``[R]``; all the same if None.

    Attributes:
        total: What each row receives, ``[R]``.
        own: The part of it that comes from itself, ``[R]``.
    """

    def __init__(
        self,
        like: Tensor,
        asking: Tensor | None,
        first: bool = False,
        voices: Tensor | None = None,
    ) -> None:
        self.first = first
        kind = torch.promote_types(like.dtype, torch.float32)
        self.total = like.new_zeros(len(like), dtype=kind)
        self.own = torch.zeros_like(self.total)
        self._rows = torch.arange(len(like), device=like.device)
        self._asking = self._rows if asking is None else asking
        self._voices = None if voices is None else voices.detach()

    def add(self, group: Group, shares: Tensor) -> None:
        """Add what the rows of one group read.

        Args:
            group: The rows.
            shares: Weights, their mean over heads, ``[S, A, M]``; of first rows ``A`` is 1.
        """
        size, queries, _ = shares.shape
        shares = shares.to(self.total.dtype)
        read = take(self._rows, group.key_slice, group.key_index, size)
        if self.first:
            self.total.index_add_(0, read.flatten(), shares[:, 0].flatten())
            return
        if group.valid is not None:
            real = shares.new_zeros(size * queries).index_fill(0, group.valid, 1.0)
            shares = shares * real.view(size, queries, 1)
        asking = take(self._asking, group.query_slice, group.query_index, size)
        if self._voices is not None:
            shares = shares * self._voices[asking][:, :, None]
        same = asking[:, :, None] == read[:, None, :]
        self.total.index_add_(0, read.flatten(), shares.sum(dim=1).flatten())
        self.own.index_add_(0, read.flatten(), (shares * same).sum(dim=1).flatten())

    def of_asking(self) -> tuple[Tensor, Tensor]:
        """Both for the rows that ask, ``[A]`` each."""
        return self.total[self._asking], self.own[self._asking]
