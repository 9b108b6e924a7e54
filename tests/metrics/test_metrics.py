"""Metrics of texts against the packages they come from, by hand, and at the edges."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tokenexit.errors import UserError
from tokenexit.evaluation.text_metrics import bleu_difference, relative_bound, score_texts
from tokenexit.metrics import METRICS, Metric, build_metric, measure
from tokenexit.metrics.rouge import UnicodeWords
from tokenexit.testing import check_metric
from tokenexit.testing.metric import TEXTS as EDGES

TEXTS = sorted(name for name, cls in METRICS.items() if cls.of == "texts")
THEIRS = ("bleu", "chrf", "ter")
WORDS = some.lists(some.sampled_from("the cat sat on a mat .".split()), max_size=7).map(" ".join)
ROWS = some.lists(
    some.tuples(WORDS, some.lists(WORDS, min_size=1, max_size=3)), min_size=1, max_size=5
)


def theirs(name: str, texts: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """The same by sacreBLEU alone: every text filled up to as many references as the most has."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    most = max(map(len, references))
    filled: Any = [[refs[n] if n < len(refs) else None for refs in references] for n in range(most)]
    metric: Any = {"bleu": BLEU, "chrf": CHRF, "ter": TER}[name]()
    return metric.corpus_score(list(texts), filled).score / 100


@settings(max_examples=60, deadline=None)
@given(ROWS)
@pytest.mark.parametrize("name", THEIRS)
def test_as_sacrebleu_says(name: str, rows):
    texts, references = [row[0] for row in rows], [row[1] for row in rows]
    assert measure(build_metric(name, "texts"), name, texts, references) == pytest.approx(
        theirs(name, texts, references), abs=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(ROWS)
@pytest.mark.parametrize("name", ["bleu", "ter", "rouge1", "rouge2", "rougeL"])
def test_parts_add_up_to_the_score(name: str, rows):
    texts, references = [row[0] for row in rows], [row[1] for row in rows]
    metric = build_metric(name, "texts")
    parts = metric.parts(texts, references)
    assert parts is not None
    assert len(parts) == len(texts)
    assert metric.whole(parts.sum(axis=0)) == pytest.approx(metric.score(texts, references))


@settings(max_examples=60, deadline=None)
@given(WORDS, WORDS)
def test_rouge_is_that_of_its_package_on_english(text: str, reference: str):
    from rouge_score.rouge_scorer import RougeScorer

    names = ["rouge1", "rouge2", "rougeL"]
    wanted = RougeScorer(names).score(reference, text)
    for name in names:
        found = build_metric(name, "texts").score([text], [[reference]])
        assert found == pytest.approx(wanted[name].fmeasure)


@pytest.mark.parametrize(
    ("name", "value"),
    # "the cat sat" against "the dog sat there": 2 of 3 and 2 of 4 words; no pair; "the sat".
    [("rouge1", 4 / 7), ("rouge2", 0.0), ("rougeL", 4 / 7)],
)
def test_rouge_by_hand(name: str, value: float):
    metric = build_metric(name, "texts")
    assert metric.score(["the cat sat"], [["the dog sat there"]]) == pytest.approx(value)
    # The better of two references, and the mean over texts.
    both = [["nothing alike", "the dog sat there"], ["a b"]]
    assert metric.score(["the cat sat", "x y"], both) == pytest.approx(value / 2)


def test_rouge_l_keeps_order_where_rouge_1_does_not():
    text, references = ["c b a"], [["a b c"]]
    assert build_metric("rouge1", "texts").score(text, references) == 1
    assert build_metric("rougeL", "texts").score(text, references) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Größe, 3 km!", ["größe", "3", "km"]),
        ("η γάτα", ["η", "γάτα"]),
        ("кот спит", ["кот", "спит"]),
        ("snake_case", ["snake", "case"]),
        ("", []),
    ],
)
def test_words_of_any_script(text: str, words: list[str]):
    assert UnicodeWords().tokenize(text) == words


def test_ter_by_hand():
    ter = build_metric("ter", "texts")
    # One word changed of three; two left out of four: three edits over seven words.
    assert ter.score(["a b x", "d e"], [["a b c"], ["d e f g"]]) == pytest.approx(3 / 7)
    assert ter.lower_is_better
    assert ter.score(["a b c d e"], [["x"]]) > 1


