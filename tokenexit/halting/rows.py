"""The rows still in the network: who is active, who is only read, who has left."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from tokenexit.halting.layout import FILL, Layout, alone, arrange, cheaper_absorbed
from tokenexit.halting.packing import Index, Mask, PackedBatch
from tokenexit.halting.word_means import word_means
from tokenexit.reducers.base import Fate
from tokenexit.transfer import send

Halted = Literal["copy", "drop", "restore"]
HALTED: tuple[Halted, ...] = ("copy", "drop", "restore")
"""What halted rows still give to the others.

``copy``: their frozen state; every later layer computes keys and values from it.
``drop``: nothing, they leave the attention.
``restore``: as ``drop``, and the top head scores their frozen state.
"""


class LiveRows:
    """Token rows of one batch, sentence after sentence, as layers and exits thin them out.

    Args:
        batch: Packed sentences.
        hidden: Their embedded rows, ``[T, H]``.
        halted: What halted rows still give.
        alike: Whether only sentences of one shape attend together, none of them padded.
        fill: See ``arrange``.
    """

    def __init__(
        self,
        batch: PackedBatch,
        hidden: Tensor,
        halted: Halted,
        *,
        alike: bool = False,
        fill: float = FILL,
    ) -> None:
        self.batch = batch
        self._alike, self._fill = alike, fill
        self.hidden = hidden
        self.positions = batch.positions
        self.original = np.arange(len(batch.row_word))
        self.active = np.ones(len(batch.row_word), dtype=bool)
        self.words = np.arange(batch.num_words)
        number = torch.arange(batch.num_words, device=hidden.device)
        self._of_words(
            torch.stack([number, batch.word_sequence, batch.word_position, batch.word_item])
        )
        self.word_target = batch.word_target
        self.first_row = batch.first_row
        self._row_word = batch.row_word
        self._row_sequence = batch.row_sequence
        self._sequence_of = batch.row_sequence[batch.first_row]
        self._halted = halted
        self._layout: Layout | None = None
        self._index: Tensor | None = None
        self._first: Tensor | None = batch.first
        self._known: Tensor | None = batch.known
        self._parts: list[Tensor] | None = None
        self._word_of_row = batch.word_of_row
        self._held: Tensor | None = None
        self._asking_sequence: Tensor | None = None
        self._read: Mask | None = None
        self._read_index: Tensor | None = None
        self._asking_read: Tensor | None = None
        self._absorbs = False
        self.num_active = len(self.active)
        wordless = np.bincount(self._sequence_of, minlength=batch.num_sequences) == 0
        if wordless.any():
            self._keep(~wordless[self._row_sequence])

    @property
    def layout(self) -> Layout:
        """The groups of the current layer; ``plan`` makes them."""
        assert self._layout is not None
        return self._layout

    def known(self) -> Tensor:
        """Places among the remaining words of those with a gold class, ``[K]``."""
        if self._known is None:
            assert self.batch.labelled is not None
            self._known = self._tensor(np.flatnonzero(self.batch.labelled[self.words]))
        return self._known

    @property
    def gone(self) -> Tensor | None:
        """Which words have halted without leaving, ``[W]`` bool; None if there was no ``hold``."""
        return None if self._held is None else self._held[:-1]

    @property
    def target(self) -> Tensor | None:
        """What the remaining words have to learn, ``[N]``; -100 for those that are held."""
        if self._held is None or self.word_target is None:
            return self.word_target
        return self.word_target.masked_fill(self._held[:-1], -100)

    def hold(self, halted: Tensor) -> None:
        """Halt words that go on being counted among the remaining ones; their rows stay as is.

        Args:
            halted: Which of all words, ``[W]`` bool, beside those that are held already.
        """
        if self._held is None:  # the last entry serves special tokens
            self._held = halted.new_zeros(self.batch.num_words + 1)
        self._held = torch.cat([self._held[:-1] | halted, self._held[-1:]])

    def held(self) -> Tensor | None:
        """Which of the active rows stay as they are, ``[A]`` bool; None if none do."""
        if self._held is None:
            return None
        words = self._word_of_row if self._index is None else self._word_of_row[self._index]
        return self._held[words]

    def asking_sequence(self) -> Tensor:
        """Sentence of each active row, ``[A]``."""
        if self._asking_sequence is None:
            sequence = self.batch.row_sequence[self.original][self.active]
            self._asking_sequence = self._tensor(sequence)
        return self._asking_sequence

    def plan(self, width: int, heads: int, absorb: bool) -> None:
        """Arrange the attention of the next layer, unless nothing has changed.

        Args:
            width: Width of the network.
            heads: Its attention heads.
            absorb: Whether sentences may read unprojected states where that is cheaper.
        """
        if self._layout is not None and self._absorbs == absorb:
            return
        self._asking_sequence, self._absorbs = None, absorb
        if self._read is None and self.batch.num_sequences == 1:
            self._plan_one(width, heads, absorb)
            return
        asking = np.bincount(self._row_sequence[self.active], minlength=self.batch.num_sequences)
        present, read = np.flatnonzero(asking), self._readable(asking)
        sequence = self._row_sequence if read is None else self._row_sequence[read]
        attended = np.bincount(sequence, minlength=len(asking))[present]
        asking = asking[present]
        absorbed = (
            cheaper_absorbed(asking, attended, width, heads)
            if absorb
            else np.zeros(len(present), dtype=bool)
        )
        how = self._alike, self._fill
        self._layout = arrange(asking, attended, absorbed, self.hidden.device, *how)
        self._number()

    def _plan_one(self, width: int, heads: int, absorb: bool) -> None:
        """``plan`` for a sentence alone: plain numbers instead of arrays."""
        asking, attended = int(self.active.sum()), len(self.active)
        absorbed = absorb and bool(cheaper_absorbed(asking, attended, width, heads))
        self._layout = alone(asking, attended, absorbed)
        self._number()

    def _number(self) -> None:
        """Say where the active rows lie."""
        self.num_active = int(self.active.sum())
        everybody = self.num_active == len(self.active)
        self._index = None if everybody else self._tensor(np.flatnonzero(self.active))

    def _readable(self, asking: Index) -> Mask | None:
        """Which rows the next layer reads, ``[R]`` bool: those that somebody asks; None for all.

        Args:
            asking: Active rows of each sentence of the batch, ``[S]``.
        """
        self._read_index = None
        read = (asking > 0)[self._row_sequence]
        if self._read is not None:
            read &= self._read
        if read.all():
            return None
        self._read_index = self._tensor(np.flatnonzero(read))
        self._asking_read = self._tensor((np.cumsum(read) - 1)[self.active])
        return read

    def asking(self) -> tuple[Tensor, Tensor]:
        """States and positions of the active rows, ``[A, H]`` and ``[A]``."""
        return self.of_asking(self.hidden), self.of_asking(self.positions)

    def of_asking(self, column: Tensor) -> Tensor:
        """Of a column of all rows, ``[R, ...]``, those that are active."""
        return column if self._index is None else column.index_select(0, self._index)

    def read_by(self, active: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """States and positions of the rows that are read, and which of them ask, ``[A]``.

        Args:
            active: From ``asking``.
            places: Likewise.

        Returns:
            The same two, and None, where all that are read ask.
        """
        if self._read_index is None:
            return self.hidden, self.positions, self._index
        if len(self._read_index) == self.num_active:
            return active, places, None
        return self.of_read(self.hidden), self.of_read(self.positions), self._asking_read

    def of_read(self, column: Tensor) -> Tensor:
        """Of a column of all rows, ``[R, ...]``, those that are read."""
        return column if self._read_index is None else column.index_select(0, self._read_index)

    def thin(self, keep: Mask, fate: Fate, merged: Mask | None = None) -> None:
        """Compute some of the active rows no further; their words remain.

        Args:
            keep: Which of the active rows go on, ``[A]`` bool.
            fate: What becomes of the others; see ``reducers.FATES``.
            merged: Which of the active rows stand for others, and so for no word, ``[A]`` bool.
        """
        if merged is not None:
            self._row_word = self._row_word.copy()
            self._row_word[np.flatnonzero(self.active)[merged]] = -1
            self._parts = None
        stay = self.active.copy()
        stay[self.active] = keep
        gone, self.active = self.active & ~stay, stay
        if fate == "restore":
            read = np.ones(len(stay), dtype=bool) if self._read is None else self._read
            self._read = read & ~gone
        elif fate != "copy":
            self._keep(~gone)
        self._layout = self._asking_sequence = None
        self._number()

    def write(self, new: Tensor) -> None:
        """Replace the states of the active rows; nothing else is touched."""
        wider = torch.promote_types(self.hidden.dtype, new.dtype)
        new = new.to(wider)
        if self.hidden.dtype != wider:  # T5 in half: its embeddings alone are
            self.hidden = self.hidden.to(wider)
        if self._index is None:
            self.hidden = new
        elif torch.is_grad_enabled():
            self.hidden = self.hidden.index_copy(0, self._index, new)
        else:
            self.hidden.index_copy_(0, self._index, new)

    def only_first_rows(self) -> None:
        """Before the top layer: nobody will read sub-words or special tokens above it."""
        first = np.zeros(len(self.active), dtype=bool)
        first[self.first_row] = True
        self.active &= first  # but for those that a reducer has taken out
        self._layout = None

    def first_states(self, hidden: Tensor) -> Tensor:
        """The row of each remaining word that decides for it, ``[N, H]``."""
        if self._first is None:
            self._first = self._tensor(self.first_row)
        return hidden.index_select(0, self._first)

    def mean_states(self, hidden: Tensor, weights: Tensor | None = None) -> Tensor:
        """The mean over all rows of each remaining word, ``[N, H]``.

        Args:
            hidden: States of all rows, ``[R, H]``.
            weights: What each counts, ``[R]``; all the same if None.
        """
        if self._parts is None:
            place = np.full(self.batch.num_words + 1, -1)  # the last entry serves word -1
            place[self.words] = np.arange(len(self.words))
            word = place[self._row_word]
            rows = np.flatnonzero(word >= 0)
            count = np.bincount(word[rows], minlength=len(self.words))
            parts = [torch.from_numpy(part) for part in (rows, word[rows], count)]
            self._parts = send(parts, self.hidden.device)
        rows, word, count = self._parts
        return word_means(hidden, rows, word, count, weights)

    def retire(self, gone: Mask) -> tuple[Tensor, Tensor]:
        """Halt words; sentences without a word left leave.

        Args:
            gone: Which of the remaining words halt, ``[N]`` bool, at least one.

        Returns:
            Places among the words of those that left and of those that stay.
        """
        stay = np.flatnonzero(~gone)
        if not len(stay):  # nobody is left to compute or to read
            everybody = torch.arange(len(gone), device=self.hidden.device)
            self.words = self.words[:0]
            return everybody, everybody[:0]
        left = torch.from_numpy(np.flatnonzero(gone))
        left, staying = send([left, torch.from_numpy(stay)], self.hidden.device)
        finished = np.zeros(self.batch.num_words + 1, dtype=bool)
        finished[self.words[gone]] = True  # the extra entry serves special tokens, word -1
        done = finished[self._row_word]
        self.active &= ~done
        self.words, self.first_row = self.words[stay], self.first_row[stay]
        self._first = self._known = self._parts = None
        self._keep_words(staying)
        self._layout = None
        if self.batch.num_sequences > 1 or self._halted != "copy":
            self._drop_finished(done)
        return left, staying

    def _drop_finished(self, done: Mask) -> None:
        """Remove the rows that nobody will read any more.

        Args:
            done: Rows of the words that have just halted, ``[R]`` bool.
        """
        unfinished = np.bincount(
            self._sequence_of[self.words], minlength=self.batch.num_sequences
        ).astype(bool)
        keep = unfinished[self._row_sequence]
        if self._halted != "copy":
            keep &= ~done
        if not keep.all():
            self._keep(keep)

    def _keep_words(self, stay: Tensor) -> None:
        self._of_words(self._table.index_select(1, stay))
        if self.word_target is not None:
            self.word_target = self.word_target[stay]

    def _of_words(self, table: Tensor) -> None:
        """Number, sequence, place and item of the remaining words, ``[4, N]``."""
        self._table = table
        self.word_tensor, self.word_sequence, self.word_position, self.word_item = table.unbind()

    def _keep(self, mask: Mask) -> None:
        rows = self._tensor(np.flatnonzero(mask))
        self.hidden, self.positions = self.hidden.index_select(0, rows), self.positions[rows]
        self._word_of_row = self._word_of_row[rows]
        self.original, self.active = self.original[mask], self.active[mask]
        self._read = None if self._read is None else self._read[mask]
        self._row_word, self._row_sequence = self._row_word[mask], self._row_sequence[mask]
        self.first_row = (np.cumsum(mask) - 1)[self.first_row]
        self._first = self._parts = None

    def _tensor(self, values: Index) -> Tensor:
        return send([torch.from_numpy(values)], self.hidden.device)[0]
