"""Take rows out at depths that a table of the training texts has for their tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import torch
from torch import Tensor

from tokenexit.errors import UserError, unknown_name
from tokenexit.policies import State, ThresholdSpec
from tokenexit.policies.assigned_depth import MAX_DEPTH, AssignedDepth, check_table
from tokenexit.policies.hash_tables import by_rank, mutual_information
from tokenexit.policies.value import whole
from tokenexit.reducers.base import REDUCERS, Fate, Place, Reducer
from tokenexit.reducers.rows import Rows

By = Literal["information", "frequency"]
BY: tuple[By, ...] = ("information", "frequency")
Share = Literal["text", "vocabulary"]
SHARES: tuple[Share, ...] = ("text", "vocabulary")

Counts = Mapping[int, Mapping[Hashable, int]]
"""``{token id: {label: occurrences}}`` of training texts, without special tokens."""


@REDUCERS.register("by_table")
@dataclass(frozen=True)
class ByTable(Reducer):
    """A row is computed as deep as its token's place in a ranking of the training texts says.

    Depths given beforehand, after Faster Depth-Adaptive Transformers (Liu et al. 2021), whose
    abstract alone could be read, and of HashEE's released code (Sun et al. 2022). Tokens are
    ranked by the mutual information of token and label or by frequency and cut into equal parts,
    of which the first is computed to layer ``first``, the next one layer farther. Special tokens
    and those that the texts have not, run to the top, as does the first row. A recipe fills in the
    table from its training split; without one everybody runs to the top.

    Args:
        by: ``information`` or ``frequency``; the most of it comes first.
        depths: How many parts.
        first: Depth of the first; more is stricter, for all tokens alike.
        reverse: Whether the least of it comes first.
        share: Of what parts are equal: of the ``text``, or of the ``vocabulary`` as HashEE cuts,
            by which nearly all of a text is in one part.
        table: ``{token id: part from 0}`` or pairs of the same; empty until it is filled in.
        fate: What becomes of the rows.
        place: ``before`` a layer; there is nothing of it to read.

    Raises:
        UserError: A setting is unknown or out of range.
    """

    by: By = "information"
    depths: int = whole(6, 1, MAX_DEPTH)
    first: int = whole(1, 1, MAX_DEPTH)
    reverse: bool = False
    share: Share = "text"
    table: Mapping[int, int] | tuple[tuple[int, int], ...] = ()
    fate: Fate = "copy"
    place: Place = "before"
    own_threshold = ThresholdSpec("first", strict=48, loose=1, integer=True, log=True)
    counts_tokens = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, allowed in (("by", BY), ("share", SHARES)):
            if getattr(self, field) not in allowed:
                raise unknown_name(f"{field} of ByTable", getattr(self, field), allowed)
        check_table(self, "table", "parts", 0, MAX_DEPTH - 1)

    def keep(self, rows: Rows, state: State) -> tuple[Tensor, State]:
        """Those whose depth has not been passed."""
        if not self.table:
            return torch.ones_like(rows.pinned), state
        return self._depths.depth_of(rows.item_id) >= rows.layer, state

    def asked(self, layer: int, num_layers: int, longest: int) -> bool:
        """Not up to the first depth, through which every row runs."""
        return bool(self.table) and layer > self.first

    def counted(self, counts: Counts) -> Self:
        """The same with the table of some texts; as it is where it has one.

        Raises:
            UserError: Nothing was counted.
        """
        if self.table:
            return self
        seen = {token: sum(labels.values()) for token, labels in counts.items()}
        if not seen:
            raise UserError("by_table ranks tokens of labelled training texts; there are none.")
        score = mutual_information(counts) if self.by == "information" else seen
        sign = 1 if self.reverse else -1
        ranked = sorted(seen, key=lambda token: (sign * score[token], token))
        if self.share == "text":
            found = by_rank(ranked, seen, self.depths)
        else:
            size = max(len(ranked) // self.depths, 1)
            last = self.depths - 1
            found = {token: min(rank // size, last) for rank, token in enumerate(ranked)}
        return dataclasses.replace(self, table=found)

    @cached_property
    def _depths(self) -> AssignedDepth:
        parts = dict(self.table).items()
        depths = {token: min(int(self.first) + part, MAX_DEPTH) for token, part in parts}
        return AssignedDepth(MAX_DEPTH, depths)

    @classmethod
    def examples(cls) -> list[Self]:
        """One of each kind."""
        table = tuple((token, token % 3) for token in range(5, 25))
        return [cls(table=table), cls("frequency", 3, 2, table=table, fate="restore")]
