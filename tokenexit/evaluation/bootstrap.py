"""How sure is a share of quality kept, given the texts it was measured on?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tokenexit.halting import Trace
from tokenexit.tasks import Rows, labelled_task

RESAMPLES = 1000


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
    draws = np.random.default_rng(seed).multinomial(texts, np.full(texts, 1 / texts), RESAMPLES)
    ours, deep = (draws @ _counts(t, labels, task, texts) for t in (trace, full))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (ours[:, 0] / ours[:, 1]) / (deep[:, 0] / deep[:, 1])
    return float(np.quantile(np.nan_to_num(ratio, posinf=1.0), 1 - confidence))


def _counts(trace: Trace, labels: Sequence[str], task: str, texts: int) -> NDArray[np.float64]:
    """Numerator and denominator of the quality of each text, ``[texts, 2]``; they add up."""
    of = labelled_task(task)
    known = of.known(trace.gold)
    rows = Rows(trace.prediction[known], trace.gold[known], trace.text[known], labels)
    return of.parts(rows, texts)
