"""Quality of written texts: corpus BLEU and chrF, agreement with full depth, and how sure.

BLEU and chrF are sacreBLEU's, with its signatures, on a scale from 0 to 1 as all quality here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile, zip_longest
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tokenexit.errors import UserError, unknown_name
from tokenexit.evaluation.bootstrap import RESAMPLES, Difference
from tokenexit.extras import require_libraries
from tokenexit.metrics import Metric
from tokenexit.results import kept

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU

TOKENIZERS = ("13a", "intl", "zh", "char", "none")
"""Those of sacreBLEU that need neither a download nor another package."""


@dataclass(frozen=True)
class TextScores:
    """Scores of a set of texts.

    Attributes:
        bleu: Corpus BLEU, 0 to 1.
        chrf: Corpus chrF2, 0 to 1.
        signatures: How sacreBLEU was set, by metric; to be quoted with the scores.
    """

    bleu: float
    chrf: float
    signatures: dict[str, str]


@dataclass(frozen=True)
class Agreement:
    """How far texts follow those of another run.

    Attributes:
        exact: Share of texts that are equal.
        prefix: Words (or ids) up to the first that differs over those of the longer text, mean
            over texts; two empty texts agree.
    """

    exact: float
    prefix: float


@dataclass(frozen=True)
class BleuDifference(Difference):
    """BLEU less that of another run, and how sure it is.

    Attributes:
        mean: Over resamples.
        p_value: As sacreBLEU's paired bootstrap gives it, but 1 where nothing differs.
    """

    mean: float
    p_value: float


def score_texts(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], tokenize: str = "13a"
) -> TextScores:
    """Score texts against their references.

    Args:
        hypotheses: What was written.
        references: One or more for each, not as many for all.
        tokenize: How BLEU finds words: ``13a``, ``intl``, ``zh``, ``char`` or ``none``.

    Raises:
        UserError: Nothing to score, a text without references, or an unknown tokenizer.
    """
    require_libraries("sacrebleu")
    from sacrebleu.metrics.chrf import CHRF

    check_texts(hypotheses, references)
    streams = list(zip_longest(*references))  # one of first references, one of second, ...
    metrics = {"bleu": _bleu(tokenize), "chrf": CHRF()}
    scores = {n: m.corpus_score(list(hypotheses), streams).score for n, m in metrics.items()}
    signatures = {name: str(metric.get_signature()) for name, metric in metrics.items()}
    return TextScores(scores["bleu"] / 100, scores["chrf"] / 100, signatures)


def agreement(
    hypotheses: Sequence[str] | Sequence[Sequence[int]],
    full: Sequence[str] | Sequence[Sequence[int]],
) -> Agreement:
    """Compare texts, or lists of token ids, with those of the full depth.

    A decoder that once writes another word goes its own way from there, so what counts of
    a text is the part before.
    """
    _check_lengths(hypotheses, full, "texts of the full depth")
    equal, shares = 0, []
    for ours, deep in zip(hypotheses, full, strict=True):
        equal += ours == deep if isinstance(ours, str) else list(ours) == list(deep)
        first, second = (t.split() if isinstance(t, str) else list(t) for t in (ours, deep))
        same = takewhile(lambda two: two[0] == two[1], zip(first, second, strict=False))
        longer = max(len(first), len(second))
        shares.append(sum(1 for _ in same) / longer if longer else 1.0)
    return Agreement(equal / len(shares), float(np.mean(shares)))


def bleu_difference(
    hypotheses: Sequence[str],
    full: Sequence[str],
    references: Sequence[Sequence[str]],
    confidence: float = 0.95,
    seed: int = 0,
    tokenize: str = "13a",
) -> BleuDifference:
    """BLEU of ``hypotheses`` less that of ``full``, by a paired bootstrap over texts.

    Texts are drawn with replacement, the same ones for both runs (Koehn 2004), and the BLEU of
    each draw comes from counts added up.

    Args:
        hypotheses: What was written with exits.
        full: What was generated at full depth for the same sources.
        references: As for `score_texts`.
        confidence: Of the interval.
        seed: Of the resamples.
        tokenize: As for `score_texts`.

    Raises:
        UserError: As `score_texts`, or ``confidence`` is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise UserError(f"confidence must be between 0 and 1, not {confidence!r}.")
    check_texts(hypotheses, references)
    _check_lengths(hypotheses, full, "texts of the full depth")
    counts = [_counts(written, references, tokenize) for written in (hypotheses, full)]
    ours, deep = (_score(rows.sum(axis=0)) for rows in counts)
    first, second = _drawn(counts, seed)
    drawn = first - second
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    away = np.abs(drawn) - np.abs(drawn).mean()
    beyond = int((away >= abs(ours - deep)).sum())
    p_value = (beyond + 1) / (RESAMPLES + 1)
    return BleuDifference(ours - deep, float(low), float(high), float(drawn.mean()), p_value)


