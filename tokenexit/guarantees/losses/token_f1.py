"""F1 of the words that two texts share, as of answers to questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tokenexit.guarantees.likeness import Likeness, promised


@promised("token f1")
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
