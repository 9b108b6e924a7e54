"""Ask at every k-th layer only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tokenexit.policies.base import POLICIES
from tokenexit.policies.divergence import Divergence
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.value import whole
from tokenexit.policies.wrapper import AskedAt


@POLICIES.register("every_kth")
@dataclass(frozen=True)
class EveryKth(AskedAt):
    """The inner policy is asked at layers ``k``, ``2k``, ``3k`` and so on.

    Fewer exits cost fewer heads: with a large vocabulary, asking everywhere can cost more
    than it saves. A policy that compares exits compares those at which it is asked.

    Args:
        policy: Who decides there.
        k: Distance of the layers; 1 is the inner policy itself.
    """

    in_words = "{policy}, asked every {k:layer}"

    k: int = whole(2, 1, 1000)

    def asks(self, layer: int) -> bool:
        """See ``AskedAt``."""
        return layer % self.k == 0

    @classmethod
    def examples(cls) -> list[Self]:
        """Around a policy without and one with a state."""
        return [cls(Entropy(0.5), 2), cls(Divergence(0.2), 2)]