OWN = [name for name, cls in METRICS.items() if cls.__module__.startswith("tokenexit.")]


@pytest.mark.parametrize("name", OWN)
def test_a_metric_keeps_its_promises(name: str):
    check_metric(name)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(("texts", "references"), EDGES)
def test_at_the_edges_as_sacrebleu_says(name: str, texts, references):
    metric = build_metric(name, "texts")
    if name in THEIRS:
        assert metric.score(texts, references) == pytest.approx(theirs(name, texts, references))
    if metric.parts(texts, references) is not None:
        for full in (texts, ["something else"] * len(texts)):
            assert math.isfinite(relative_bound(metric, texts, full, references, 0.9))


class Length(Metric):
    """Mean length; parts of it are broken below."""

    def score(self, predictions, references):
        return sum(map(len, predictions)) / len(predictions)


class Below(Length):
    """Below 0."""

    def score(self, predictions, references):
        return -1.0


class Apart(Length):
    """Its parts are of something else."""

    def score(self, predictions, references):
        return 1.0

    def parts(self, predictions, references):
        return np.ones((len(predictions), 2)) * [1.0, 2.0]


@pytest.mark.parametrize(
    ("broken", "told"),
    [(Length, "lower_is_better"), (Below, "a number from 0 up"), (Apart, r"score\(\) gives 1.0")],
)
def test_a_broken_metric_is_told_what_to_mend(broken, told, monkeypatch):
    monkeypatch.setattr(METRICS, "_members", {**METRICS._members, "broken": broken})
    with pytest.raises(AssertionError, match=f"(?s){broken.__name__}.*{told}"):
        check_metric(broken)


def test_nothing_lost_is_all_kept():
    texts, references = ["a b c d", ""], [["a b c d"], ["x"]]
    for name in ("bleu", "ter", "rougeL"):
        metric = build_metric(name, "texts")
        assert relative_bound(metric, texts, texts, references, 0.95) == 1


def test_a_bound_falls_with_confidence_and_follows_the_direction():
    draw = np.random.default_rng(0)
    references = [[" ".join(draw.choice(list("abcdefgh"), 6))] for _ in range(40)]
    full = [refs[0] for refs in references]
    worse = [text if n % 4 else "x " + text for n, text in enumerate(full)]
    references = [[refs[0] + " z"] for refs in references]
    for name in ("bleu", "ter", "rougeL"):
        metric = build_metric(name, "texts")
        sure, loose = (relative_bound(metric, worse, full, references, c) for c in (0.99, 0.5))
        assert sure < loose < 1
        assert relative_bound(metric, full, worse, references, 0.5) > 1


def test_references_that_do_not_belong():
    for check in (score_texts, lambda h, r: bleu_difference(h, h, r)):
        with pytest.raises(UserError, match="no text to score"):
            check([], [])
        with pytest.raises(UserError, match="1 texts but 2 lists"):
            check(["a"], [["a"], ["b"]])
        with pytest.raises(UserError, match="Row 1"):
            check(["a", "b"], [["a"], []])


class Told(Metric):
    """Says what it was told to."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def score(self, predictions: Sequence[Any], references: Sequence[Any]) -> float:
        return self.value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, None, "much", [1, 2]])
def test_what_is_no_quality_is_refused(value: Any):
    with pytest.raises(UserError, match="a number from 0 up"):
        measure(Told(value), "told", ["a"], [["a"]])


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.25), np.array(3.0)])
def test_any_number_from_0_up_is_one(value: Any):
    assert measure(Told(value), "told", ["a"], [["a"]]) == float(value)


def test_unknown_metrics_are_named():
    with pytest.raises(UserError, match="Did you mean 'rougeL'"):
        build_metric("rouge-l", "texts")
    with pytest.raises(UserError, match="metric of labels"):
        build_metric("ter", "labels")


def test_rouge_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "rouge_score", None)
    with pytest.raises(UserError, match=r'pip install "tokenexit\[rouge\]"'):
        build_metric("rougeL", "texts")
