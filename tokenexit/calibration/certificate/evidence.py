"""What a test of promises rests on: what was counted of each text, setting by setting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tokenexit.guarantees import FixedSequence, Guarantee
from tokenexit.guarantees.losses import Columns
from tokenexit.guarantees.order import order_by, text_hash


@dataclass(frozen=True, eq=False)
class Evidence:
    """Numbers of each text, as far as promises read them.

    Attributes:
        guarantees: What was to hold.
        texts: Hash of each text, with its right answer if it has one.
        full: At full depth.
        policies: Settings that were tested, the first first, as plain data.
        settings: What was counted with each.
        documents: Number of each text's document, ``[n]``; None where each stands for itself.
    """

    guarantees: tuple[Guarantee, ...]
    texts: Sequence[str]
    full: Columns
    policies: Sequence[Mapping[str, Any]]
    settings: Sequence[Columns]
    documents: NDArray[np.int64] | None = None

    @classmethod
    def of(
        cls,
        sequence: FixedSequence,
        keys: Iterable[str],
        policies: Sequence[Mapping[str, Any]],
        settings: Sequence[Columns],
    ) -> Self:
        """What a sequence of tests was given.

        Args:
            sequence: The tests.
            keys: What tells texts apart.
            policies: Settings that were tested.
            settings: What was counted with each.
        """
        guarantees = tuple(sequence.guarantees)
        read = {name for one in guarantees for name in one.kind.needs}
        apart = {one.every.partition(":")[0] for one in guarantees if one.every}
        return cls(
            guarantees=guarantees,
            texts=[text_hash(key) for key in keys],
            full={name: sequence.full[name] for name in sorted(read | apart)},
            policies=[dict(policy) for policy in policies],
            settings=[{name: one[name] for name in sorted(read)} for one in settings],
            documents=sequence.documents,
        )

    def sequence(self) -> FixedSequence:
        """The tests, to be made anew."""
        return FixedSequence(self.guarantees, self.full, order_by(self.texts), self.documents)
