"""Let nobody out before a given layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tokenexit.policies.base import POLICIES
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.patience import Patience
from tokenexit.policies.value import whole
from tokenexit.policies.wrapper import AskedAt


@POLICIES.register("from_layer")
@dataclass(frozen=True)
class FromLayer(AskedAt):
    """The inner policy is asked from ``layer`` on.

    Earlier exits are not even computed, since nobody reads their logits; a policy that
    compares exits starts with the first one it is asked at.

    Args:
        policy: Who decides from there.
        layer: First layer at which anybody may halt, from 1.
    """

    in_words = "{policy}, from layer {layer:d} on"

    layer: int = whole(2, 1, 1000)

    def asks(self, layer: int) -> bool:
        """See ``AskedAt``."""
        return layer >= self.layer

    @classmethod
    def examples(cls) -> list[Self]:
        """Around a policy without and one with a state."""
        return [cls(Entropy(0.5), 2), cls(Patience(1), 3)]
