"""CAT's threshold, on points by hand, on many draws, and on a text classifier."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tokenexit import ExitModelForSequenceClassification
from tokenexit.backbones import BACKBONES
from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.calibration.conformal import conformal_quantile, conformal_setting, worst_scores
from tokenexit.calibration.risk import RiskControl, text_losses
from tokenexit.data.texts import TextSplit
from tokenexit.methods import settings_of
from tokenexit.models.fresh.encoder import train_tokenizer
from tokenexit.policies import from_config
from tokenexit.policies.energy import Energy
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.learned_gate import LearnedGate
from tokenexit.policies.margin import Margin
from tokenexit.policies.max_prob import MaxProb
from tokenexit.policies.never import Never
from tokenexit.policies.patience import Patience
from tokenexit.policies.pcee import PCEE
from tokenexit.policies.per_sentence import PerSentence

LABELS = ["yes", "no", "maybe"]
COUNT = 150


@pytest.fixture(scope="module")
def classifier() -> Any:
    """Untrained, with exits that are sure of some texts and often disagree."""
    tokenizer = train_tokenizer([["red", "green", "blue", "one", "two", "three"]], 200, False)
    torch.manual_seed(0)
    config: Any = BACKBONES.get("bert").example_config("bert")
    config.num_labels, config.vocab_size = 3, max(config.vocab_size, len(tokenizer))
    network: Any = AutoModelForSequenceClassification.from_config(config)
    heads = {"name": "linear", "gate": {"name": "meta"}}
    model = ExitModelForSequenceClassification.from_transformers(
        network, tokenizer, LABELS, heads=heads
    )
    with torch.no_grad():
        for weight in [*network.parameters(), *model.heads.parameters()]:
            weight.add_(torch.randn_like(weight), alpha=0.3)
    return model.eval()


@pytest.fixture(scope="module")
def texts() -> TextSplit:
    draw = random.Random(0)
    words = "red green blue one two three".split()
    made: set[str] = set()
    while len(made) < COUNT:  # all different, so that no two scores are the same
        made.add(" ".join(draw.choices(words, k=draw.randint(3, 12))))
    return TextSplit([[text] for text in sorted(made)], None, "here")


@pytest.fixture(scope="module")
def table(classifier, texts) -> Any:
    return classifier.exit_table(texts.tokens, None, 16)


def losses(model: Any, texts: TextSplit, policy: Any, batch_size: int = 7) -> np.ndarray:
    """By the engine."""
    ours = model.tag(texts.tokens, policy=policy, batch_size=batch_size)
    deep = model.tag(texts.tokens, policy=Never(), batch_size=batch_size)
    return text_losses(ours.prediction != deep.prediction, deep.text, len(texts))


class TestQuantile:
    def test_by_hand(self):
        scores = np.array([0.3, 0.1, 0.9, 0.5, 0.2, 0.8, 0.4, 0.7, 0.6])
        # The ceil(10 * 0.8) = 8th smallest of nine, and the last for a tenth.
        assert conformal_quantile(scores, 0.2) == 0.8
        assert conformal_quantile(scores, 0.1) == 0.9
        assert conformal_quantile(scores, 0.09) is None
        assert conformal_quantile(scores[:0], 0.5) is None
        assert conformal_quantile(np.full(9, -np.inf), 0.5) == -np.inf

    @pytest.mark.parametrize("risk", [0.05, 0.1, 0.25])
    def test_it_is_the_ceiling_of_the_formula(self, risk):
        draw = np.random.default_rng(0)
        for count in (19, 40, 99, 100, 333):
            scores = draw.permutation(count).astype(float)
            place = math.ceil(round((count + 1) * (1 - risk), 9))
            assert conformal_quantile(scores, risk) == place - 1

    def test_a_new_point_is_above_it_no_more_often_than_promised(self):
        rng, draws = np.random.default_rng(0), 4000
        for risk, count in ((0.1, 30), (0.2, 57)):
            points = rng.standard_normal((draws, count + 1))
            above = [row[-1] > conformal_quantile(row[:-1], risk) for row in points]
            error = 3 * math.sqrt(risk * (1 - risk) / draws)
            assert risk - 1 / (count + 1) - error <= np.mean(above) <= risk + error


class TestTable:
    @pytest.mark.parametrize(
        "policy",
        [
            Entropy(0.5), Margin(0.5), MaxProb(0.7), Energy(-1.5), LearnedGate(0.4), Patience(1),
            PCEE(Entropy(0.8), 2),
        ],
        ids=str,
    )  # fmt: skip
    def test_of_texts_it_is_exact(self, policy, classifier, texts, table):
        """A text is a row of its own, so nobody's state changes when others leave."""
        layers, prediction = table.simulate(policy)
        trace = classifier.tag(texts.tokens, policy=policy, batch_size=7)
        assert len(set(layers)) > 1
        assert np.array_equal(layers, trace.exit_layer)
        assert np.array_equal(prediction, trace.prediction)

    def test_worst_scores_by_hand(self, table):
        probabilities = table.logits.softmax(dim=-1)
        said, top = probabilities.argmax(dim=-1), probabilities[-1].argmax(dim=-1)
        wanted = [
            max(
                (float(p[w].max()) for p, s in zip(probabilities, said, strict=True)
                 if s[w] != top[w]),
                default=-math.inf,
            )
            for w in range(COUNT)
        ]  # fmt: skip
        found = worst_scores(table, MaxProb(), COUNT)
        assert found == pytest.approx(wanted)
        agreed = replace(table, logits=table.logits.clone())
        agreed.logits[:, 0] = table.logits[-1, 0]
        assert worst_scores(agreed, MaxProb(), COUNT)[0] == -math.inf
        # The score's own sign does not matter, nor does the threshold.
        assert (worst_scores(table, Entropy(), COUNT) <= 0).all()
        assert np.array_equal(found, worst_scores(table, MaxProb(0.2), COUNT))

    @pytest.mark.parametrize("policy", [Entropy(), MaxProb(), Margin(), Energy(), LearnedGate()])
    @pytest.mark.parametrize("risk", [0.05, 0.2])
    def test_the_setting_is_as_loose_as_may_be(self, policy, risk, classifier, texts, table):
        worst = worst_scores(table, policy, COUNT)
        found = policy.with_threshold(conformal_setting(worst, policy, risk))
        allowed = round((COUNT + 1) * risk - 0.5) - 1
        lost = losses(classifier, texts, found)
        assert lost.sum() <= allowed
        assert np.count_nonzero(worst > conformal_quantile(worst, risk)) == allowed
        # The text that the threshold lies on gets lost just above it.
        score = conformal_quantile(worst, risk)
        looser = score - abs(score) * 1e-3
        assert losses(
            classifier, texts, policy.with_threshold(-looser if policy.sure_is_low else looser)
        ).sum() > min(lost.sum(), allowed - 1)

    def test_it_is_no_looser_than_risk_control_on_a_fine_grid(self, table):
        """Which minds only the exit that answers, not later ones that would disagree."""
        worst = worst_scores(table, MaxProb(), COUNT)
        found = conformal_setting(worst, MaxProb(), 0.1)
        top = table.logits[-1].argmax(dim=-1).numpy()
        grid = np.linspace(1, 0.33, 1500)

        def row(value: float) -> np.ndarray:
            _, prediction = table.simulate(MaxProb(float(value)))
            return (prediction != top).astype(float)

        kept = RiskControl(0.1).last(row(value) for value in grid)
        assert 0 < kept < len(grid)
        assert grid[kept] - 1e-6 <= found <= grid[kept - 1] + 0.05

    def test_ends_of_the_dial(self):
        never_wrong = np.full(50, -np.inf)
        assert conformal_setting(never_wrong, MaxProb(), 0.1) == MaxProb.own_threshold.loose
        assert conformal_setting(never_wrong, LearnedGate(), 0.1) == LearnedGate.own_threshold.loose
        assert conformal_setting(never_wrong[:3], MaxProb(), 0.1) is None
        assert conformal_setting(np.ones(50), MaxProb(), 0.1) == 1  # never
        zero = conformal_setting(np.full(50, -0.0), LearnedGate(), 0.1)
        assert LearnedGate(zero).threshold == 0

    def test_a_sentence_is_as_sure_as_its_least_sure_word(self, tagger, splits):
        split = splits["validation"]
        words = tagger.exit_table(split.tokens, None, 16)
        worst = worst_scores(words, Entropy(), len(split))
        policy = PerSentence(Entropy(conformal_setting(worst, Entropy(), 0.1)))
        ours, deep = (tagger.tag(split.tokens, policy=p) for p in (policy, Never()))
        lost = text_losses(ours.prediction != deep.prediction, deep.text, len(split))
        assert np.count_nonzero(lost) <= int(46 * 0.1) - 1
        assert ours.mean_exit_layer < deep.mean_exit_layer


