"""Halt at the depth of the bucket that a row's token is in (HashEE)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from tokenexit.policies.assigned_depth import MAX_DEPTH, check_table
from tokenexit.policies.base import POLICIES
from tokenexit.policies.hash_tables import balanced, by_rank, clusters, mutual_information
from tokenexit.policies.token_table import TokenTable
from tokenexit.policies.value import whole


@POLICIES.register("token_buckets")
@dataclass(frozen=True)
class TokenBuckets(TokenTable):
    """A token's depth is ``first`` plus the number of its bucket.

    The hash functions of HashEE (Sun et al. 2022) that need a table: ``from_information``,
    ``from_embeddings``, and ``balanced``, which Hash Layers (Roller et al. 2021) use to route
    tokens to experts. By frequency there is ``TokenFrequency``, at random ``Hash``. The released
    code cuts the *vocabulary* into equal parts, where here it is the text. Tokens without a count
    are put in the deepest bucket, as there. When decoding, a row's token is the one that was read,
    not the one to be predicted.

    Args:
        by_item: ``{token id: bucket from 0}`` or pairs of the same; kept as a sorted tuple.
        first: Depth of bucket 0; more is stricter, for all tokens alike.
        others: Bucket of all tokens that are not in the table.

    Raises:
        UserError: A number is no whole number in its range, or an id is given twice.
    """

    in_words = "by a table of tokens, from layer {first:d} on"

    by_item: Mapping[int, int] | tuple[tuple[int, int], ...] = ()
    first: int = 1
    others: int = whole(0, 0, MAX_DEPTH - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_table(self, "by_item", "buckets", 0, MAX_DEPTH - 1)

    @classmethod
    def from_information(
        cls, counts: Mapping[int, Mapping[Hashable, int]], depths: int, first: int = 1
    ) -> Self:
        """Tokens that say most about the label leave first; an equal share of text each depth.

        Args:
            counts: ``{token id: {label: occurrences}}`` of a training split.
            depths: How many different depths, from 1.
            first: The smallest of them.

        Raises:
            UserError: Nothing was counted, or ``depths`` is no whole number above 0.
        """
        information = mutual_information(counts)
        ranked = sorted(information, key=lambda token: (-information[token], token))
        seen = {token: sum(labels.values()) for token, labels in counts.items()}
        return cls(by_rank(ranked, seen, depths), first, depths - 1)

    @classmethod
    def from_embeddings(
        cls, embeddings: Tensor, depths: int, first: int = 1, seed: int = 0
    ) -> Self:
        """Tokens with similar embeddings leave together, groups of small vectors first.

        Args:
            embeddings: Of the whole vocabulary, ``[V, H]``.
            depths: How many different depths, from 1.
            first: The smallest of them.
            seed: Of the first centres of k-means.

        Raises:
            UserError: ``depths`` is no whole number from 1 to the number of tokens.
        """
        found = clusters(embeddings, depths, seed)
        return cls(dict(enumerate(found)), first, depths - 1)

    @classmethod
    def balanced(cls, counts: Mapping[int, int], depths: int, first: int = 1) -> Self:
        """Each depth gets an equal share of the text, and frequent and rare tokens alike.

        Args:
            counts: ``{token id: occurrences}`` of a training split.
            depths: How many different depths, from 1.
            first: The smallest of them.

        Raises:
            UserError: Nothing was counted, or ``depths`` is no whole number above 0.
        """
        return cls(balanced(counts, depths), first, depths - 1)

    def buckets(self) -> tuple[Mapping[int, int], int]:
        """The table and the bucket of all others."""
        return dict(self.by_item), self.others

    @classmethod
    def examples(cls) -> list[Self]:
        """A small table, and one with all others in the first bucket."""
        return [cls({5: 0, 7: 0, 9: 1, 11: 1, 20: 2}, 1, 3), cls(((6, 2), (8, 1), (10, 3)), 1)]
