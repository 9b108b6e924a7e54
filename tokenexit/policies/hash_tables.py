"""Sort the tokens of a vocabulary into buckets, from counts of a text or from embeddings."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.extras import require_libraries


def equal_shares(ranked: Sequence[int], counts: Mapping[int, int], buckets: int) -> tuple[int, ...]:
    """Cut a ranking of tokens where each part is an equal share of a text.

    Args:
        ranked: Token ids, the first to leave first.
        counts: ``{token id: occurrences}``, for example a ``collections.Counter``.
        buckets: How many parts.

    Returns:
        Ranks at which the second and each later part begin, rising.

    Raises:
        UserError: Nothing was counted, or ``buckets`` is no whole number above 0.
    """
    total = _total(counts.values(), buckets)
    reached = [0, *itertools.accumulate(counts[token] for token in ranked)]
    return tuple(
        next(rank for rank, seen in enumerate(reached) if seen * buckets >= share * total)
        for share in range(1, buckets)
    )


def by_rank(ranked: Sequence[int], counts: Mapping[int, int], buckets: int) -> dict[int, int]:
    """Buckets of ranked tokens with an equal share of a text each, ``{token id: bucket}``."""
    boundaries = equal_shares(ranked, counts, buckets)
    return {token: bisect_right(boundaries, rank) for rank, token in enumerate(ranked)}


def mutual_information(counts: Mapping[int, Mapping[Hashable, int]]) -> dict[int, float]:
    """What each token adds to the mutual information of tokens and labels, in nats, 0 or more.

    ``sum over y of p(x, y) log(p(x, y) / (p(x) p(y)))``, all of them shares of the occurrences.
    HashEE's released code takes ``p(y)`` from whole texts and serves two labels.

    Args:
        counts: ``{token id: {label: occurrences}}``: of a word's own tag, or of its text's class.

    Raises:
        UserError: Nothing was counted.
    """
    of_label: dict[Hashable, int] = {}
    for labels in counts.values():
        for label, seen in labels.items():
            of_label[label] = of_label.get(label, 0) + seen
    total = _total(of_label.values(), 1)
    found = {}
    for token, labels in counts.items():
        of_token = sum(labels.values())
        found[token] = sum(
            seen / total * math.log(seen * total / (of_token * of_label[label]))
            for label, seen in labels.items()
            if seen
        )
    return found


def balanced(counts: Mapping[int, int], buckets: int) -> dict[int, int]:
    """Fill buckets evenly: from the most frequent token on, each goes where there is least text.

    Args:
        counts: ``{token id: occurrences}``.
        buckets: How many.

    Returns:
        ``{token id: bucket}``; equal tokens go by id, equal buckets by number.

    Raises:
        UserError: Nothing was counted, or ``buckets`` is no whole number above 0.
    """
    _total(counts.values(), buckets)
    filled, found = [0] * buckets, {}
    for token in sorted(counts, key=lambda item: (-counts[item], item)):
        bucket = filled.index(min(filled))
        found[token] = bucket
        filled[bucket] += counts[token]
    return found


def clusters(embeddings: Tensor, buckets: int, seed: int = 0) -> list[int]:
    """Group tokens by k-means on their embeddings, groups of small vectors first.

    Groups are ordered by the sum of their vectors' lengths, as in HashEE's released code.

    Args:
        embeddings: One vector for each token of the vocabulary, ``[V, H]``.
        buckets: How many groups.
        seed: Of the first centres.

    Returns:
        Bucket of each token id.

    Raises:
        UserError: ``buckets`` is no whole number from 1 to the number of tokens.
    """
    require_libraries("sklearn")
    from sklearn.cluster import KMeans

    vectors = embeddings.detach().float().cpu()
    most = len(vectors)
    if isinstance(buckets, bool) or not isinstance(buckets, int) or not 1 <= buckets <= most:
        raise UserError(
            f"A vocabulary of {most} tokens falls into 1 to {most} clusters, not {buckets!r}."
        )
    means = KMeans(buckets, n_init=10, random_state=seed)  # type: ignore[arg-type]
    group = torch.as_tensor(means.fit_predict(vectors.numpy()), dtype=torch.long)
    size = torch.zeros(buckets).index_add(0, group, vectors.norm(dim=-1))
    return size.argsort(stable=True).argsort()[group].tolist()


def _total(counts: Iterable[int], buckets: int) -> int:
    """Occurrences in all."""
    total = sum(counts)
    if total <= 0 or isinstance(buckets, bool) or not isinstance(buckets, int) or buckets < 1:
        raise UserError(
            "A table of depths needs counts above 0 and 1 or more depths, "
            f"not {total} occurrences and depths={buckets!r}."
        )
    return total
