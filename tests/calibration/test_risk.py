"""Promises about unseen texts: the mathematics, and what calibration makes of it."""

from __future__ import annotations

import json
import logging
import math
import sys
from dataclasses import replace

import numpy as np
import pytest

from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.calibration.dealing import halves
from tokenexit.calibration.risk import (
    RiskControl,
    binomial_bound,
    binomial_p,
    conformal_bound,
    hoeffding_bentkus_bound,
    hoeffding_bentkus_p,
    text_losses,
)
from tokenexit.cli import main
from tokenexit.errors import UserError
from tokenexit.evaluation import evaluate
from tokenexit.policies import from_config
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.margin import Margin
from tokenexit.policies.never import Never
from tokenexit.promises.sentences import promise_sentences
from tokenexit.workflows.config import TaggingConfig
from tokenexit.workflows.run import run_task


def at_most(k: int, n: int, p: float) -> float:
    """P(Bin(n, p) <= k), by the sum itself."""
    return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))


class TestFigures:
    def test_losses_of_texts(self):
        # Three texts: two words of which one differs, none, and three of which two do.
        differs = np.array([True, False, True, True, False])
        text = np.array([0, 0, 2, 2, 2])
        assert text_losses(differs, text, 3).tolist() == [1, 0, 1]
        assert text_losses(differs, text, 3, "words") == pytest.approx([1 / 2, 0, 2 / 3])
        assert text_losses(np.zeros(0, bool), np.zeros(0, int), 2, "words").tolist() == [0, 0]

    def test_binomial_by_hand(self):
        assert binomial_p(0, 10, 0.1) == pytest.approx(0.9**10)
        assert binomial_p(1, 10, 0.1) == pytest.approx(0.9**10 + 10 * 0.1 * 0.9**9)
        assert binomial_p(3, 40, 0.2) == pytest.approx(at_most(3, 40, 0.2))
        assert binomial_bound(0, 10, 0.1) == pytest.approx(1 - 0.1 ** (1 / 10))
        assert binomial_bound(10, 10, 0.1) == 1
        # The bound is where the p-value meets delta.
        assert at_most(3, 40, binomial_bound(3, 40, 0.05)) == pytest.approx(0.05)

    def test_hoeffding_bentkus_by_hand(self):
        hoeffding = math.exp(-100 * (0.02 * math.log(0.2) + 0.98 * math.log(0.98 / 0.9)))
        bentkus = math.e * at_most(2, 100, 0.1)
        assert hoeffding_bentkus_p(0.02, 100, 0.1) == pytest.approx(min(hoeffding, bentkus))
        assert hoeffding_bentkus_p(0.0, 50, 0.1) == pytest.approx(0.9**50)
        assert hoeffding_bentkus_p(0.5, 50, 0.1) == 1
        bound = hoeffding_bentkus_bound(0.02, 100, 0.1)
        assert hoeffding_bentkus_p(0.02, 100, bound) == pytest.approx(0.1)
        assert 0.02 < bound < 0.1

    def test_conformal_by_hand(self):
        assert conformal_bound(0, 19) == 0.05
        assert conformal_bound(4, 99) == 0.05
        assert RiskControl(0.05).keeps(np.array([1.0] * 4 + [0.0] * 95))
        assert not RiskControl(0.05).keeps(np.array([1.0] * 5 + [0.0] * 95))

    @pytest.mark.parametrize(
        ("promise", "needed"),
        [
            (RiskControl(0.05), 19),
            (RiskControl(0.3), 3),
            (RiskControl(0.05, 0.1), 45),
            (RiskControl(0.05, 0.1, "words"), 45),
            (RiskControl(0.99, 0.5), 1),
        ],
        ids=str,
    )
    def test_how_many_texts_it_takes(self, promise, needed):
        assert promise.needed == needed
        assert promise.keeps(np.zeros(needed))
        assert not promise.keeps(np.zeros(needed - 1))

    @pytest.mark.parametrize("of", ["text", "words"])
    def test_a_promise_is_kept_when_its_bound_is_below_it(self, of):
        for delta in (None, 0.1):
            promise = RiskControl(0.1, delta, of)
            for lost in range(0, 20, 2):
                losses = np.array([1.0] * lost + [0.0] * (100 - lost))
                assert promise.keeps(losses) == (promise.bound(losses) <= 0.1)


