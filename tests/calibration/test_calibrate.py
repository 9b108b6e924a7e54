"""A promise, kept by real runs on the split it was made on."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.calibration.by_table import RUNS
from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError
from tokenexit.evaluation import evaluate
from tokenexit.evaluation.bootstrap import relative_quality_bound
from tokenexit.policies import from_config
from tokenexit.policies.all_of import AllOf
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.margin import Margin
from tokenexit.policies.never import Never
from tokenexit.policies.oracle import Oracle
from tokenexit.promises import PROMISES, Promise, Seen
from tokenexit.tasks import labelled_task

QUICK = {"grid": 8, "verify": 1}


@pytest.fixture(scope="module")
def validation(splits):
    return splits["validation"]


@pytest.fixture(scope="module")
def found(tagger, validation):
    """The default families, all of them run by the engine."""
    count = len(labelled_task("ner").families(tagger.labels))
    return calibrate(
        tagger, validation, CalibrateConfig(loose=True, min_quality=0.97, grid=8, verify=count)
    )


def kept(found, candidate):
    [(kind, goal)] = found.target.items()
    if kind == "speedup":
        return candidate.depth_speedup >= goal
    return candidate.quality >= goal * found.quality_full_depth


def test_the_promise_is_kept_in_a_real_run(found, tagger, validation):
    policy = from_config(found.policy)
    result, _ = evaluate(tagger, validation, "validation", policy)
    assert found.reached
    assert result.to_json() == found.chosen
    assert result.relative_quality >= 0.97
    assert 1 < result.depth_speedup <= 3
    assert found.target == {"min_quality": 0.97}
    assert found.quality_full_depth == result.quality_full_depth


def test_nothing_that_keeps_it_is_faster(found):
    verified = [c for c in found.candidates if c.verified]
    best = max(c.depth_speedup for c in verified if kept(found, c))
    assert found.chosen["depth_speedup"] == best
    assert any(not kept(found, c) for c in verified), "the promise was too easy to mean anything"


def test_candidates_are_verified_by_real_runs(found, tagger, validation):
    families = labelled_task("ner").families(tagger.labels)
    verified = [c for c in found.candidates if c.verified]
    assert verified[0].policy == {"name": "never"}
    assert len(verified) <= 1 + RUNS * len(families)
    for candidate in verified[1::4]:
        result, _ = evaluate(tagger, validation, "validation", from_config(candidate.policy))
        assert candidate.quality == result.quality
        assert candidate.relative_quality == pytest.approx(result.relative_quality)
        assert candidate.depth_speedup == result.depth_speedup
        assert candidate.mac_ratio == result.mac_ratio
    simulated = [c for c in found.candidates if not c.verified]
    assert len(simulated) == 8 * len(families)
    assert all(c.quality is None and c.quality_simulated is not None for c in simulated)


def test_only_the_most_promising_families_are_run(tagger, validation):
    config = CalibrateConfig(loose=True, min_quality=0.97, grid=8, verify=1)
    names = {
        c.policy["name"]
        for c in calibrate(
            tagger, validation, config, families=[AssignedDepth(), Entropy()]
        ).candidates
        if c.verified
    }
    assert names == {"never", "entropy"}


def test_it_is_plain_data(found):
    data = found.to_json()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert {"target", "split", "policy", "reached", "chosen", "candidates"} <= data.keys()


def test_a_confident_promise_is_kept_in_resamples(tagger, validation):
    config = CalibrateConfig(loose=True, min_quality=0.95, confidence=0.9, **QUICK)
    careful = calibrate(tagger, validation, config, families=[Entropy()])
    plain = calibrate(tagger, validation, replace(config, confidence=None), families=[Entropy()])
    assert careful.target == {"min_quality": 0.95, "confidence": 0.9}
    assert careful.chosen["depth_speedup"] <= plain.chosen["depth_speedup"]
    _, full = evaluate(tagger, validation, "validation", Never())
    _, trace = evaluate(tagger, validation, "validation", from_config(careful.policy))
    assert relative_quality_bound(trace, full, tagger.labels, "ner", 0.9) >= 0.95


def test_a_part_of_the_split_may_do(tagger, validation):
    config = CalibrateConfig(loose=True, min_quality=0.9, limit=10, **QUICK)
    found = calibrate(tagger, validation, config, families=[Entropy()])
    assert found.chosen["n_sentences"] == 10
    assert calibrate(tagger, validation, config, families=[Entropy()]) == found
    every = calibrate(tagger, validation, replace(config, limit=999), families=[Entropy()])
    assert every.chosen["n_sentences"] == len(validation)


def test_everything_can_be_asked_for(tagger, validation):
    config = CalibrateConfig(loose=True, min_quality=1.0, **QUICK)
    found = calibrate(tagger, validation, config, families=[Margin()])
    assert found.reached
    assert found.chosen["quality"] >= found.quality_full_depth


def test_full_depth_is_always_a_way_out(tagger, validation):
    """A family whose every setting breaks the promise leaves the model as it is."""
    worse = calibrate(
        tagger,
        validation,
        CalibrateConfig(loose=True, min_quality=1.0, grid=2),
        families=[AllOf((AssignedDepth(1), Entropy(0.9)))],
    )
    assert worse.reached
    assert worse.chosen["relative_quality"] >= 1


@pytest.mark.parametrize("goal", [1.0, 1.4, 2.5])
def test_a_speedup_is_reached_at_the_best_quality(goal, tagger, validation, caplog):
    config = CalibrateConfig(speedup=goal, grid=8, verify=2)
    with caplog.at_level(logging.WARNING, logger="tokenexit"):
        found = calibrate(tagger, validation, config, families=[Entropy(), Margin()])
    assert found.reached
    assert found.target == {"speedup": goal}
    assert found.chosen["depth_speedup"] >= goal
    verified = [c for c in found.candidates if c.verified and c.policy["name"] != "never"]
    assert found.chosen["quality"] == max(c.quality for c in verified if kept(found, c))
    assert not caplog.records


def test_an_unreachable_speedup_gives_the_fastest_and_says_so(tagger, validation, caplog):
    config = CalibrateConfig(speedup=3.5, **QUICK)
    with caplog.at_level(logging.WARNING, logger="tokenexit"):
        found = calibrate(tagger, validation, config, families=[Entropy()])
    assert not found.reached
    assert found.chosen["depth_speedup"] == max(
        c.depth_speedup for c in found.candidates if c.verified
    )
    [record] = caplog.records
    assert "No setting saves 3.5x" in record.getMessage()


def test_both_targets_mean_quality(tagger, validation):
    config = CalibrateConfig(loose=True, min_quality=0.9, speedup=3.0, **QUICK)
    found = calibrate(tagger, validation, config, families=[Entropy()])
    assert found.target == {"min_quality": 0.9}
    assert found.chosen["relative_quality"] >= 0.9


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (Never(), "no threshold to calibrate"),
        (Oracle(), "no threshold to calibrate"),
        (AllOf((Entropy(), Oracle())), "looks at gold labels"),
    ],
    ids=str,
)
def test_families_that_cannot_be_calibrated(family, message, tagger, validation):
    with pytest.raises(UserError, match=message):
        calibrate(tagger, validation, CalibrateConfig(loose=True), families=[Entropy(), family])


def test_a_split_without_words_is_refused(tagger):
    nothing = TaggedSplit([[]], [[]], "empty.conll")
    with pytest.raises(UserError, match=r"empty\.conll holds no word"):
        calibrate(tagger, nothing, CalibrateConfig())
    drawn = TaggedSplit([[]] * 500 + [["a"]], [[]] * 500 + [["O"]], "almost.conll")
    with pytest.raises(UserError, match=r"almost\.conll holds no word"):
        calibrate(tagger, drawn, CalibrateConfig(limit=1))


def test_unknown_labels_are_refused_or_kept(tagger, validation, caplog):
    few = validation.head(8)
    strange = replace(few, tags=[["B-FOOD", *tags[1:]] for tags in few.tags])
    config = CalibrateConfig(loose=True, min_quality=0.5, **QUICK)
    with pytest.raises(UserError, match="B-FOOD"):
        calibrate(tagger, strange, config, families=[Entropy()])
    with caplog.at_level(logging.WARNING, logger="tokenexit"):
        kept = calibrate(tagger, strange, config, families=[Entropy()], on_unknown="keep")
    assert kept.reached
    [said, few] = caplog.records  # each once, not for every run
    assert "count as wrong" in said.getMessage()
    assert "texts are few" in few.getMessage()


def test_the_model_is_not_changed(tagger, validation):
    before = tagger.settings
    calibrate(
        tagger, validation.head(6), CalibrateConfig(loose=True, **QUICK), families=[Entropy()]
    )
    assert tagger.settings == before
    assert not tagger.training


class Agreement(Promise):
    """Texts of which every tag is as at full depth."""

    def measured(self, seen: Seen) -> float | None:
        return None if seen.changed is None else 1 - seen.changed

    def aim(self, target, alone) -> str:
        return f"agree on {target['agreement']:.0%} of the texts"

    def told(self, value, asked, past) -> str:
        return f"it agrees on {value:.0%}"


@pytest.mark.parametrize(("asked", "saves"), [(1.0, False), (0.9, True)])
@pytest.mark.parametrize("beside", [{}, {"min_quality": 0.5}], ids=["alone", "beside"])
def test_a_promise_of_ones_own_is_kept(tagger, validation, asked, saves, beside, monkeypatch):
    """Here all texts agree at full depth alone, and most do wherever words leave."""
    monkeypatch.setitem(PROMISES._members, "agreement", Agreement)
    config = CalibrateConfig(loose=True, promises={"agreement": asked}, **beside, **QUICK)
    found = calibrate(tagger, validation, config, families=[Entropy()])
    assert found.reached
    assert found.target == {**beside, "agreement": asked}
    assert found.chosen["figures"]["texts_changed"] <= 1 - asked
    assert (found.chosen["depth_speedup"] > 1) == saves


def test_a_promise_that_nobody_knows_is_refused(tagger, validation):
    with pytest.raises(UserError, match="strange"):
        calibrate(tagger, validation, CalibrateConfig(promises={"strange": 1.0}))
