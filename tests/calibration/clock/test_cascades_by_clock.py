"""The same choices for a cascade, whose layers are models, for classifiers and for regressions."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.calibration.clock.cascades import TimedCascade
from tokenexit.calibration.clock.open import clock_of
from tokenexit.data.texts import ScoredSplit, TextSplit
from tokenexit.models.cascades.cascade import CascadeForSequenceClassification
from tokenexit.models.scale import Scale
from tokenexit.models.sequences.sequence_classification import ExitModelForSequenceClassification
from tokenexit.policies import AssignedDepth, MaxProb, Never, ValuePatience

pytestmark = pytest.mark.usefixtures("nothing_twice")

LABELS = ("no", "yes", "maybe")
DRAW = random.Random(0)
WORDS = "ada was born in london and paris she".split()
TEXTS = [[" ".join(DRAW.choices(WORDS, k=DRAW.randint(2, 9)))] for _ in range(30)]


def classifier(
    tokenizer: Any, layers: int, scale: Scale | None = None, heads: dict | None = None
) -> ExitModelForSequenceClassification:
    torch.manual_seed(layers)
    labels = ("value",) if scale else LABELS
    config = AutoConfig.for_model(
        "bert", hidden_size=16, num_hidden_layers=layers, num_attention_heads=2,
        intermediate_size=32, vocab_size=len(tokenizer), num_labels=len(labels),
        pad_token_id=tokenizer.pad_token_id, max_position_embeddings=40,
    )  # fmt: skip
    network = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.3)
    made = ExitModelForSequenceClassification.from_transformers(
        network, tokenizer, labels, scale=scale, heads=heads
    )
    with torch.no_grad():
        for weight in made.heads.parameters():
            weight.normal_(std=0.4)
    return made.eval()


@pytest.fixture(scope="module")
def cascade(wordpiece: Any) -> CascadeForSequenceClassification:
    return CascadeForSequenceClassification([classifier(wordpiece, n) for n in (1, 2, 6)])


@pytest.fixture(scope="module")
def split(cascade: Any) -> TextSplit:
    gold = cascade.trace(TEXTS, policy="never").prediction
    return TextSplit(TEXTS, [[LABELS[number]] for number in gold], "texts")


@pytest.mark.parametrize("policy", [Never(), AssignedDepth(2), MaxProb(0.5)], ids=repr)
def test_models_are_counted_as_they_run(policy, cascade):
    timed = TimedCascade(cascade, TEXTS, 4)
    [batch] = timed.batches()
    [done] = timed.run([batch], policy)
    found = timed.counts([batch], policy, timed.exits([done]))
    start = 0
    for number, stage in enumerate(cascade.stages, start=1):
        first = done.work[start]
        start += stage.backbone.num_layers
        rows = found.get(f"model {number}", np.zeros(0))
        reached = done.exit_layer >= number
        assert rows.sum() in (0, done.lengths[reached].sum())
        assert len(rows) == first.calls
    assert timed.texts(batch) == len(TEXTS)


def test_a_cascade_is_calibrated_by_the_clock(cascade, split, make_machine):
    config = CalibrateConfig(min_quality=0.6, minimise="time", grid=8, verify=1)
    options = {"families": [MaxProb(0.9)], "batch_size": 4}
    found = calibrate(cascade, split, config, watch=make_machine(), **options)
    assert found.reached
    table = {row["name"]: row for row in found.timing["rows"]}
    for row in table.values():
        assert row["ms_foretold"] == pytest.approx(row["ms"], rel=0.4)
    [chosen] = [row for row in table.values() if row["chosen"]]
    assert chosen["ms"] == min(row["ms"] for row in table.values() if row["keeps"])
    assert found.chosen["relative_quality"] >= 0.6


def test_a_regression_is_calibrated_by_the_clock(wordpiece, make_machine):
    model = classifier(wordpiece, 4, Scale(0.0, 1.0))
    values = model.trace(TEXTS, policy="never").prediction
    split = ScoredSplit(TEXTS, [[float(value)] for value in values], "values")
    config = CalibrateConfig(min_quality=0.3, minimise="time", grid=8, verify=1)
    found = calibrate(
        model, split, config, families=[ValuePatience()], batch_size=4, watch=make_machine()
    )
    assert found.reached
    assert {row["name"] for row in found.timing["rows"]} >= {"full depth"}
    assert all(row["ms"] > 0 for row in found.timing["rows"])


def test_a_clock_says_where_it_holds(cascade, make_machine):
    clock = clock_of(cascade, TEXTS, [MaxProb(0.9)], 4, watch=make_machine())
    held = clock.costs.conditions
    assert held["batch_size"] == 4
    assert held["threads"] == torch.get_num_threads()
    assert [stage["layers"] for stage in held["model"]["stages"]] == [1, 2, 6]
    assert {"processor", "instruction_set", "precision", "runtime", "name"} <= held.keys()