class TestOrder:
    def test_the_first_failure_ends_it(self):
        rows, read = [0, 1, 30, 0], []

        def settings():
            for lost in rows:
                read.append(lost)
                yield np.array([1.0] * lost + [0.0] * (200 - lost))

        assert RiskControl(0.05, 0.1).last(settings()) == 2
        assert read == [0, 1, 30]
        assert RiskControl(0.05, 0.1).last([]) == 0

    def test_on_average_a_text_that_has_changed_stays_lost(self):
        """Of 39 texts one may be lost; another one at each setting is two."""
        first, second = np.zeros(39), np.zeros(39)
        first[0], second[1] = 1, 1
        assert RiskControl(0.05).last([first, first]) == 2
        assert RiskControl(0.05).last([first, second]) == 1
        # A test of each setting on its own does not mind.
        sure = RiskControl(0.2, 0.1)
        assert sure.last([first, second]) == 2

    def test_halves_share_nothing_and_forget_nothing(self):
        assert halves(5, 1) == ([], [0, 1, 2, 3, 4])
        design, tested = halves(101, 3)
        assert (len(design), len(tested)) == (50, 51)
        assert sorted(design + tested) == list(range(101))
        assert halves(101, 2) == (design, tested)
        assert design != list(range(50))

    def test_halves_cut_no_document_in_two(self):
        documents = np.arange(40) // 4
        design, tested = halves(40, 2, documents)
        assert (len(design), len(tested)) == (20, 20)
        assert sorted(design + tested) == list(range(40))
        assert not {*documents[design]} & {*documents[tested]}
        assert halves(40, 1, documents) == ([], list(range(40)))


DRAWS = 2000
TRUE = np.linspace(0.0, 0.2, 41)
"""Risk of each setting, from strict to loose."""


def drawn(rng: np.random.Generator, count: int, of: str) -> list[np.ndarray]:
    """Losses of ``count`` texts at each setting; their means are ``TRUE``."""
    luck = rng.random(count)
    if of == "text":
        return [(luck < risk).astype(float) for risk in TRUE]
    # In twice as many texts, half of the words on average.
    share = rng.random(count)
    return [np.where(luck < 2 * risk, share, 0.0) for risk in TRUE]


class TestCoverage:
    """The promise is broken in at most delta of many draws, within three standard errors."""

    @pytest.mark.parametrize("of", ["text", "words"])
    @pytest.mark.parametrize("delta", [0.1, 0.3])
    def test_with_delta(self, of, delta):
        rng, promise = np.random.default_rng(0), RiskControl(0.1, delta, of)
        places = [promise.last(drawn(rng, 150, of)) for _ in range(DRAWS)]
        broken = np.mean([place > 0 and TRUE[place - 1] > 0.1 for place in places])
        assert broken <= delta + 3 * math.sqrt(delta * (1 - delta) / DRAWS)
        if of == "text":  # and it is no empty promise: exact tests are not far from delta
            assert broken > 0.2 * delta
        assert np.mean(places) > 0.4 * np.searchsorted(TRUE, 0.1)

    def test_on_average(self):
        rng, promise = np.random.default_rng(1), RiskControl(0.1)
        places = [promise.last(drawn(rng, 60, "text")) for _ in range(DRAWS)]
        found = np.array([TRUE[place - 1] if place else 0.0 for place in places])
        assert found.mean() <= 0.1 + 3 * found.std() / math.sqrt(DRAWS)
        assert found.mean() > 0.08
        assert (found > 0.1).mean() > 0.2  # on average only: a single calibration may break it

    def test_what_looks_right_on_the_texts_themselves_breaks_it(self):
        """Without the test, the same settings break it in about half of all draws."""
        rng, broken = np.random.default_rng(2), 0
        for _ in range(500):
            kept = [row.mean() <= 0.1 for row in drawn(rng, 150, "text")]
            broken += TRUE[max(np.flatnonzero(kept))] > 0.1
        assert broken > 0.3 * 500

    @pytest.mark.parametrize("part", [True, False])
    def test_choosing_among_families_needs_texts_of_its_own(self, part):
        """Ten families just above the risk; the best-looking one is tested."""
        rng, promise, broken = np.random.default_rng(3), RiskControl(0.1, 0.1), 0
        design, tested = halves(300, 10)
        for _ in range(500):
            losses = (rng.random((10, 300)) < 0.105).astype(float)
            best = losses[losses[:, design if part else tested].mean(axis=1).argmin()]
            broken += promise.last([best[tested]])
        limit = 0.1 + 3 * math.sqrt(0.09 / 500)
        assert (broken / 500 <= limit) == part