def check_parts(metric: Metric) -> None:
    """Refuse to resample a metric that is not made of sums over texts.

    Raises:
        UserError: It is not.
    """
    if metric.parts(["a"], [["a"]]) is None:
        raise UserError(
            f"calibrate.confidence resamples texts, and {type(metric).__name__} gives no parts "
            "that add up over them; leave calibrate.confidence out, or choose another metric."
        )


def relative_bound(
    metric: Metric,
    hypotheses: Sequence[str],
    full: Sequence[str],
    references: Sequence[Sequence[str]],
    confidence: float,
    seed: int = 0,
) -> float:
    """Lower bound on the share of full-depth quality kept, by a paired bootstrap over texts.

    Args:
        metric: Of which ``check_parts`` has nothing to say.
        hypotheses: What was written with exits.
        full: What was generated at full depth for the same sources.
        references: As for `score_texts`.
        confidence: Share of resamples in which at least the bound is kept.
        seed: Of the resamples.

    Raises:
        UserError: As `score_texts`.
    """
    check_texts(hypotheses, references)
    _check_lengths(hypotheses, full, "texts of the full depth")
    texts = len(hypotheses)
    draws = np.random.default_rng(seed).multinomial(texts, np.full(texts, 1 / texts), RESAMPLES)
    parts = [metric.parts(written, references) for written in (hypotheses, full)]
    ours, deep = (draws @ np.asarray(part, dtype=np.float64) for part in parts)
    shares = [
        kept(metric.whole(one), metric.whole(other), metric.lower_is_better)
        for one, other in zip(ours, deep, strict=True)
    ]
    return float(np.quantile(shares, 1 - confidence))


def _drawn(counts: Sequence[NDArray[np.int64]], seed: int) -> list[NDArray[np.float64]]:
    """BLEU of resampled texts, the same draws for every run, ``[RESAMPLES]`` each."""
    texts = len(counts[0])
    draws = np.random.default_rng(seed).multinomial(texts, np.full(texts, 1 / texts), RESAMPLES)
    return [np.array([_score(row) for row in draws @ rows]) for rows in counts]


def _bleu(tokenize: str, by_text: bool = False) -> BLEU:
    require_libraries("sacrebleu")
    from sacrebleu.metrics.bleu import BLEU

    if tokenize not in TOKENIZERS:
        raise unknown_name("tokenizer for BLEU", tokenize, TOKENIZERS)
    return BLEU(tokenize=tokenize, effective_order=by_text)


def _counts(
    texts: Sequence[str], references: Sequence[Sequence[str]], tokenize: str
) -> NDArray[np.int64]:
    """Length, reference length, matches and n-grams of each text, ``[texts, 10]``."""
    metric = _bleu(tokenize, by_text=True)
    parts = (metric.sentence_score(t, r) for t, r in zip(texts, references, strict=True))
    return np.array([[p.sys_len, p.ref_len, *p.counts, *p.totals] for p in parts])


def _score(counts: NDArray[np.int64]) -> float:
    require_libraries("sacrebleu")
    from sacrebleu.metrics.bleu import BLEU

    length, reference, *rest = counts.tolist()
    return BLEU.compute_bleu(rest[:4], rest[4:], length, reference, "exp").score / 100


def check_texts(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Refuse texts and references that do not belong together.

    Raises:
        UserError: Nothing to score, another number of them, or a text without references.
    """
    _check_lengths(hypotheses, references, "lists of references")
    for row, wordings in enumerate(references):
        if (
            isinstance(wordings, str)
            or not wordings
            or not all(isinstance(wording, str) for wording in wordings)
        ):
            raise UserError(
                f"Row {row}: expected a list of one or more references, not {wordings!r}."
            )


def _check_lengths(hypotheses: Sequence[object], others: Sequence[object], what: str) -> None:
    if not hypotheses:
        raise UserError("There is no text to score.")
    if len(hypotheses) != len(others):
        raise UserError(
            f"{len(hypotheses)} texts but {len(others)} {what}; each text needs its own."
        )
