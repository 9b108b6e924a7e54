"""What is said of a promise is what was measured, in report, card and terminal alike."""

from __future__ import annotations

import html as escapes
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tokenexit.models.cascades.card import cascade_card
from tokenexit.models.folders.card import model_card
from tokenexit.models.settings import ExitSettings
from tokenexit.promises.base import beside
from tokenexit.promises.sentences import goal_text, promise_sentences
from tokenexit.reporting import write_report
from tokenexit.reporting.calibration_text import calibration_text

MARGIN = {"name": "margin", "threshold": 0.4}
BARE = ExitSettings(
    labels=("O", "B-PER", "I-PER"), exit_layers=(1, 2, 4), heads={"name": "linear"}, task="ner"
)


def result(split: str = "test", texts: int = 1000, kept: float = 0.995, **more: Any) -> dict:
    row = {
        "task": "ner", "split": split, "metric": "f1", "quality": 0.8 * kept,
        "quality_full_depth": 0.8, "relative_quality": kept, "mean_exit_layer": 2.0,
        "num_layers": 4, "depth_speedup": 2.0, "exit_histogram": [2, 2, 2, 2], "mac_ratio": 0.5,
        "n_sentences": texts, "n_rows": 10 * texts, "policy": MARGIN, "figures": {},
    }  # fmt: skip
    return row | more


def calibration(kept: float = 0.993, texts: int = 1000, of: int = 1000, **more: Any) -> dict:
    chosen = result("validation", texts, kept)
    return {
        "target": {"min_quality": 0.99},
        "split": "validation",
        "policy": MARGIN,
        "reached": True,
        "quality_full_depth": 0.8,
        "chosen": chosen,
        "candidates": [],
        "measured": {
            "n_sentences": texts, "texts_in_split": of, "texts_choosing": 0,
            "relative_quality": kept, "depth_speedup": 2.0,
        },
        "data_used_for": [],
    } | more  # fmt: skip


RISK = {
    "target": {"risk": 0.05, "delta": 0.1},
    "promise": {
        "promise": "at most 5% of texts differ anywhere from full depth, with probability 0.9",
        "n": 250, "texts_changed": 5, "bound": 0.0367, "method": "fixed-sequence testing",
        "family_chosen_on": 250,
    },
}  # fmt: skip


def in_report(folder: Path, held: dict, results: dict) -> str:
    (folder / "metrics.json").write_text(json.dumps({"task": "ner", "splits": results}))
    (folder / "calibration.json").write_text(json.dumps(held))
    text = write_report(folder).read_text(encoding="utf-8")
    return " ".join(escapes.unescape(re.sub(r"<[^>]+>", "", text)).replace("\xa0", " ").split())


def in_card(_: Path, held: dict, results: dict) -> str:
    short = {k: v for k, v in held.items() if k not in ("candidates", "chosen")}
    settings = replace(BARE, policy=MARGIN, calibration=short, results=results)
    return model_card(settings, "ExitModelForTokenClassification", "bert").replace("\xa0", " ")


def in_cascade_card(_: Path, held: dict, results: dict) -> str:
    settings = replace(BARE, task="classification", calibration=held, results=results)
    text = cascade_card(settings, "Cascade", [("stage-1", "bert", 2), ("stage-2", "bert", 4)])
    return text.replace("\xa0", " ")


