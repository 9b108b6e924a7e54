"""Promises about unseen texts, calibrated: what is counted, what is tested, and what is told."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.calibration.candidate_list import (
    Listed,
    by_runs,
    by_simulation,
    frontier,
    thinned,
)
from tokenexit.calibration.counted import counted_labels
from tokenexit.calibration.guaranteed import classes_without_texts
from tokenexit.calibration.open import workload_of
from tokenexit.errors import UserError
from tokenexit.evaluation.evaluate import evaluate
from tokenexit.guarantees import parse
from tokenexit.policies import Entropy, Margin, from_config
from tokenexit.policies.never import Never
from tokenexit.promises.sentences import promise_sentences

FAMILIES = [Entropy()]


def ask(tagger, split, text, **changes):
    config = CalibrateConfig(guarantee=text, grid=8)
    return calibrate(tagger, split, config, families=FAMILIES, **changes)


def test_what_is_counted_of_a_tagger(tagger, splits):
    split = splits["validation"]
    _, full = evaluate(tagger, split, "validation", Never())
    result, trace = evaluate(tagger, split, "validation", Entropy(0.5))
    found = counted_labels(tagger, split, trace, full)
    assert found["rows"].sum() == len(trace)
    assert found["layers"].sum() == trace.exit_layer.sum()
    assert found["deep"].sum() == 3 * len(trace)
    assert found["changed"].sum() == (trace.prediction != full.prediction).sum()
    assert found["f1_over"].sum() / found["f1_under"].sum() == pytest.approx(result.quality)
    assert found["right"].sum() / found["rows"].sum() == pytest.approx(result.figures["accuracy"])
    words = np.exp(trace.log_probs.astype(np.float64))
    words[np.arange(len(trace)), trace.gold] -= 1
    assert found["brier"].sum() == pytest.approx(np.square(words).sum())
    assert list(found["length"]) == [len(tokens) for tokens in split.tokens]
    assert "class" not in found


def test_simulation_counts_what_runs_count(tagger, splits):
    """So every promise can be simulated: at full depth, and where each leaves at the first exit."""
    work = workload_of(tagger, splits["validation"], "validation", 32)
    simulated, run = by_simulation(work), by_runs(work)
    for policy in (Never(), Entropy(1.0)):
        found, expected = simulated.at(policy), run.at(policy)
        assert found.keys() == expected.keys() == simulated.full.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-4, err_msg=name)


def test_a_promise_is_tested_by_real_runs(tagger, splits):
    split, train = splits["validation"], splits["train"]
    found = ask(tagger, split, "differs <= 0.3 with 80%", design=train)
    assert found.reached
    assert found.policy["name"] == "entropy"
    promise = found.promise
    assert promise["n"] == len(set(split.keys()))  # all of them test
    assert promise["family_chosen_on"] == len(train)
    tests = promise["tests"]
    passed = [row for row in tests if row[0]["passed"]]
    assert found.chosen["policy"] == found.policy
    assert len(tests) - len(passed) in (0, 1)
    assert tests[: len(passed)] == passed
    _, trace = evaluate(tagger, split, "validation", from_config(found.policy))
    _, full = evaluate(tagger, split, "validation", Never())
    lost = np.unique(full.text[trace.prediction != full.prediction])
    assert passed[-1][0]["measured"] == pytest.approx(len(lost) / len(split))
    told = " ".join(promise_sentences(found.to_json(), {}))
    assert "at most 30% of texts differ anywhere from full depth, with 80% probability" in told
    assert "setting by setting from the safest" in told


def test_half_of_the_texts_make_the_list_where_nothing_else_does(tagger, splits):
    config = CalibrateConfig(guarantee="differs <= 0.3 with 80%", grid=8)
    found = calibrate(tagger, splits["validation"], config, families=[Entropy(), Margin()])
    assert (found.promise["n"], found.promise["family_chosen_on"]) == (23, 22)


def test_too_few_texts_are_told(tagger, splits, caplog):
    with caplog.at_level(logging.WARNING, logger="tokenexit"):
        found = ask(tagger, splits["validation"], "differs <= 0.01", design=splits["train"])
    assert found.policy == {"name": "never"}
    assert "cannot be promised on 45 texts: 230 are needed even if nothing is lost" in caplog.text
    assert "Add 185 texts" in caplog.text
    assert found.promise["settings_run"] == 0
    told = " ".join(promise_sentences(found.to_json(), {}))
    assert "needs 230 texts even if nothing is lost, and 45 tested it" in told


def test_documents_are_told_where_they_count(tagger, splits, caplog):
    groups = [str(n // 3) for n in range(45)]
    split = replace(splits["validation"], groups=groups)
    with caplog.at_level(logging.WARNING, logger="tokenexit"):
        found = ask(tagger, split, "differs <= 0.05", design=splits["train"])
    assert "on 15 documents: 48 are needed even if nothing is lost" in caplog.text
    assert "Add 33 documents" in caplog.text
    told = " ".join(promise_sentences(found.to_json(), {}))
    assert "needs 48 documents even if nothing is lost, and 15 tested it" in told


def test_documents_count_on_average_and_without_a_promise(tagger, splits):
    split = replace(splits["validation"], groups=[str(n // 9) for n in range(45)])
    config = CalibrateConfig(risk=0.4, grid=8)
    found = calibrate(tagger, split, config, families=[Entropy()])
    assert (found.promise["n"], found.promise["unit"]) == (5, "documents")
    assert "It rests on 5 documents" in " ".join(promise_sentences(found.to_json(), {}))
    loose = calibrate(
        tagger, split, CalibrateConfig(min_quality=0.9, loose=True), families=[Entropy()]
    )
    assert loose.measured["could_be_promised"]["documents"] == 5
    assert "could be promised with 90% from 5 documents" in " ".join(
        promise_sentences(loose.to_json(), {})
    )


def test_texts_that_come_again_are_told(tagger, splits, caplog):
    split = splits["validation"]
    twice = split.take([*range(45), *range(20)])
    with caplog.at_level(logging.WARNING, logger="tokenexit"):
        found = ask(tagger, twice, "differs <= 0.3 with 80%", design=splits["train"])
    assert found.promise["repeats"] == len(twice) - found.promise["n"] >= 20
    assert "of the 65 texts repeat another of them; each counts once" in caplog.text


def test_labels_are_not_needed_where_nothing_reads_them(tagger, splits):
    bare = replace(splits["validation"], tags=None)
    found = ask(tagger, bare, "differs <= 0.3 with 80%", design=replace(splits["train"], tags=None))
    same = ask(tagger, splits["validation"], "differs <= 0.3 with 80%", design=splits["train"])
    assert found.policy == same.policy
    assert found.promise["labelled"] is False
    assert found.chosen["relative_quality"] > 0.5
    with pytest.raises(UserError, match="has no tags"):
        ask(tagger, bare, "f1 kept >= 0.9")


def test_savings_are_tested_at_settings_that_passed(tagger, splits, caplog):
    split, train = splits["validation"], splits["train"]
    found = ask(tagger, split, "differs <= 0.4 with 80% and layers saved >= 1.05", design=train)
    assert found.reached
    savings = found.promise["tests_of_savings"]
    assert len(savings) == sum(row[0]["passed"] for row in found.promise["tests"])
    assert savings[-1][0]["measured"] == pytest.approx(found.chosen["depth_speedup"])
    # the level is shared by the settings that passed: a half, a sixth, a twelfth, ...
    levels = [100 - 10 / (place * (place + 1)) for place in range(1, len(savings) + 1)]
    for level, [tested] in zip(levels, savings, strict=True):
        assert f"with {level:.10g}%" in tested["guarantee"]
    with caplog.at_level(logging.WARNING, logger="tokenexit"):
        none = ask(tagger, split, "differs <= 0.4 with 80% and layers saved >= 2.9", design=train)
    assert none.policy == {"name": "never"}
    assert "The loosest that keeps it saved" in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chrf loss <= 0.01", "has no meaning for this model; these have one: brier loss"),
        ("accuracy loss <= 0.02", "'accuracy loss' has no meaning for this model; these have one"),
        ("every class differs <= 0.1", "no 'class' to be told apart by; they have: length"),
    ],
)
def test_what_has_no_meaning_is_refused(text, said, tagger, splits):
    with pytest.raises(UserError) as error:
        ask(tagger, splits["validation"], text)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"min_quality": 0.9}, "leave calibrate.min_quality out"),
        ({"risk": 0.1}, "leave calibrate.risk out"),
        ({"latency": 3.0}, "leave calibrate.latency out"),
        ({"minimise": "time"}, "leave calibrate.minimise=time out"),
        ({"promises": {"mine": 1.0}}, "leave calibrate.mine out"),
    ],
)
def test_it_is_tested_alone(beside, said):
    with pytest.raises(UserError) as error:
        CalibrateConfig(guarantee="differs <= 0.1", **beside)
    assert said in str(error.value)


def test_classes_without_texts_are_told():
    columns = {"class": np.array(["a", "b", "a"], dtype=object)}
    labels = ["a", "b", "c", "d"]
    asked = parse("every class differs <= 0.1")
    assert classes_without_texts(asked, columns, labels) == ["c", "d"]
    assert classes_without_texts(parse("differs <= 0.1"), columns, labels) == []


def test_the_frontier_goes_from_safe_to_cheap():
    listed = [Listed(Never(), s, c) for s, c in ((1, 1.0), (0.9, 0.6), (0.5, 0.7), (0.2, 0.3))]
    assert [(one.safety, one.cost) for one in frontier(listed)] == [(0.9, 0.6), (0.2, 0.3)]
    many = [Listed(Never(), 1 - n / 40, 1 - n / 50) for n in range(1, 40)]
    few = thinned(many, 5)
    assert [one.cost for one in few] == sorted((one.cost for one in few), reverse=True)
    assert (few[0], few[-1], len(few)) == (many[0], many[-1], 5)
    assert thinned([Listed(Never(), -9.0, 0.2)]) == [Listed(Never(), -9.0, 0.2)]
