"""Embeddings that stand for lower layers are switched on when a phase begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tokenexit.errors import UserError
from tokenexit.training.preparations.base import PREPARATIONS, Material, Preparation


@PREPARATIONS.register("embeddings")
@dataclass(frozen=True)
class SwitchEmbeddings(Preparation):
    """Let the model's embeddings of n-grams, which were off, stand for lower layers from now on.

    What the network learned before, reading whole texts, may teach it: as the phase before left it.
    """

    def __call__(self, model: Any, material: Material) -> None:
        """See ``Preparation``."""
        heads = getattr(model, "heads", None)
        if heads is None or not heads.embeddings.tabled:
            raise UserError(
                "The preparation 'embeddings' switches on embeddings of n-grams, and the model has "
                "none: set embeddings={name: ngram, on: false}."
            )
        heads.embeddings.on = True
