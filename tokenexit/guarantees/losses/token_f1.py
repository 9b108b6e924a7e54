"""F1 of the words that two texts share, as of answers to questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tokenexit.guarantees.likeness import Costs, Differs, Kept, Likeness
from tokenexit.guarantees.losses.base import LOSSES


class TokenF1(Likeness):
    """Words shared, whatever their order, of the best reference; case and spaces do not count."""

    title = "token F1"

    def of(self, text: str, references: Sequence[str]) -> float:
        """See ``Likeness``."""
        return max((_f1(text, known) for known in references), default=0.0)


def _f1(text: str, known: str) -> float:
    said, meant = Counter(text.casefold().split()), Counter(known.casefold().split())
    both = said.total() + meant.total()
    return 2 * (said & meant).total() / both if both else 1.0


@LOSSES.register("token f1 differs")
class TokenF1Differs(Differs):
    """Textual consistency by the words that are shared with full depth's text."""

    likeness = TokenF1


@LOSSES.register("token f1 loss")
class TokenF1Loss(Costs):
    """Points of token F1 against the references that exits cost."""

    likeness = TokenF1


@LOSSES.register("token f1 kept")
class TokenF1Kept(Kept):
    """The share of full depth's token F1 that is kept."""

    likeness = TokenF1
