"""How sure is a difference in quality, or a share kept, given the texts it was measured on?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenexit.halting import Trace
from tokenexit.halting.trace import WordRows
from tokenexit.tasks import Rows, labelled_task

RESAMPLES = 1000
CONFIDENCE = 0.95
_AT_ONCE = 50
"""Resamples held at once."""


@dataclass(frozen=True)
class Difference:
    """Quality less that of another run on the same texts, with its interval.

    Attributes:
        difference: On all texts.
        low: Lower end of the confidence interval.
        high: Upper end.
    """

    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Paired(Difference):
    """The same, and the share of that quality, likewise.

    Attributes:
        kept: Quality over the other's; NaN where that is 0.
        kept_low: Lower end.
        kept_high: Upper end.
    """

    kept: float
    kept_low: float
    kept_high: float


def paired(
    ours: NDArray[np.float64],
    others: NDArray[np.float64],
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Paired:
    """Hold a run against another on the same texts, by a paired bootstrap (Koehn 2004).

    Args:
        ours: Numerator and denominator of the quality of each text, ``[T, 2]``.
        others: Those of the other run.
        confidence: Of the intervals.
        seed: Of the resamples.

    Raises:
        ValueError: The runs are not on the same number of texts.
    """
    if len(ours) != len(others):
        raise ValueError(f"{len(ours)} texts cannot be paired with {len(others)}.")
    one, two = (_quality(counts.sum(axis=0, keepdims=True))[0] for counts in (ours, others))
    first, second = (_quality(sums) for sums in _resampled((ours, others), seed))
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(first - second, [tail, 1 - tail])
    with np.errstate(divide="ignore", invalid="ignore"):
        share, shares = np.divide(one, two), first / second
    shares = shares[np.isfinite(shares)]
    kept = np.quantile(shares, [tail, 1 - tail]) if len(shares) else (np.nan, np.nan)
    share = share if np.isfinite(share) else np.nan
    return Paired(*map(float, (one - two, low, high, share, *kept)))


def relative_quality_bound(
    trace: Trace,
    full: Trace,
    labels: Sequence[str],
    task: str,
    confidence: float,
    seed: int = 0,
) -> float:
    """Lower bound on quality over full-depth quality, by a paired bootstrap over texts.

    Texts are drawn with replacement, the same ones for both runs (Efron and Tibshirani 1993);
    the bound is the ``1 - confidence`` quantile of the ratio.

    Args:
        trace: A run with exits.
        full: The same texts at full depth.
        labels: Names of the classes.
        task: Its name.
        confidence: Share of resamples in which the ratio is at least the bound.
        seed: Of the resamples.
    """
    texts = int(trace.text.max(initial=-1)) + 1
    if texts == 0:
        return 0.0
    ours, deep = _resampled([text_parts(t, labels, task, texts) for t in (trace, full)], seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (ours[:, 0] / ours[:, 1]) / (deep[:, 0] / deep[:, 1])
    return float(np.quantile(np.nan_to_num(ratio, posinf=1.0), 1 - confidence))


def text_parts(
    trace: WordRows, labels: Sequence[str], task: str, texts: int
) -> NDArray[np.float64]:
    """Numerator and denominator of the quality of each text, ``[texts, 2]``; they add up.

    Raises:
        UserError: The task's figure is not made of sums over texts.
    """
    of = labelled_task(task)
    known = of.known(trace.gold)
    rows = Rows(trace.prediction[known], trace.gold[known], trace.text[known], labels)
    return of.parts(rows, texts)


def _resampled(counts: Sequence[NDArray[np.float64]], seed: int) -> tuple[NDArray[np.float64], ...]:
    """Sums over resampled texts, the same texts for every run, ``[RESAMPLES, 2]`` each."""
    rng, texts = np.random.default_rng(seed), len(counts[0])
    sums: list[list[NDArray[np.float64]]] = [[] for _ in counts]
    for start in range(0, RESAMPLES, _AT_ONCE):
        count = min(_AT_ONCE, RESAMPLES - start)
        draws = rng.multinomial(texts, np.full(texts, 1 / texts), count)
        for held, rows in zip(sums, counts, strict=True):
            held.append(draws @ rows)
    return tuple(np.concatenate(held) for held in sums)


def _quality(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quality of sums, ``[..., 2]``; 0 where nothing was to be scored, as F1 has it."""
    over, under = sums[..., 0], sums[..., 1]
    return np.divide(over, under, out=np.zeros_like(over, dtype=np.float64), where=under > 0)
