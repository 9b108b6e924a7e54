"""BLEU, chrF and their resampling, held against sacreBLEU itself."""

from __future__ import annotations

import logging
import random

import pytest
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest

from tokenexit.errors import UserError
from tokenexit.evaluation.text_metrics import (
    Agreement,
    agreement,
    bleu_difference,
    score_texts,
)

WORDS = "the a dog cat house saw found old new red , and in with".split()
HYPOTHESES = ["The dog sleeps.", "A cat", ""]
REFERENCES = [["The dog is asleep.", "The dog sleeps."], ["A cat!"], ["Nothing.", "None.", "No."]]


def spoilt(text: str, share: float, draw: random.Random) -> str:
    return " ".join(draw.choice(WORDS) if draw.random() < share else w for w in text.split())


def corpus(texts: int, ours: float, deep: float, seed: int = 0):
    """References and two runs, the share of words of each that is wrong."""
    draw = random.Random(seed)
    references = []
    for _ in range(texts):
        text = " ".join(draw.choices(WORDS, k=draw.randint(4, 14)))
        references.append([text, *(spoilt(text, 0.3, draw) for _ in range(draw.randint(0, 2)))])
    runs = [[spoilt(each[0], share, draw) for each in references] for share in (ours, deep)]
    return *runs, references


def test_scores_are_those_of_sacrebleu():
    found = score_texts(HYPOTHESES, REFERENCES)
    streams = [[row[i] if i < len(row) else None for row in REFERENCES] for i in range(3)]
    assert found.bleu == pytest.approx(BLEU().corpus_score(HYPOTHESES, streams).score / 100)
    assert found.chrf == pytest.approx(CHRF().corpus_score(HYPOTHESES, streams).score / 100)
    assert 0 < found.bleu < 1
    assert found.signatures["bleu"].startswith("nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp")
    assert "nc:6|nw:0" in found.signatures["chrf"]


def test_perfect_texts_score_one():
    assert score_texts(["a b c d e"], [["x", "a b c d e"]]).bleu == pytest.approx(1)
    assert score_texts(["我喜欢猫"], [["我喜欢猫"]], tokenize="zh").bleu == pytest.approx(1)
    assert "nrefs:2" in score_texts(["a"], [["x", "a"]]).signatures["bleu"]


def test_agreement():
    ours = ["a b c d", "a b", "", "x", "a"]
    deep = ["a b c d", "a c", "", "y", "a b c d"]
    assert agreement(ours, deep) == Agreement(2 / 5, pytest.approx((1 + 0.5 + 1 + 0 + 0.25) / 5))
    assert agreement([[4, 5, 1], [4]], [(4, 5, 1), [5]]) == Agreement(0.5, 0.5)
    assert agreement(["a  b"], ["a b"]) == Agreement(0.0, 1.0)


@pytest.mark.parametrize(("ours", "seed"), [(0.2, 0), (0.24, 1), (0.24, 3), (0.4, 0)])
def test_difference_agrees_with_the_paired_test_of_sacrebleu(ours, seed, monkeypatch):
    monkeypatch.setenv("SACREBLEU_SEED", "1")
    first, second, references = corpus(60, ours, 0.2, seed)
    found = bleu_difference(first, second, references, seed=1)
    streams = [[row[i] if i < len(row) else None for row in references] for i in range(3)]
    runs = [("full", second), ("exits", first)]
    test = PairedTest(runs, {"BLEU": BLEU()}, streams, test_type="bs", n_samples=1000)
    full, exits = test()[1]["BLEU"]
    assert found.difference == pytest.approx((exits.score - full.score) / 100)
    assert found.p_value == pytest.approx(exits.p_value, abs=0.03)
    assert found.mean == pytest.approx((exits.mean - full.mean) / 100, abs=0.005)
    assert found.low < found.mean < found.high


def test_difference_is_resampled_as_the_corpus_score_would_be(monkeypatch):
    import numpy as np

    monkeypatch.setattr("tokenexit.evaluation.text_metrics.RESAMPLES", 20)
    first, second, references = corpus(10, 0.5, 0.2)
    drawn = []
    for count in np.random.default_rng(3).multinomial(10, np.full(10, 0.1), 20):
        rows = np.repeat(np.arange(10), count)
        chosen = [references[row] for row in rows]
        scores = [score_texts([run[r] for r in rows], chosen).bleu for run in (first, second)]
        drawn.append(scores[0] - scores[1])
    found = bleu_difference(first, second, references, confidence=0.8, seed=3)
    assert found.mean == pytest.approx(np.mean(drawn))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.1, 0.9])))


def test_equal_runs_do_not_differ(caplog: pytest.LogCaptureFixture):
    first, _, references = corpus(20, 0.3, 0.3)
    with caplog.at_level(logging.WARNING):
        found = bleu_difference(first, first, references)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert not caplog.records


def test_nothing_right_is_no_failure():
    texts = ["a b c d e", "f g h i"]
    found = bleu_difference(["x", ""], texts, [[text] for text in texts])
    assert found.difference == found.low == pytest.approx(-1)
    assert found.p_value < 0.01


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ([], [], "no text to score"),
        (["a", "b"], [["a"]], "2 texts but 1 lists of references"),
        (["a", "b"], [["a"], []], r"Row 1: expected a list of one or more references, not \[\]"),
        (["a"], ["a"], "Row 0: expected a list"),
        (["a"], [["a", None]], "Row 0: expected a list"),
    ],
)
def test_mistakes(hypotheses, references, message):
    with pytest.raises(UserError, match=message):
        score_texts(hypotheses, references)
    with pytest.raises(UserError, match=message):
        bleu_difference(hypotheses, hypotheses, references)


def test_other_mistakes():
    with pytest.raises(UserError, match=r"Unknown tokenizer for BLEU '13b'.*mean '13a'"):
        score_texts(["a"], [["a"]], tokenize="13b")
    with pytest.raises(UserError, match="1 texts but 2 texts of the full depth"):
        bleu_difference(["a"], ["a", "b"], [["a"]])
    with pytest.raises(UserError, match="2 texts but 1 texts of the full"):
        agreement(["a", "b"], ["a"])
    with pytest.raises(UserError, match="confidence must be between 0 and 1, not 95"):
        bleu_difference(["a"], ["a"], [["a"]], confidence=95)
