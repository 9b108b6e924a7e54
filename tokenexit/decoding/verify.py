"""Self-speculative greedy decoding: drafts leave early, the remaining layers verify them.

Draft tokens leave at the exits of a policy. After a few of them, or once the policy was not sure,
all go through the layers they skipped in one pass, and are kept up to the first where the full
depth would have gone on otherwise: the output is that of full-depth greedy search. Nothing is
computed twice, because verification begins at the states that the drafts left with (LayerSkip,
Elhoushi et al. 2024; FREE, Bae et al. 2023, defers in the same way).

Rows of a batch draft together, and one pass verifies all of them. Where the decoding lets sequences
be of unlike lengths each keeps the drafts that it would keep alone; elsewhere all keep as many as
the least lucky one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokenexit.decoding.cache import Index
from tokenexit.decoding.sequences import Sequences
from tokenexit.policies import Policy
from tokenexit.policies.any_of import AnyOf
from tokenexit.policies.assigned_depth import AssignedDepth

Choose = Callable[[Tensor, Tensor], Tensor]
"""The next token of each row, ``[R]``, from the tokens so far ``[R, T]`` and logits ``[R, V]``."""

Ended = Callable[[Tensor], Tensor]
"""Which rows have ended, ``[R]`` bool, from their tokens ``[R, T]``."""

Flags = NDArray[np.bool_]


@dataclass
class Acceptance:
    """How drafts fared.

    Attributes:
        drafted: Tokens that left early and were checked.
        accepted: Of these, tokens that the full depth agreed with and that were kept.
        passes: Verifications.
    """

    drafted: int = 0
    accepted: int = 0
    passes: int = 0

    @property
    def rate(self) -> float:
        """Share of drafts that were kept; 1 where nothing was drafted."""
        return self.accepted / self.drafted if self.drafted else 1.0


class Speculation:
    """Greedy decoding of one batch with verified drafts.

    Args:
        decoding: A fresh decoding whose ``pending`` is ``parallel``; its policy makes drafts.
        choose: Picks tokens; must not depend on chance, nor one row's on another's.
        alike: Whether ``choose`` goes by the logits alone.
        ended: Says which rows have ended.
        draft: Most tokens drafted between verifications.
        pad: What a row writes after its end; where there is none, all write until all have ended.
    """

    def __init__(
        self,
        decoding: Sequences,
        choose: Choose,
        ended: Ended,
        *,
        alike: bool = False,
        draft: int = 8,
        pad: int | None = None,
    ) -> None:
        self._decoding, self._choose, self._ended = decoding, choose, ended
        self._alike, self._draft, self._pad = alike, draft, pad
        lower = decoding.exits.layers
        self._last = lower[-1] if lower else 0
        self._drafter: Policy | None = (
            AnyOf((decoding.policy, AssignedDepth(self._last))) if lower else None
        )
        self._each = decoding if decoding.uneven and pad is not None else None
        self.acceptance = Acceptance()

    def write(self, prompt: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """Generate until every row has ended.

        Args:
            prompt: ``[R, n]``.
            most: Tokens of a row at most, the prompt included; ``ended`` says so too.

        Returns:
            Tokens ``[R, T]``, the prompt included, and depths of the guesses that became the new
            ones, ``[R, T - n]``; the top's if corrected, 0 after a row's end.
        """
        begun = prompt.shape[1]
        for place in range(begun - 1):
            self._decoding.verify(prompt[:, place])
        texts = _Texts(prompt, most + self._draft)
        while not texts.done.all():
            self._round(texts, begun, most)
        return texts.padded(begun, self._pad)

    def _round(self, texts: _Texts, begun: int, most: int) -> None:
        """Draft and verify once."""
        start = texts.lengths
        if self._each is not None:  # who has ended reads the first token again, and costs little
            start = np.where(texts.done, begun, start)
        depths, limits = self._drafts(texts, start, most)
        checked = self._decoding.verify(texts.at(start + len(depths) - 1))  # [R, drafts + 1, V]
        kept, newest = self._kept(texts, start, checked, limits)
        alive = ~texts.done
        self.acceptance.passes += 1
        self.acceptance.drafted += int(limits[alive].sum())
        self.acceptance.accepted += int(kept[alive].sum())
        written = alive if self._each is not None else np.ones_like(alive)
        texts.put(start + kept, newest, written)
        depths.append(torch.full((len(kept),), self._decoding.decoder.num_layers))
        for place, layers in enumerate(depths):
            top = kept <= place
            found = np.where(top, self._decoding.decoder.num_layers, layers.cpu().numpy())
            rows = np.flatnonzero(written & (place <= kept))
            texts.layers[rows, start[rows] + place] = found[rows]
        self._finish(texts, start, kept)
        texts.lengths = np.where(written, start + kept + 1, texts.lengths)
        if self._each is None:
            self._decoding.forget(int(texts.lengths[0]) - 1)
        else:
            self._each.forget_each(np.where(texts.done, begun, texts.lengths) - 1)

    def _drafts(self, texts: _Texts, start: Index, most: int) -> tuple[list[Tensor], Index]:
        """Draft a few tokens of each row.

        Returns:
            The depths they left at, ``[R]`` each, and how many of each row may be kept, ``[R]``: as
            many as it would draft alone, so that its depths do not depend on the others.
        """
        alive = ~texts.done
        rooms = np.minimum(most - start - 1, self._draft)
        room, places = int(rooms[alive].max()), self._decoding.decoder.max_length
        if places is not None:
            room = min(room, places - int(start.max()))
        depths: list[Tensor] = []
        unsure = np.zeros(len(start), dtype=bool)
        while self._drafter is not None and len(depths) < room:
            step = self._decoding.step(texts.at(start + len(depths) - 1), policy=self._drafter)
            guess = self._chosen(texts, start + len(depths), step.logits, alive)
            texts.put(start + len(depths), guess, alive)
            depths.append(step.exit_layers)
            unsure |= step.exit_layers.cpu().numpy() >= self._last
            rooms = np.where(unsure, np.minimum(rooms, len(depths)), rooms)
            if (self._each is None and unsure[alive].any()) or unsure[alive].all():
                break
        limits = np.clip(rooms, 0, len(depths))
        return depths, limits if self._each is not None else np.full_like(limits, len(depths))

    def _kept(
        self, texts: _Texts, start: Index, checked: Tensor, limits: Index
    ) -> tuple[Index, Tensor]:
        """How many drafts each row keeps, ``[R]``, and what the full depth says then, ``[R]``."""
        drafts = checked.shape[1] - 1
        agrees = ~texts.done if self._each is not None else np.ones_like(texts.done)
        kept, newest = np.zeros(len(start), dtype=np.int64), texts.at(start - 1)
        for place in range(drafts + 1):
            right = self._chosen(texts, start + place, checked[:, place], agrees)
            newest = torch.where(texts.flags(agrees), right, newest)
            kept[agrees] = place
            if place == drafts:
                break
            same = (right == texts.at(start + place)).cpu().numpy()
            if self._each is None:  # all as many as the least lucky one
                agrees &= bool((same | texts.done).all())
            else:
                agrees &= same & (place < limits)
            if not agrees.any():
                break
        return kept, newest

    def _finish(self, texts: _Texts, start: Index, kept: Index) -> None:
        """Note which rows end with one of their new tokens."""
        for place in range(int(kept.max()) + 1):
            asked = ~texts.done & (place <= kept)
            for length in np.unique(start[asked] + place + 1):
                mine = asked & (start + place + 1 == length)
                over = self._ended(texts.tokens[:, :length]).cpu().numpy()
                texts.done |= mine & over
                texts.ends[mine & over] = length
            if self._pad is None and texts.done.all():  # nobody ends before all do
                texts.ends[:] = start + place + 1
                return

    def _chosen(self, texts: _Texts, lengths: Index, logits: Tensor, among: Flags) -> Tensor:
        """The next token of some rows, each with so many before it, ``[R]``."""
        found = None
        for length in np.unique(lengths[among]):
            # All rows are shown, because who picks may know them by their number.
            picked = self._choose(texts.tokens[:, :length], logits)
            if found is None or self._alike:
                found = picked
            else:
                found = torch.where(texts.flags(lengths == length), picked, found)
            if self._alike:
                break
        assert found is not None
        return found


class _Texts:
    """Rows of unlike lengths in one tensor, ``[R, W]``.

    Args:
        prompt: ``[R, n]``.
        more: Room for new tokens.
    """

    def __init__(self, prompt: Tensor, more: int) -> None:
        rows, begun = prompt.shape
        self.tokens = torch.cat([prompt, prompt.new_zeros(rows, more)], dim=1)
        self.layers = np.zeros(self.tokens.shape, dtype=np.int64)
        self.lengths: Index = np.full(rows, begun)
        """Sure tokens of each row."""
        self.ends: Index = np.zeros(rows, dtype=np.int64)
        """Length of each row that has ended."""
        self.done: Flags = np.zeros(rows, dtype=bool)

    def flags(self, flags: Flags) -> Tensor:
        """The same beside the tokens."""
        return torch.from_numpy(flags).to(self.tokens.device)

    def at(self, places: Index) -> Tensor:
        """One token of each row, ``[R]``."""
        index = torch.from_numpy(places).to(self.tokens.device)
        return self.tokens.gather(1, index[:, None]).squeeze(1)

    def put(self, places: Index, tokens: Tensor, among: Flags) -> None:
        """Write one token of some rows."""
        rows = torch.from_numpy(np.flatnonzero(among)).to(self.tokens.device)
        self.tokens[rows, torch.from_numpy(places).to(rows.device)[rows]] = tokens[rows]

    def padded(self, begun: int, pad: int | None) -> tuple[Tensor, Tensor]:
        """Everything up to the end of the longest row; see ``Speculation.write``."""
        width = int(self.ends.max())
        after = np.arange(width) >= self.ends[:, None]
        tokens = self.tokens[:, :width]
        if pad is not None:
            tokens = tokens.masked_fill(self.flags(after), pad)
        layers = np.where(after, 0, self.layers[:, :width])[:, begun:]
        return tokens, torch.from_numpy(layers)