@pytest.fixture(scope="module")
def validation(splits):
    """Train as well: a promise takes texts."""
    rows = splits["train"], splits["validation"]
    return replace(
        rows[0], tokens=rows[0].tokens + rows[1].tokens, tags=rows[0].tags + rows[1].tags
    )


def loss(tagger, split, policy, of):
    """By the engine, and by hand."""
    ours = tagger.tag(split.tokens, policy=policy)
    deep = tagger.tag(split.tokens, policy=Never())
    differs = ours.prediction != deep.prediction
    found = []
    for number in range(len(split)):
        mine = differs[ours.text == number]
        found.append(float(mine.any()) if of == "text" else float(mine.mean() if len(mine) else 0))
    return np.array(found)


class TestTaggers:
    @pytest.mark.parametrize(
        ("risk", "delta", "of"),
        [(0.1, None, "text"), (0.01, None, "words")],
    )
    def test_the_statement_is_true_of_a_real_run(self, risk, delta, of, tagger, validation):
        config = CalibrateConfig(risk=risk, delta=delta, risk_of=of, grid=12)
        found = calibrate(tagger, validation, config, families=[Entropy()])
        promise, policy = found.promise, from_config(found.policy)
        losses = loss(tagger, validation, policy, of)
        assert found.reached
        assert promise["n"] == len(validation) == 195
        assert promise["texts_changed"] == np.count_nonzero(losses)
        assert promise["loss"] == pytest.approx(losses.mean())
        assert promise["loss"] < promise["bound"] <= risk
        assert (promise["risk"], promise["delta"], promise["of"]) == (risk, delta, of)
        assert promise["labelled"]
        assert found.chosen["depth_speedup"] > 1
        result, _ = evaluate(tagger, validation, "validation", policy)
        assert found.chosen == result.to_json()
        # Every setting before was run, and the next one fails.
        assert promise["settings_run"] == len(found.candidates)
        assert all(candidate.verified for candidate in found.candidates)
        assert found.candidates[-2].policy == found.policy
        following = loss(tagger, validation, from_config(found.candidates[-1].policy), of)
        assert not config.promise.keeps(np.maximum(losses, following))

    @pytest.mark.parametrize(
        ("of", "guarantee"),
        [
            ("text", "differs <= 0.1 with 90%"),
            ("words", "words of a text changed <= 0.1 with 90%"),
        ],
    )
    def test_with_delta_it_is_short_for_a_guarantee(self, of, guarantee, tagger, validation):
        asked = [CalibrateConfig(risk=0.1, delta=0.1, risk_of=of, grid=12)]
        asked += [CalibrateConfig(guarantee=guarantee, grid=12)]
        found, same = (calibrate(tagger, validation, c, families=[Entropy()]) for c in asked)
        assert found.policy == same.policy
        assert found.reached
        words = {"risk_of": "words"} if of == "words" else {}
        assert found.target == {"risk": 0.1, "delta": 0.1, "guarantee": guarantee, **words}
        promise = found.promise
        assert promise["tests"] == same.promise["tests"]
        assert (promise["risk"], promise["delta"], promise["of"]) == (0.1, 0.1, of)
        assert promise["family_chosen_on"] == 0  # all texts test the settings of one family
        lost = loss(tagger, validation, from_config(found.policy), of)
        assert promise["texts_changed"] == np.count_nonzero(lost)
        told = " ".join(promise_sentences(found.to_json(), {}))
        assert told.count("The promise") == 1
        assert f"to promise {guarantee}" in told

    def test_labels_are_not_needed(self, tagger, validation, caplog):
        config = CalibrateConfig(risk=0.2, delta=0.1, grid=8)
        bare = replace(validation, tags=None)
        found = calibrate(tagger, bare, config, families=[Margin()])
        known = calibrate(tagger, validation, config, families=[Margin()])
        assert found.policy == known.policy
        assert found.promise == {**known.promise, "labelled": False}
        # What it keeps is then measured against full depth itself.
        assert found.quality_full_depth == 1
        assert found.chosen["quality"] < 1
        assert "full depth" in found.chosen["notes"]["gold"]
        with pytest.raises(UserError, match="no tags"):
            calibrate(tagger, bare, replace(config, min_quality=0.9), families=[Margin()])

    def test_quality_may_be_asked_for_as_well(self, tagger, validation):
        config = CalibrateConfig(risk=0.6, delta=0.1, grid=12)
        loose = calibrate(tagger, validation, config, families=[Entropy()])
        goal = (1 + loose.chosen["relative_quality"]) / 2
        both = calibrate(
            tagger, validation, replace(config, min_quality=goal), families=[Entropy()]
        )
        assert loose.chosen["relative_quality"] < goal <= both.chosen["relative_quality"]
        asked = f"differs <= 0.6 with 90% and f1 kept >= {goal:.10g} with 90%"
        assert both.target == {
            "risk": 0.6, "delta": 0.1, "min_quality": goal, "guarantee": asked,
        }  # fmt: skip
        assert both.chosen["depth_speedup"] < loose.chosen["depth_speedup"]
        assert both.promise["texts_changed"] < loose.promise["texts_changed"]

    def test_half_of_the_texts_choose_among_families(self, tagger, validation):
        config = CalibrateConfig(risk=0.2, delta=0.1, grid=8)
        found = calibrate(tagger, validation, config)
        assert found.promise["family_chosen_on"] == 97
        assert found.chosen["n_sentences"] == 98
        assert found.promise["n"] <= 98  # a text that stands twice counts once
        assert calibrate(tagger, validation, config).to_json() == found.to_json()
        assert json.loads(json.dumps(found.to_json(), allow_nan=False)) == found.to_json()

    def test_too_few_texts_leave_the_model_at_full_depth(self, tagger, validation, caplog):
        config = CalibrateConfig(risk=0.05, delta=0.1, limit=40, grid=4)
        with caplog.at_level(logging.WARNING, logger="tokenexit"):
            found = calibrate(tagger, validation, config, families=[Entropy()])
        assert not found.reached
        assert found.policy == {"name": "never"}
        assert found.promise["texts_changed"] == 0
        assert "45 are needed even if nothing is lost" in caplog.text


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"risk": 0.0}, "calibrate.risk must be between 0 and 1"),
        ({"risk": math.nan}, "calibrate.risk must be between 0 and 1"),
        ({"risk": 0.1, "delta": 1.0}, "calibrate.delta must be between 0 and 1"),
        ({"delta": 0.1}, "give that as well"),
        ({"risk": 0.1, "speedup": 2.0}, "calibrate.risk=null"),
        ({"risk": 0.1, "confidence": 0.9}, "calibrate.delta says how sure"),
        ({"risk": 0.1, "risk_of": "tokens"}, "must be text or words"),
    ],
)
def test_wishes_that_contradict_each_other(given, told):
    with pytest.raises(UserError, match=told):
        CalibrateConfig(**given)


