"""What of a network a pass over a batch goes through."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.reducers import Reducer, RowWeights
from tokenexit.selectors import Choose
from tokenexit.widths import Widths


@dataclass(frozen=True)
class SubNetwork:
    """The part of a network that a pass goes through; all of it by default.

    Attributes:
        reducer: Takes rows out.
        widths: Heads and neurons that it computes; those of the model when None.
        without: Layers, from 1, that are left out by the whole batch, and not computed.
        weights: Weighs rows in the place of a reducer, so that gradients say which are needed.
        choose: What of each layer a text computes, by the model's selectors.
    """

    reducer: Reducer | None = None
    widths: Widths | None = None
    without: frozenset[int] = frozenset()
    weights: RowWeights | None = None
    choose: Choose | None = None