class TestCalibration:
    @pytest.mark.parametrize("family", [MaxProb(), LearnedGate(), Entropy()], ids=str)
    def test_one_threshold_without_delta_is_set_by_it(self, family, classifier, texts, table):
        found = calibrate(classifier, texts, CalibrateConfig(risk=0.1), families=[family])
        assert found.promise["method"] == "conformal threshold (CAT)"
        assert found.promise["settings_run"] == 1
        worst = worst_scores(table, family, COUNT)
        setting = pytest.approx(conformal_setting(worst, family, 0.1), rel=1e-5)
        assert from_config(found.policy).threshold_value() == setting
        lost = losses(classifier, texts, from_config(found.policy))
        assert found.promise["texts_changed"] == lost.sum()
        assert found.promise["bound"] == (lost.sum() + 1) / (COUNT + 1) <= 0.1
        # No grid comes so far.
        config = CalibrateConfig(risk=0.1, min_quality=0.01, grid=8)
        told = TextSplit(texts.tokens, [["yes"]] * COUNT, "here")
        coarse = calibrate(classifier, told, config, families=[family])
        assert coarse.promise["method"] == "conformal risk control"
        assert coarse.chosen["depth_speedup"] <= found.chosen["depth_speedup"]

    def test_others_go_by_runs(self, classifier, texts):
        config = CalibrateConfig(risk=0.3, grid=6)
        found = calibrate(classifier, texts, config, families=[PCEE(Entropy(), 2)])
        assert found.reached
        assert found.promise["settings_run"] > 1
        assert found.promise["bound"] <= 0.3

    def test_words_that_leave_alone_go_by_runs(self, tagger, splits):
        config = CalibrateConfig(risk=0.2, grid=6)
        found = calibrate(tagger, splits["validation"], config, families=[Entropy()])
        assert found.promise["method"] == "conformal risk control"

    def test_what_the_table_does_not_bear_out_goes_by_runs(self, classifier, texts, monkeypatch):
        """Say, where the table were wrong: only runs of the engine are promised by."""
        from tokenexit.calibration import guarantee

        monkeypatch.setattr(guarantee, "worst_scores", lambda *_: np.full(COUNT, -np.inf))
        config = CalibrateConfig(risk=0.1, grid=6)
        found = calibrate(classifier, texts, config, families=[MaxProb()])
        assert found.promise["method"] == "conformal risk control"
        assert found.promise["bound"] <= 0.1


@pytest.mark.parametrize("unit", ["text", "word"])
def test_the_preset_asks_for_it(unit):
    settings = settings_of("cat", unit)
    assert settings["calibrate"] == {"risk": 0.05, "policies": [{"name": "learned_gate"}]}
    assert CalibrateConfig(**settings["calibrate"]).promise == RiskControl(0.05)
