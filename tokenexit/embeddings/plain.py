"""The network's own embeddings."""

from __future__ import annotations

from torch import Tensor

from tokenexit.embeddings.base import EMBEDDINGS, Below, Embeddings, Shape, Tokens


@EMBEDDINGS.register("plain")
class Plain(Embeddings):
    """Rows enter the first layer as the network embeds them.

    Args:
        shape: Not looked at.
    """

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()

    def forward(self, tokens: Tokens, below: Below) -> Tensor:
        """The network's own, ``[T, H]``."""
        return below.embed()