SURFACES = [in_report, in_card, in_cascade_card]
CASES = {
    "kept on all texts and on test": (
        calibration(),
        {"validation": result("validation", kept=0.993), "test": result(kept=0.991)},
        ["all 1 000 texts of the validation split", "there it kept 99.3%, as asked",
         "On the test split (1 000 texts) it keeps 99.1%, as asked.",
         "no promise about other texts"],
        ["less than asked", "On the validation split"],
    ),
    "kept on a sample, missed on the whole split": (
        calibration(texts=200),
        {"validation": result("validation", kept=0.976), "test": result(kept=0.992)},
        ["200 of the 1 000 texts of the validation split", "there it kept 99.3%, as asked",
         "On the validation split (1 000 texts) it keeps 97.6%, less than asked."],
        ["as promised", "all 1 000 texts"],
    ),
    "missed on test by a hair": (
        calibration(),
        {"test": result(kept=0.98996)},
        ["it keeps 98.996%, less than asked"],
        ["keeps 99.0%"],
    ),
    "few texts": (
        calibration(texts=40, of=40),
        {"test": result(kept=0.92)},
        ["40 texts are few", "92.0%, less than asked"],
        [],
    ),
    "nobody leaves early": (
        calibration(policy={"name": "never"}, kept=1.0),
        {"test": result(kept=1.0)},
        ["no setting that saves layers did, so the model stays at full depth"],
        ["there it kept"],
    ),
    "full depth scores nothing": (
        calibration(quality_full_depth=0.0, kept=1.0),
        {"test": result(kept=1.0, quality=0.0, quality_full_depth=0.0)},
        ["full depth scores 0, so there was nothing to keep"],
        ["as asked"],
    ),
    "a saving that was missed": (
        calibration(target={"speedup": 3.0}, reached=False),
        {"test": result(depth_speedup=2.5)},
        ["save layers by a factor of 3; there it saved 2.00×, less than asked",
         "it saves 2.50×, less than asked"],
        ["as asked"],
    ),
    "texts that were used before": (
        calibration(data_used_for=["choosing the epoch", "fitting the heads"]),
        {},
        ["had served for choosing the epoch and fitting the heads before"],
        [],
    ),
    "a promise that holds on test": (
        calibration(**RISK, measured={"n_sentences": 250, "texts_in_split": 500,
                                      "texts_choosing": 250}),
        {"test": result(figures={"texts_changed": 0.031})},
        ["250 of the 500 texts of the validation split (250 others chose among policies)",
         "at most 5% of texts differ anywhere from full depth, with probability 0.9",
         "250 texts, of which 5 differ (bound 3.67%",
         "3.1% of the texts differ from full depth, within the 5% promised"],
        ["more than the 5%"],
    ),
    "a promise that is broken on test": (
        calibration(**RISK, data_used_for=["choosing the epoch"]),
        {"test": result(figures={"texts_changed": 0.0502})},
        ["5.02% of the texts differ from full depth, more than the 5% promised",
         "so that the promise does not strictly hold"],
        ["within the 5%"],
    ),
    "a promise that only full depth keeps": (
        calibration(**RISK, reached=False, policy={"name": "never"}),
        {},
        ["Only full depth keeps the promise"],
        ["It rests on"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("surface", SURFACES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("case", CASES)
def test_what_is_said_is_what_was_measured(tmp_path: Path, surface, case: str):
    held, results, said, unsaid = CASES[case]
    text = surface(tmp_path, held, results)
    for words in said:
        assert words in text
    for words in unsaid:
        assert words not in text


@pytest.mark.parametrize("case", CASES)
def test_the_terminal_says_the_same_of_the_calibration(case: str):
    held, _, _, _ = CASES[case]
    shown = calibration_text(held)
    assert all(sentence in shown for sentence in promise_sentences(held, {}, few=False))


def test_files_of_before_make_no_claim_that_is_not_in_them():
    old = {"target": {"min_quality": 0.99}, "split": "validation", "policy": MARGIN,
           "reached": True, "quality_full_depth": 0.8}  # fmt: skip
    [first, scope] = promise_sentences(old, {})
    assert first.endswith("to keep at least 99% of the full-depth quality.")
    assert "no promise" in scope
    sampled = old | {"chosen": {"n_sentences": 200, "relative_quality": 0.994}}
    assert "200 texts of the validation split" in promise_sentences(sampled, {})[0]


@pytest.mark.parametrize("wrong", [None, "x", float("nan"), True, [], {}])
def test_damaged_figures_are_left_out(wrong: Any):
    held = calibration(measured={"n_sentences": wrong, "relative_quality": wrong})
    text = " ".join(promise_sentences(held, {"test": result(relative_quality=wrong)}))
    assert "as asked" not in text
    assert "nan" not in text


@given(some.floats(0.5, 1), some.sampled_from([0.9, 0.95, 0.99, 0.995, 0.999]))
def test_a_share_is_shown_on_its_side_of_the_goal(value: float, asked: float):
    shown = float(beside(value, asked).rstrip("%"))
    if abs(value - asked) > 1e-9:
        assert (shown < 100 * asked - 1e-11) == (value < asked)
        assert (shown > 100 * asked + 1e-11) == (value > asked)
    assert math.isclose(shown, 100 * value, abs_tol=0.051)


def test_one_text_is_told_in_the_singular():
    told = {
        "target": {"min_quality": 0.99}, "policy": MARGIN, "split": "test", "reached": True,
        "measured": {
            "n_sentences": 1, "texts_in_split": 1, "relative_quality": 1.0,
            "could_be_promised": {"delta": 0.1, "at_least": 0.2, "loss": "f1 kept"},
        },
        "certificate": {
            "promise": "all is well", "texts": 1, "split": "test", "certified": 1,
            "precision": "fp32", "device": "cpu", "trained_on": 1, "not_known": ["training"],
        },
    }  # fmt: skip
    said = " ".join(promise_sentences(told, {}))
    assert "1 texts" not in said
    for part in (
        "chosen on 1 text of the test split", "1 text is few", "with 90% from 1 text.",
        "from 1 text of the test split: all is well", "1 of them stands in the training split",
        "Whether they had served for training is not known.",
    ):  # fmt: skip
        assert part in said
    promise = {"promise": "all is well", "n": 1, "tests": [], "unit": "documents"}
    told |= {"target": {"guarantee": "differs <= 0.1 with 90%"}, "promise": promise}
    assert "It was tested on 1 document," in " ".join(promise_sentences(told, {}))


def test_what_is_not_known_of_the_texts_is_told():
    told = {"target": {"guarantee": "differs <= 0.1 with 90%"}, "policy": MARGIN}
    told |= {"data_used_for": ["choosing the epoch", "fitting the gate"], "promise": {"looks": 3}}
    said = " ".join(promise_sentences(told, {}))
    assert "had served for fitting the gate before, so that the promise does not" in said
    said = " ".join(promise_sentences({**told, "data_not_known": ["training"]}, {}))
    assert "Whether the same texts had served for training is not known." in said


def test_goals_in_words():
    assert goal_text({"min_quality": 0.995, "confidence": 0.9}) == (
        "keep at least 99.5% of the full-depth quality in 90% of resamples"
    )
    assert goal_text({"risk": 0.05, "delta": 0.1, "min_quality": 0.99}) == (
        "keep at least 99% of the full-depth quality and let at most 5% of unseen texts differ "
        "from full depth"
    )
    assert "of a text's words" in goal_text({"risk": 0.02, "risk_of": "words"})


@pytest.mark.parametrize("labelled", [True, False])
def test_agreement_with_full_depth_is_no_score(labelled: bool):
    """Without labels, full depth's predictions are what predictions are held to."""
    held = calibration(promise={"labelled": labelled}, quality_full_depth=1.0)
    assert ("full depth's own predictions" in calibration_text(held)) is not labelled
