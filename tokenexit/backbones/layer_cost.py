"""What one layer of an encoder costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerCost:
    """Multiply-accumulates of one layer, per row; attention per query-key pair.

    Attributes:
        query: Of a row that asks: its query projection.
        key_value: Of a row that is attended to: key and value projections.
        combine: Of a row that asks: attention output and feed-forward block.
        pair: Of one query meeting one key: scores and read-out over all heads.
        fixed: Of a layer whatever its rows, such as projecting relative positions.
    """

    query: int
    key_value: int
    combine: int
    pair: int
    fixed: int = 0

    @classmethod
    def of(cls, width: int, feed_forward: int, inner: int | None = None) -> LayerCost:
        """Of a layer with a matrix each for queries, keys, values and output.

        Args:
            width: Of the states, ``H``.
            feed_forward: Multiply-accumulates of the feed-forward block, per row.
            inner: Width of all heads together; that of the states when None.
        """
        inner = width if inner is None else inner
        square = width * inner
        return cls(square, 2 * square, square + feed_forward, 2 * inner)
