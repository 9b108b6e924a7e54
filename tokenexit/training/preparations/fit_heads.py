"""Heads that look at texts once more, before a phase: temperatures, class means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenexit.errors import UserError, unknown_name
from tokenexit.training.fit import fit_heads
from tokenexit.training.preparations.base import PREPARATIONS, Material, Preparation


@PREPARATIONS.register("fit_heads")
@dataclass(frozen=True)
class FitHeads(Preparation):
    """Let heads that want it look at training texts now, and not only after training.

    Args:
        split: The share of the training texts that they look at; the phase's own when None.
    """

    split: str | None = None

    def check(self, splits: Mapping[str, Any]) -> None:
        """See ``Preparation``."""
        if self.split is not None and self.split not in splits:
            raise unknown_name("share of the texts in fit_heads.split", self.split, splits)

    def __call__(self, model: Any, material: Material) -> None:
        """See ``Preparation``."""
        texts = material.texts if self.split is None else material.splits[self.split]
        if not hasattr(model, "heads"):
            raise UserError(
                "fit_heads is for heads of taggers and classifiers; generators have none."
            )
        seen: dict[str, Any] = dict.fromkeys(("train", "validation", "phase"), texts)
        fit_heads(model, seen, material.batch_size)
