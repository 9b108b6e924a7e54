"""Each criterion against numbers worked out by hand or a few obvious lines."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenexit import policies
from tokenexit.errors import UserError

# One row of two classes with probabilities 0.9 and 0.1.
SURE = [[[math.log(9.0), 0.0]]]


def halts(policy: Any, trace: Any, **changes: Any) -> list[list[bool]]:
    """Decisions ``[L][N]`` with nobody leaving."""
    return trace.halts(policy, **changes)


def of_classes(classes: list[list[int]], number: int = 4) -> torch.Tensor:
    """Logits whose best class is given, ``[L][N]``."""
    return 3.0 * torch.nn.functional.one_hot(torch.tensor(classes), number).float()


@pytest.mark.parametrize(
    ("out", "stays"),
    [
        # 0.9 ln(1/0.9) + 0.1 ln 10 = 0.3251 nats, over ln 2: 0.4690
        (policies.Entropy(0.470), policies.Entropy(0.468)),
        (policies.MaxProb(0.899), policies.MaxProb(0.901)),
        # 0.9 - 0.1
        (policies.Margin(0.799), policies.Margin(0.801)),
        # -ln(9 + 1) = -2.3026
        (policies.Energy(-2.302), policies.Energy(-2.303)),
        # the gate of hand-made traces says 0.5
        (policies.LearnedGate(0.501), policies.LearnedGate(0.5)),
    ],
)
def test_thresholds_by_hand(out, stays, trace_of):
    assert halts(out, trace_of(SURE)) == [[True]]
    assert halts(stays, trace_of(SURE)) == [[False]]


@pytest.mark.parametrize(
    "never",
    [
        policies.Entropy(0.0),
        policies.MaxProb(1.0),
        policies.Margin(1.0),
        policies.Energy(-1e9),
        policies.LearnedGate(0.0),
        policies.Divergence(0.0),
    ],
    ids=repr,
)
def test_strictest_threshold_means_never(never, trace_of):
    certain = trace_of(1e4 * of_classes([[0], [0], [0]]), gate=torch.zeros(3, 1))
    assert halts(never, certain) == [[False]] * 3


def test_divergence_by_hand(trace_of):
    # (0.5, 0.5) then (0.9, 0.1), mean (0.7, 0.3), in nats
    #   0.5 ln(0.5/0.7) + 0.5 ln(0.5/0.3) = 0.0872
    #   0.9 ln(0.9/0.7) + 0.1 ln(0.1/0.3) = 0.1163
    # half their sum over ln 2: 0.1468; then nothing changes
    trace = trace_of([[[0.0, 0.0]], *SURE, *SURE])
    assert halts(policies.Divergence(0.147), trace) == [[False], [True], [True]]
    assert halts(policies.Divergence(0.146), trace) == [[False], [False], [True]]
    assert halts(policies.Divergence(0.147, patience=2), trace) == [[False], [False], [True]]


def test_divergence_starts_anew_after_a_broken_exit(trace_of):
    broken = [[math.nan, 0.0]]
    trace = trace_of([*SURE, broken, *SURE, *SURE])
    assert halts(policies.Divergence(0.5), trace) == [[False], [False], [False], [True]]


def test_patience_by_hand(trace_of):
    trace = trace_of(of_classes([[2, 0], [2, 1], [2, 1], [1, 1]]))
    # row 0: agrees at layers 2 and 3, changes at 4; row 1: agrees at 3 and 4
    assert halts(policies.Patience(1), trace) == [
        [False, False],
        [True, False],
        [True, True],
        [False, True],
    ]
    assert halts(policies.Patience(2), trace)[2:] == [[True, False], [False, True]]


def test_broken_exits_do_not_agree(trace_of):
    trace = trace_of(torch.full((4, 1, 3), math.nan))
    assert halts(policies.Patience(1), trace) == [[False]] * 4


@settings(max_examples=60, deadline=None)
@given(
    classes=st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=1, max_size=8),
    patience=st.integers(1, 4),
)
def test_patience_is_the_obvious_loop(classes, patience, trace_of):
    decisions = halts(policies.Patience(patience), trace_of(of_classes(classes)))
    for row in range(3):
        count = 0
        for layer, found in enumerate(classes):
            count = count + 1 if layer and found[row] == classes[layer - 1][row] else 0
            assert decisions[layer][row] == (count >= patience)


@settings(max_examples=60, deadline=None)
@given(
    sure=st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=8),
    times=st.integers(1, 4),
)
def test_pcee_is_the_obvious_loop(sure, times, trace_of):
    logits = 5.0 * torch.tensor(sure).float()[..., None] * torch.tensor([1.0, 0.0])
    decisions = halts(policies.PCEE(policies.Entropy(0.5), times), trace_of(logits))
    for row in range(3):
        count = 0
        for layer, found in enumerate(sure):
            count = count + 1 if found[row] else 0
            assert decisions[layer][row] == (count >= times)


def test_assigned_depth(trace_of):
    trace = trace_of(torch.zeros(4, 5, 2), item_id=torch.tensor([0, 5, 6, 7, 999]))
    assert trace.exits(policies.AssignedDepth(2)) == [2, 2, 2, 2, 2]
    assert trace.exits(policies.AssignedDepth(2, {7: 3, 5: 1})) == [2, 1, 2, 3, 2]
    assert trace.exits(policies.AssignedDepth(9, {0: 1, 999: 1})) == [1, 4, 4, 4, 1]


def test_assigned_depth_between_exits_halts_at_the_next(trace_of):
    policy = policies.EveryKth(policies.AssignedDepth(1, {0: 3}), 2)
    assert trace_of(torch.zeros(6, 2, 2)).exits(policy) == [4, 2]


@settings(max_examples=30, deadline=None)
@given(
    table=st.dictionaries(st.integers(0, 2**31), st.integers(1, 6), max_size=20),
    others=st.lists(st.integers(0, 2**31), max_size=5),
)
def test_assigned_depth_is_a_dictionary(table, others, trace_of):
    ids = [*table, *others, 7]
    trace = trace_of(torch.zeros(6, len(ids), 2), item_id=torch.tensor(ids))
    expected = [table.get(item, 4) for item in ids]
    assert trace.exits(policies.AssignedDepth(4, table)) == expected


def test_hash_is_the_same_everywhere():
    """Written down once: another process, platform or version has to find the same."""
    ids = torch.tensor([0, 1, 2, 3, 100, 30521, 250001])
    assert policies.Hash(1, 6).depth(ids).tolist() == PINNED
    assert policies.Hash(1, 6, seed=1).depth(ids).tolist() != PINNED


PINNED = [5, 5, 5, 6, 3, 6, 4]


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_hash_spreads_evenly_and_stays_in_range(seed):
    depth = policies.Hash(2, 6, seed).depth(torch.arange(30_000))
    counts = torch.bincount(depth, minlength=7)
    assert counts[:2].tolist() == [0, 0]
    assert (counts[2:] - 6000).abs().max() < 300  # four standard deviations are 277


@settings(max_examples=50, deadline=None)
@given(item=st.integers(0, 2**40), seed=st.integers(0, 2**32 - 1), top=st.integers(1, 1000))
def test_hash_is_thirty_two_bit_arithmetic(item, seed, top):
    bits = (item + (seed + 1) * 0x9E3779B9) % 2**32
    for _ in range(2):
        bits = (bits ^ bits >> 16) * 0x45D9F3B % 2**32
    bits ^= bits >> 16
    found = policies.Hash(1, top, seed).depth(torch.tensor([item])).item()
    assert found == 1 + bits * top // 2**32


def test_oracle_halts_at_the_first_right_exit(trace_of):
    classes = [[0, 0, 0], [1, 0, 0], [2, 2, 0]]
    trace = trace_of(of_classes([*classes, *classes[:1]]), target=torch.tensor([1, 2, -100]))
    assert trace.exits(policies.Oracle()) == [2, 3, 4]
    with pytest.raises(UserError, match="gold labels"):
        policies.Oracle().step(trace.signals(1, target=None), None)


def test_predicted_depth_stops_once_enough_is_likely_enough(trace_of):
    # Of three layers, each the first that suffices with these probabilities.
    table = torch.tensor([[0.5, 0.25, 0.25], [0.0, 0.875, 0.125], [0.125, 0.125, 0.75]])
    trace = trace_of(torch.zeros(3, 1, 3))
    asked = []

    def head(hidden):
        asked.append(len(hidden))
        return table.log()

    policy = policies.PredictedDepth(0.5)
    state, found = policy.init(3), []
    for layer in (1, 2, 3):
        rows = torch.tensor([0, 0, 0])
        halt, state = policy.step(trace.signals(layer, rows, depth_head=head), state)
        found.append(halt.tolist())
    assert found == [[False, False, False], [True, True, False], [True, True, True]]
    assert asked == [3]  # the first exit only
    never = policies.PredictedDepth(1.0)
    certain = torch.tensor([[0.0, -torch.inf, -torch.inf]])
    signals = trace.signals(1, rows[:1], depth_head=lambda hidden: certain)
    assert not never.step(signals, None)[0].any()
    with pytest.raises(UserError, match="depth=true"):
        policy.step(trace.signals(1, depth_head=None), None)


def test_gate_missing(trace_of):
    with pytest.raises(UserError, match=r"heads\.gate=true"):
        policies.LearnedGate().step(trace_of(SURE).signals(1, gate_head=None), None)


@pytest.mark.parametrize(
    "policy",
    [
        policies.Never(),
        policies.AssignedDepth(2),
        policies.AssignedDepth(2, {1: 1}),
        policies.Hash(),
        policies.LearnedGate(),
        policies.PredictedDepth(),
        policies.FromLayer(policies.Entropy(), 3),
        policies.EveryKth(policies.Patience(), 3),
        policies.PerLayer((policies.Never(), policies.Hash(), policies.Entropy())),
    ],
    ids=repr,
)
def test_logits_nobody_reads_are_not_computed(policy, make_trace):
    trace, state = make_trace(), policy.init(11)
    for layer in (1, 2):
        signals = trace.signals(layer)
        _, state = policy.step(signals, state)
        assert "logits" not in signals.__dict__
