"""Settings tried on the table of a full pass, without running the engine."""

from __future__ import annotations

import numpy as np
import pytest

from tokenexit.calibration.simulate import grid, simulate
from tokenexit.evaluation import evaluate
from tokenexit.models.encoders.exits import collect_exits
from tokenexit.policies import POLICIES
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.energy import Energy
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.from_layer import FromLayer
from tokenexit.policies.margin import Margin
from tokenexit.policies.max_prob import MaxProb
from tokenexit.policies.patience import Patience
from tokenexit.policies.per_class import PerClass
from tokenexit.policies.per_sentence import PerSentence
from tokenexit.policies.window import Window
from tokenexit.tasks.scoring.gold import class_numbers


@pytest.fixture(scope="module")
def table(tagger, splits):
    split = splits["validation"]
    windows = tagger.encoder.encode(split.tokens, class_numbers(split, tagger.labels))
    return collect_exits(tagger, windows, 16)


@pytest.mark.parametrize(
    "policy",
    [
        AssignedDepth(1),
        AssignedDepth(2),
        PerSentence(Entropy(0.3)),
        PerSentence(Margin(0.5)),
        PerSentence(Entropy(0.02), how="mean"),
        FromLayer(PerSentence(Entropy(0.6)), 2),
    ],
    ids=str,
)
def test_what_halts_sentences_whole_is_simulated_exactly(policy, table, tagger, splits):
    """Nobody's state changes when all of a sentence leave at once."""
    split = splits["validation"]
    trace = tagger.tag(split.tokens, class_numbers(split, tagger.labels), policy=policy)
    layers, prediction = table.simulate(policy)
    assert np.array_equal(layers, trace.exit_layer)
    assert np.array_equal(prediction, trace.prediction)
    assert np.array_equal(table.gold, trace.gold)


def test_the_policies_above_let_sentences_out_at_different_layers(table):
    layers, _ = table.simulate(PerSentence(Entropy(0.3)))
    assert len(set(layers)) > 1
    for window in range(int(table.window.max()) + 1):
        assert len(set(layers[table.window.numpy() == window])) == 1


@pytest.mark.parametrize("task", ["ner", "pos"])
def test_an_outcome_is_what_evaluation_finds(task, table, tagger, splits):
    [outcomes] = simulate(table, [AssignedDepth()], 3, task)
    assert [o.value for o in outcomes] == [48, 7, 1]
    assert outcomes[0].depth_speedup == 1
    assert outcomes[-1].depth_speedup == 3
    first, _ = evaluate(tagger, splits["validation"], "validation", AssignedDepth(1))
    wanted = first.quality if task == "ner" else first.figures["accuracy"]
    assert outcomes[-1].quality == pytest.approx(wanted)


@pytest.mark.parametrize(
    "policy",
    [
        Entropy(),
        MaxProb(),
        Margin(),
        Window(Entropy(), 3),
        PerSentence(Entropy()),
        PerClass(Entropy(0.1), {"O": Entropy(0.3)}),
        Patience(),
    ],
    ids=str,
)
def test_the_grid_of_a_monotone_threshold_gets_faster(policy, table):
    [outcomes] = simulate(table, [policy], 8, "ner")
    speed = [o.depth_speedup for o in outcomes]
    assert speed == sorted(speed)
    assert speed[-1] > speed[0]


def test_families_keep_their_order(table):
    policies = [Margin(), Entropy()]
    alone = [simulate(table, [policy], 4, "ner")[0] for policy in policies]
    assert simulate(table, policies, 4, "ner") == alone


@pytest.mark.parametrize(
    "policy",
    [p for _, cls in POLICIES.items() for p in cls.examples() if p.threshold_spec()],
    ids=str,
)
def test_a_grid_runs_from_strict_to_loose(policy):
    spec, values = policy.threshold_spec(), grid(policy, 16)
    assert values[0] == pytest.approx(spec.strict)
    assert values[-1] == pytest.approx(spec.loose)
    assert values == sorted(values, reverse=spec.strict > spec.loose)
    assert len(set(values)) == len(values)
    assert len(values) == 16 or (spec.integer and all(v == int(v) for v in values))
    for value in values:
        assert policy.with_threshold(value).threshold_value() == pytest.approx(value)


@pytest.mark.parametrize("policy", [Margin(), Entropy(), Energy(), Patience()])
def test_a_place_on_the_dial_and_its_setting_say_the_same(policy):
    spec = policy.threshold_spec()
    for place in (0.0, 0.3, 0.7, 1.0):
        assert spec.place(spec.value(place)) == pytest.approx(place)


def test_probabilities_are_searched_most_closely_near_one():
    values = grid(Margin(), 32)
    assert sum(0.99 < value < 1 for value in values) > 10
    assert sum(value < 0.5 for value in values) >= 3