def test_a_crf_learned_afterwards_cannot_be_promised(tmp_path):
    config = TaggingConfig(str(tmp_path), decode="crf", calibrate=CalibrateConfig(risk=0.1))
    with pytest.raises(UserError, match="decode=legal or argmax"):
        run_task(config)
    assert not list(tmp_path.iterdir())


def test_asking_for_a_risk_is_asking():
    assert CalibrateConfig(risk=0.1).asked
    assert not CalibrateConfig().asked
    assert CalibrateConfig().promise is None


def test_the_console_script(own_run, splits, tmp_path, monkeypatch, capsys):
    """Unlabelled texts in, a promise out."""
    file, out = tmp_path / "texts.jsonl", tmp_path / "found.json"
    rows = [json.dumps({"tokens": tokens}) for tokens in splits["train"].tokens]
    file.write_text("\n".join(rows), encoding="utf-8")
    words = ["calibrate", own_run, "--data", file, "--policy", "margin", "--risk", 0.2]
    words += ["--delta", 0.1, "--json", out]
    monkeypatch.setattr(sys, "argv", ["tokenexit", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    shown = capsys.readouterr()
    assert not stop.value.code, shown.err
    found = json.loads(out.read_text(encoding="utf-8"))
    asked = "differs <= 0.2 with 90%"
    assert found["target"] == {"risk": 0.2, "delta": 0.1, "guarantee": asked}
    assert found["promise"]["n"] == len(set(splits["train"].keys()))
    assert found["promise"]["promise"] in shown.out
    assert "at most 20% of texts differ anywhere from full depth" in shown.out
    saved = json.loads((own_run / "exit_config.json").read_text(encoding="utf-8"))
    assert saved["calibration"]["promise"] == found["promise"]
    assert saved["policy"] == found["policy"]
