"""Rows that leave their text, or go on as one row in the place of the heaviest of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tokenexit.halting.packing import Index, Mask
from tokenexit.transfer import send


@dataclass(frozen=True, eq=False)
class Means:
    """Weighted means of rows, one a text; ``M`` of ``S`` texts have one, of ``C`` rows.

    Attributes:
        members: Rows that they are of, ``[C]``.
        shares: Share of each in its own, ``[C]``.
        text: Text of each, ``[C]``.
        places: Where they stand among the rows that stay, ``[M]``.
        of: Text of each mean, ``[M]``.
        num_texts: ``S``.
    """

    members: Tensor
    shares: Tensor
    text: Tensor
    places: Tensor
    of: Tensor
    num_texts: int

    def into(self, left: Tensor, rows: Tensor) -> Tensor:
        """The rows that stay, ``[K, H]``, with the means of ``rows``, ``[A, H]``, among them."""
        wide = torch.promote_types(rows.dtype, self.shares.dtype)
        shares = rows.index_select(0, self.members).to(wide) * self.shares[:, None]
        sums = shares.new_zeros(self.num_texts, rows.shape[1]).index_add(0, self.text, shares)
        return left.index_copy(0, self.places, sums.index_select(0, self.of).to(rows.dtype))


@dataclass(frozen=True, eq=False)
class Cut:
    """Which of the active rows stay.

    Attributes:
        stay: ``[A]`` bool (host).
        index: Their places, ``[K]``.
        slots: Those that stand for merged rows from now on, ``[A]`` bool (host); None for none.
        means: What becomes of them.
    """

    stay: Mask
    index: Tensor
    slots: Mask | None = None
    means: Means | None = None

    def of(self, rows: Tensor) -> Tensor:
        """What stands beside those that stay, averaged where rows are, ``[A, H] -> [K, H]``."""
        left = rows.index_select(0, self.index)
        return left if self.means is None else self.means.into(left, rows)


def plain_cut(stay: Mask, device: torch.device) -> Cut:
    """Rows are taken out, and nothing stands for them."""
    return Cut(stay, send([torch.from_numpy(np.flatnonzero(stay))], device)[0])


class Merging:
    """The rows that stand for others, one a text, and what they weigh.

    Args:
        num_texts: Texts of the batch, ``S``.
        device: Where it is computed.
    """

    def __init__(self, num_texts: int, device: torch.device) -> None:
        self._mass = torch.zeros(num_texts, device=device)
        self._numbers: Index = np.zeros(0, dtype=np.int64)

    def among(self, original: Index) -> Mask:
        """Which rows stand for others, ``[A]`` bool."""
        return np.isin(original, self._numbers)

    def cut(self, original: Index, text: Tensor, keep: Tensor, weight: Tensor) -> Cut | None:
        """Merge the rows that are not kept, with the one that stands for earlier ones.

        Args:
            original: Numbers of the active rows in the batch, ``[A]``, rising.
            text: Text of each, ``[A]``, never falling.
            keep: Which are kept as they are, ``[A]`` bool; no row that stands for others.
            weight: What each weighs, ``[A]``; of those rows, what ``weighed`` says.

        Returns:
            Who stays; None where no text has a row more to merge.
        """
        number = torch.arange(len(text), device=text.device)
        member, texts = ~keep, len(self._mass)
        weight = weight.clamp_min(torch.finfo(weight.dtype).tiny)
        mass = weight.new_zeros(texts).index_add(0, text, weight * member)
        plain = weight.detach() * member
        most = plain.new_zeros(texts).scatter_reduce(0, text, plain, "amax")
        heaviest = member & (plain == most[text])
        first = torch.full((texts,), len(text), device=text.device)
        first = first.scatter_reduce(0, text, torch.where(heaviest, number, len(text)), "amin")
        slot = first[text] == number
        kept, slots = torch.stack([keep, slot]).cpu().numpy()  # the one transfer
        if (kept | self.among(original)).all():
            return None
        self._mass, self._numbers = mass, original[slots]
        stay = kept | slots
        found = [np.flatnonzero(stay), np.flatnonzero(~kept), np.flatnonzero(slots[stay])]
        parts = [torch.from_numpy(part) for part in [*found, np.flatnonzero(slots)]]
        index, members, places, own = send(parts, text.device)
        of = text[members]
        shares = weight[members] / mass[of]
        return Cut(stay, index, slots, Means(members, shares, of, places, text[own], texts))

    def weighed(self, text: Tensor, weight: Tensor, alone: Tensor) -> Tensor:
        """What all active rows weigh, ``[A]``.

        Args:
            text: Text of each, ``[A]``.
            weight: Of those that stand for themselves, ``[B]``.
            alone: Their places, ``[B]``.
        """
        return self._mass.to(weight.dtype)[text].index_copy(0, alone, weight)
