"""Policies for decoding: schedules, cheap judges, and heads that run for few rows or words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tokenexit import policies
from tokenexit.errors import UserError
from tokenexit.policies import Policy, from_config, index_state
from tokenexit.signals import Signals


def rows_at(layer: int, hidden: Any, **changes: Any) -> Signals:
    """Signals of rows given by their states, which are their logits unless told otherwise."""
    hidden = torch.as_tensor(hidden)
    numbers = torch.arange(len(hidden))
    values: dict[str, Any] = {
        "num_layers": 9,
        "sequence": numbers,
        "position": torch.zeros_like(numbers),
        "item_id": numbers,
        "num_sequences": len(hidden),
        "extent": 1,
        "head": lambda hidden: hidden,
    }
    return Signals(layer=layer, hidden=hidden, **{**values, **changes})


def two_classes(*margins: float) -> Tensor:
    """Logits ``[N, 2]`` of rows whose two probabilities differ by so much."""
    return torch.tensor([[math.log(1 + m) - math.log(1 - m), 0.0] for m in margins])


def once(policy: Policy, signals: Signals) -> list[bool]:
    halt, _ = policy.step(signals, policy.init(len(signals)))
    return halt.tolist()


class CountedHeads:
    """Heads of a vocabulary that note how many rows, and how many single words, they scored."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.words: list[tuple[int, int]] = []

    def head(self, hidden: Tensor) -> Tensor:
        self.rows.append(len(hidden))
        return hidden

    def shortlist_head(self, hidden: Tensor, ids: Tensor) -> Tensor:
        self.words.append((ids.shape[0], ids.shape[1]))
        return hidden.gather(1, ids)

    def signals(self, layer: int, hidden: Any, **changes: Any) -> Signals:
        heads = {"head": self.head, "shortlist_head": self.shortlist_head}
        return rows_at(layer, hidden, **heads, **changes)


# --- signals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("read_first", [False, True])
def test_selected_rows_keep_their_candidates_and_the_number_of_steps(read_first):
    heads = CountedHeads()
    ids = torch.tensor([[2, 0], [1, 2], [0, 1]])
    signals = heads.signals(
        2, torch.arange(9.0).reshape(3, 3), candidates=ids, num_steps=7, step=torch.arange(3)
    )
    if read_first:
        assert signals.logits.tolist() == [[2.0, 0.0], [4.0, 5.0], [6.0, 7.0]]
    part = signals.select(torch.tensor([2, 0]))
    assert part.candidates is not None
    assert part.candidates.tolist() == [[0, 1], [2, 0]]
    assert part.logits.tolist() == [[6.0, 7.0], [2.0, 0.0]]
    assert (part.num_steps, part.step.tolist()) == (7, [2, 0])
    assert heads.rows == []
    assert heads.words == ([(3, 2)] if read_first else [(2, 2)])


# --- the strictest setting means never -------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_probability_that_rounds_to_one_is_not_above_one(dtype):
    logits = torch.zeros(3, 1000, dtype=dtype)
    logits[:, 7] = torch.tensor([30.0, 300.0, 30000.0], dtype=dtype)
    before = torch.cat([2 * logits[:1], logits[1:]])
    signals = rows_at(
        2, logits, previous=lambda: before, step=torch.tensor([0, 5, 50]), num_steps=50
    )
    for policy in (policies.Margin(), policies.MaxProb(), policies.Saturation()):
        score = policy.score(signals)
        assert (score == 1.0).sum() >= 2  # rounded: the case that this test is about
        for strictest in (policy.with_threshold(1.0), policies.Decay(policy.with_threshold(1.0))):
            assert once(strictest, signals) == [False] * 3
        assert once(policy.with_threshold(0.999), signals) == [True] * 3


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), half=st.booleans(), factor=st.sampled_from([0.1, 1.0, 3.0]))
def test_a_cosine_never_rounds_above_one(seed, half, factor):
    hidden = torch.randn(20, 37, generator=torch.Generator().manual_seed(seed))
    hidden = hidden.bfloat16() if half else hidden
    signals = rows_at(2, hidden, previous=lambda: hidden * factor)
    assert not any(once(policies.Saturation(1.0), signals))
    assert all(once(policies.Saturation(0.99), signals))


# --- saturation ------------------------------------------------------------------------------


def test_saturation_by_hand():
    # (1, 0) and (3, 4): cosine 3/5; (3, 4) and (6, 8): 1; (1, 0) and (-2, 0): -1
    now, before = [[3.0, 4.0], [6.0, 8.0], [-2.0, 0.0]], [[1.0, 0.0], [3.0, 4.0], [1.0, 0.0]]
    signals = rows_at(2, now, previous=lambda: torch.tensor(before))
    assert policies.Saturation().score(signals).tolist() == pytest.approx([0.6, 1.0, -1.0])
    assert once(policies.Saturation(0.59), signals) == [True, True, False]
    assert once(policies.Saturation(0.61), signals) == [False, True, False]
    assert once(policies.Saturation(0.0), signals) == [True, True, False]
    assert "logits" not in signals.__dict__


def test_saturation_has_nothing_to_say_at_the_first_exit():
    assert once(policies.Saturation(0.0), rows_at(1, [[1.0, 2.0]])) == [False]
    signals = rows_at(1, [[1.0, 2.0]], step=torch.tensor([9]), num_steps=9)
    assert once(policies.Decay(policies.Saturation(0.0)), signals) == [False]


@pytest.mark.parametrize("broken", [0.0, math.nan, math.inf])
def test_states_without_a_direction_stay(broken):
    now = torch.tensor([[1.0, 2.0], [broken, broken], [broken, broken]])
    before = torch.tensor([[broken, broken], [1.0, 2.0], [broken, broken]])
    signals = rows_at(2, now, previous=lambda: before)
    assert once(policies.Saturation(0.0), signals) == [False] * 3


# --- decay -----------------------------------------------------------------------------------


def thresholds(policy: Policy, count: int, *steps: int) -> list[float]:
    """Smallest margin that leaves at each step, found by trying."""
    tried = torch.linspace(0, 0.9999, 10_000).tolist()
    found = []
    for step in steps:
        at = torch.full((len(tried),), step)
        halt = once(policy, rows_at(3, two_classes(*tried), step=at, num_steps=count))
        assert halt == sorted(halt)
        found.append(tried[halt.index(True)])
    return found


def test_decay_by_hand():
    # 0.9 * 0.5 + 0.1 exp(-4 t / 20): exp(0) = 1, exp(-1) = 0.3679, exp(-4) = 0.0183
    found = thresholds(policies.Decay(policies.Margin(0.5)), 20, 0, 5, 20)
    assert found == pytest.approx([0.55, 0.4868, 0.4518], abs=2e-4)
    constant = thresholds(policies.Decay(policies.Margin(0.5), temperature=0.0), 20, 0, 20)
    assert constant == pytest.approx([0.55, 0.55], abs=2e-4)
    # Beyond the promised length it goes on falling, towards 0.9 * 0.5.
    assert thresholds(policies.Decay(policies.Margin(0.5)), 20, 99) == pytest.approx(
        [0.45], abs=2e-4
    )
    # Just below 1 is not never: 0.9 * 0.999 + 0.1 * 0.0183
    assert thresholds(policies.Decay(policies.Margin(0.999)), 20, 20) == pytest.approx(
        [0.9009], abs=2e-4
    )


def test_each_row_has_the_threshold_of_its_own_step():
    steps = torch.tensor([0, 20, 5, 0, 20])
    logits = two_classes(0.54, 0.54, 0.48, 0.56, 0.44)
    signals = rows_at(3, logits, step=steps, num_steps=20)
    expected = [False, True, False, True, False]
    assert once(policies.Decay(policies.Margin(0.5)), signals) == expected


def test_other_dials_decay_on_their_own_scale():
    # Energy -30..0: -15 is halfway. 0.9 * 0.5 + 0.1 = 0.55 at first: -16.5; at the end
    # 0.45 + 0.0018 = 0.4518: -13.55. A single class of logit x has energy -x.
    decay = policies.Decay(policies.Energy(-15.0))
    logits = [[16.4], [16.6], [13.5], [13.6]]
    signals = rows_at(3, logits, step=torch.tensor([0, 0, 9, 9]), num_steps=9)
    assert once(decay, signals) == [False, True, False, True]
    # The gate's threshold runs from 1e-4 to 0.9 in logarithms: sqrt(0.9 * 1e-4) = 0.009487 is half-
    # way. At first 0.9 (1e-4 / 0.9)^0.55 = 0.00602, at the end 0.9 (1e-4 / 0.9)^0.45183 = 0.01471
    gate = torch.tensor([0.0059, 0.0061, 0.0146, 0.0148])
    signals = rows_at(
        3, logits, step=torch.tensor([0, 0, 9, 9]), num_steps=9, gate_head=lambda _: gate
    )
    halfway = policies.Decay(policies.LearnedGate(math.sqrt(0.9 * 1e-4)))
    assert once(halfway, signals) == [True, False, True, False]


@pytest.mark.parametrize(
    "strictest",
    [
        policies.Margin(1.0),
        policies.Saturation(1.0),
        policies.Entropy(1e-4),
        policies.Entropy(0.0),
        policies.LearnedGate(0.0),
        policies.Energy(-30.0),
        policies.Energy(-99.0),
    ],
    ids=repr,
)
def test_decay_of_the_strictest_setting_lets_nobody_out_and_asks_nothing(strictest):
    certain = [[1e4, 0.0]]
    for step in (0, 10, 1000):
        signals = rows_at(3, certain, step=torch.tensor([step]), num_steps=10)
        assert once(policies.Decay(strictest), signals) == [False]
        assert "logits" not in signals.__dict__


def test_decay_is_for_decoding_and_for_thresholds():
    decay = policies.Decay(policies.Margin(0.9))
    for given_, missing in (
        ({"num_steps": 9}, "no decoding step"),
        ({"step": torch.tensor([1])}, "no largest number of steps"),
        ({}, "no decoding step"),
    ):
        with pytest.raises(UserError, match=rf"{missing} here.*Margin\(threshold=0\.9\)"):
            once(decay, rows_at(1, [[1.0, 0.0]], **given_))
    for other in (policies.Patience(), policies.FromLayer(policies.Margin()), policies.Never()):
        with pytest.raises(UserError, match=r"such as Margin\(0\.9\), not .* around it instead"):
            policies.Decay(other)
    with pytest.raises(UserError, match=r"Decay\.temperature must be a number from 0 to 1000"):
        policies.Decay(temperature=-1.0)
    with pytest.raises(UserError, match=r"Decay\.policy must be a policy"):
        policies.Decay(0.9)


def test_the_dial_of_decay_is_the_one_inside():
    decay = policies.Decay(policies.Margin(0.9), 2.0)
    assert (decay.threshold_spec(), decay.threshold_value()) == (policies.Margin.own_threshold, 0.9)
    assert decay.with_threshold(0.4) == policies.Decay(policies.Margin(0.4), 2.0)
    written = (
        '{"name": "decay", "policy": {"name": "margin", "threshold": 0.9}, "temperature": 2.0}'
    )
    assert decay.to_json() == written
    assert from_config(written) == decay
    assert policies.Decay.units == ("token",)


# --- two stages ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scripted(Policy):
    """Proposes rows by a table: ``plan[layer - 1][item id]``."""

    plan: tuple[tuple[bool, ...], ...]

    def step(self, signals: Signals, state: Any) -> Any:
        return torch.tensor(self.plan[signals.layer - 1])[signals.item_id], state


def test_the_head_runs_for_proposed_rows_only():
    plan = ((False,) * 4, (True, False, True, False), (False, True, True, True), (True,) * 4)
    policy = policies.TwoStage(Scripted(plan), policies.Margin(0.5))
    heads, state = CountedHeads(), policy.init(4)
    logits = two_classes(0.9, 0.9, 0.1, 0.9)
    decisions = []
    for layer in range(1, 5):
        halt, state = policy.step(heads.signals(layer, logits), state)
        decisions.append(halt.int().tolist())
    assert decisions == [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 1], [1, 1, 0, 1]]
    assert heads.rows == [2, 3, 4]


def test_logits_of_all_rows_are_there_for_the_prediction():
    heads = CountedHeads()
    signals = heads.signals(1, two_classes(0.9, 0.1))
    policy = policies.TwoStage(policies.AssignedDepth(1), policies.Margin(0.5))
    assert once(policy, signals) == [True, False]
    assert "logits" in signals.__dict__
    assert heads.rows == [2]


def test_a_row_that_is_not_proposed_keeps_its_state():
    # Row 0 is asked at layers 1 and 3, row 1 at 2 and 3; row 0 predicts 0 1 0, row 1 0 1 0.
    plan = ((True, False), (False, True), (True, True))
    classes = torch.tensor([[0, 0], [1, 1], [0, 0]])
    for confirm in (policies.Patience(1), policies.Divergence(0.1)):
        policy = policies.TwoStage(Scripted(plan), confirm)
        state, decisions = policy.init(2), []
        for layer in (1, 2, 3):
            logits = 9.0 * torch.nn.functional.one_hot(classes[layer - 1], 2).float()
            halt, state = policy.step(rows_at(layer, logits), state)
            decisions.append(halt.tolist())
        assert decisions == [[False, False], [False, False], [True, False]]


CONFIRM: list[Policy] = [
    policies.Margin(0.3),
    policies.Patience(1),
    policies.Divergence(0.2),
    policies.PCEE(policies.Divergence(0.4), 2),
    policies.AssignedDepth(5, {0: 2, 3: 4}),
    policies.PerLayer((policies.Never(), policies.Divergence(0.3), policies.Divergence(0.5))),
    policies.AnyOf((policies.FromLayer(policies.Divergence(0.1), 3), policies.Patience(2))),
    policies.Shortlist(policies.Patience(1), 2),
    policies.TwoStage(policies.Patience(1), policies.Divergence(0.3)),
]


@pytest.mark.parametrize("confirm", CONFIRM, ids=repr)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.2, 0.5, 0.9]))
def test_two_stages_are_the_obvious_loop(confirm, seed, share):
    """Each row alone, its second policy fed with the exits at which it is proposed."""
    random = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(6, 5, 4, generator=random).cumsum(0)
    plan = (torch.rand(6, 5, generator=random) < share).tolist()
    policy = policies.TwoStage(Scripted(tuple(map(tuple, plan))), confirm)

    expected = []
    for row in range(5):
        own, end = confirm.init(1), 6
        for layer in range(1, 6):
            if end == 6 and plan[layer - 1][row]:
                signals = rows_at(layer, logits[layer - 1], **gathering()).select(
                    torch.tensor([row])
                )
                halt, own = confirm.step(signals, own)
                end = layer if halt else 6
        expected.append(end)

    exits, rows, state = torch.full((5,), 6), torch.arange(5), policy.init(5)
    for layer in range(1, 6):
        signals = rows_at(layer, logits[layer - 1], **gathering()).select(rows)
        halt, state = policy.step(signals, state)
        exits[rows[halt]] = layer
        rows, state = rows[~halt], index_state(state, ~halt)
    assert exits.tolist() == expected


def gathering() -> dict[str, Any]:
    return {"shortlist_head": lambda hidden, ids: hidden.gather(1, ids)}


def test_the_dial_of_two_stages_is_that_of_the_second():
    both = policies.TwoStage(policies.Saturation(0.9), policies.Margin(0.5))
    assert (both.threshold_spec(), both.threshold_value()) == (policies.Margin.own_threshold, 0.5)
    assert both.with_threshold(0.7) == policies.TwoStage(
        policies.Saturation(0.9), policies.Margin(0.7)
    )
    first = policies.TwoStage(policies.Saturation(0.9), policies.Oracle())
    assert (first.threshold_spec(), first.threshold_value()) == (
        policies.Saturation.own_threshold,
        0.9,
    )
    assert first.with_threshold(0.7) == policies.TwoStage(
        policies.Saturation(0.7), policies.Oracle()
    )
    neither = policies.TwoStage(policies.Never(), policies.Never())
    assert neither.threshold_spec() is None
    assert neither.threshold_value() is None
    with pytest.raises(UserError, match="neither gate nor confirm"):
        neither.with_threshold(0.5)
    for bad in ({"gate": 0.9}, {"confirm": "margin"}):
        with pytest.raises(UserError, match=rf"TwoStage\.{next(iter(bad))} must be a policy"):
            policies.TwoStage(**bad)


# --- shortlist -------------------------------------------------------------------------------


def test_shortlist_by_hand():
    # Row 0 keeps words 4 and 1, row 1 words 0 and 2; later others overtake them, unseen.
    first = [[0.0, 2.0, 1.0, -1.0, 3.0], [5.0, 0.0, 4.0, 1.0, 2.0]]
    later = [[9.0, math.log(9.0), 0.0, 0.0, 0.0], [0.0, 9.0, 0.0, 9.0, 9.0]]
    heads = CountedHeads()
    policy = policies.Shortlist(policies.Margin(0.79), 2)
    halt, state = policy.step(heads.signals(1, first), policy.init(2))
    # exp(3) : exp(2) is 0.731 : 0.269, margin 0.462; the same for 5 and 4
    assert halt.tolist() == [False, False]
    assert state[0].tolist() == [[4, 1], [0, 2]]
    # 1 : 9 and 1 : 1, margins 0.8 and 0
    signals = heads.signals(2, later)
    assert policy.step(signals, state)[0].tolist() == [True, False]
    assert policy.with_threshold(0.81).step(signals, state)[0].tolist() == [False, False]
    assert (heads.rows, heads.words) == ([2], [(2, 2), (2, 2)])
    # What is predicted is not limited to the list.
    assert signals.logits.argmax(dim=-1).tolist() == [0, 1]


def test_entropy_of_a_shortlist_is_over_the_list():
    heads = CountedHeads()
    policy = policies.Shortlist(policies.Entropy(0.947), 3)
    _, state = policy.step(heads.signals(1, [[9.0, 8.0, 7.0, 0.0, 0.0, 0.0]]), policy.init(1))
    # 2 : 1 : 1 is 1.0397 nats, over log 3: 0.9464; word 3, which is certain, is not in the list.
    later = heads.signals(2, [[math.log(2.0), 0.0, 0.0, 50.0, 0.0, 0.0]])
    assert policy.step(later, state)[0].tolist() == [True]
    assert policy.with_threshold(0.946).step(later, state)[0].tolist() == [False]


def test_a_shortlist_keeps_the_first_of_equal_words():
    policy = policies.Shortlist(policies.Margin(0.5), 3)
    some, many = [1.0, 7.0, 3.0, 7.0, 3.0, 3.0], [0.0, 5.0, 2.0, 5.0, 5.0, 5.0]
    distinct = [0.0, 5.0, 1.0, 4.0, 3.0, 2.0]
    for rows in ([some, many, distinct], [distinct]):
        _, (words, _) = policy.step(CountedHeads().signals(1, rows), policy.init(len(rows)))
        assert words.tolist() == [[1, 3, 2], [1, 3, 4], [1, 3, 4]][-len(rows) :]


def test_a_shortlist_leaves_rows_that_are_not_there_alone():
    heads = CountedHeads()
    policy = policies.Shortlist(policies.Margin(0.5), 2)
    first = torch.tensor([[3.0, 2.0, 0.0], [0.0, 3.0, 2.0], [2.0, 0.0, 3.0]])
    _, state = policy.step(heads.signals(1, first), policy.init(3))
    rows = torch.tensor([2, 0])
    part = heads.signals(2, torch.eye(3) * 9).select(rows)
    halt, state = policy.step(part, index_state(state, rows))
    assert state[0].tolist() == [[2, 0], [0, 1]]
    assert halt.tolist() == [True, True]


def test_a_shortlist_follows_the_rows_of_the_policy_inside():
    """A policy inside that looks at some rows only sees those rows' own words."""
    heads = CountedHeads()
    inner = policies.TwoStage(Scripted(((False,) * 3, (True, False, True))), policies.Margin(0.5))
    policy = policies.Shortlist(inner, 2)
    first = torch.tensor([[3.0, 2.0, 0.0], [0.0, 3.0, 2.0], [2.0, 0.0, 3.0]])
    _, state = policy.step(heads.signals(1, first), policy.init(3))
    # Row 2 keeps words 2 and 0, and is torn between them; word 1, which leads, is not seen.
    later = torch.tensor([[9.0, 0.0, 0.0], [9.0, 0.0, 0.0], [1.0, 9.0, 1.0]])
    halt, _ = policy.step(heads.signals(2, later), state)
    assert halt.tolist() == [True, False, False]
    assert (heads.rows, heads.words) == ([3], [(2, 2)])


def test_a_shortlist_is_renewed():
    heads = CountedHeads()
    policy = policies.Shortlist(policies.Patience(1), 2, refresh=3)
    state, decisions = policy.init(1), []
    # Word 0 leads; from layer 3 on word 2 does, which a list of the first exit has not.
    for layer in range(1, 6):
        logits = [[2.0, 1.0, 0.0]] if layer < 3 else [[0.0, 1.0, 2.0]]
        halt, state = policy.step(heads.signals(layer, logits), state)
        decisions.append(halt.tolist()[0])
    # Patience starts anew at layer 3, where first place in the list is another word's.
    assert decisions == [False, True, False, True, True]
    assert heads.rows == [1, 1]
    assert len(heads.words) == 3


@pytest.mark.parametrize("size", [4, 64])
@pytest.mark.parametrize(
    "inner",
    [policies.Margin(0.5), policies.Entropy(0.4), policies.Patience(1), policies.Divergence(0.2)],
    ids=repr,
)
def test_a_list_of_all_words_changes_nothing(inner, size, make_trace):
    for seed in range(3):
        trace = make_trace(seed)
        assert trace.exits(policies.Shortlist(inner, size)) == trace.exits(inner)


def test_without_a_head_for_single_words_the_logits_are_the_ordinary_ones():
    logits = two_classes(0.9, 0.1)
    policy = policies.Shortlist(policies.PerClass(policies.Margin(0.5), {"O": policies.Never()}))
    signals = rows_at(1, logits, classes=("O", "X"))
    assert once(policy, signals) == [False, False]
    signals = rows_at(1, logits.flip(1), classes=("O", "X"))
    assert once(policy, signals) == [True, False]


def test_gold_words_are_counted_as_the_list_counts_them():
    first = [[0.0, 2.0, 1.0, -1.0, 3.0]] * 4
    target = torch.tensor([4, 1, 0, -100])
    signals = CountedHeads().signals(1, first, target=target)
    assert once(policies.Shortlist(policies.Oracle(), 2), signals) == [True, False, False, False]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: policies.Shortlist(policies.Margin(), 1), "whole number from 2 to 1e"),
        (lambda: policies.Shortlist(policies.Margin(), 8, -1), r"Shortlist\.refresh"),
        (lambda: policies.Shortlist(0.5), r"Shortlist\.policy must be a policy"),
        (
            lambda: policies.Shortlist(policies.PCEE(policies.Shortlist())),
            "leave one of them out",
        ),
        (lambda: policies.TokenFrequency((5, 3)), r"must rise.*not \(5, 3\)"),
        (lambda: policies.TokenFrequency((5, 7.5)), "whole numbers from 0"),
        (lambda: policies.TokenFrequency(9), "whole numbers from 0, not 9"),
        (lambda: policies.TokenFrequency((1,), 1, (4, 4)), "repeats some"),
        (lambda: policies.TokenFrequency((1,), 0), r"TokenFrequency\.first"),
        (lambda: policies.TokenFrequency.from_counts({}, 3), "0 occurrences"),
        (lambda: policies.TokenFrequency.from_counts({1: 2}, 0), "depths=0"),
    ],
)
def test_bad_fields(make, message):
    with pytest.raises(UserError, match=message):
        make()


# --- frequency of tokens ---------------------------------------------------------------------


def test_token_frequency_by_hand(trace_of):
    trace = trace_of(torch.zeros(6, 5, 2), item_id=torch.tensor([0, 9, 10, 99, 100]))
    assert trace.exits(policies.TokenFrequency((10, 100))) == [1, 1, 2, 2, 3]
    assert trace.exits(policies.TokenFrequency((10, 100), 3)) == [3, 3, 4, 4, 5]
    assert trace.exits(policies.TokenFrequency((0, 10, 10), 1)) == [2, 2, 4, 4, 4]
    assert trace.exits(policies.TokenFrequency((), 2)) == [2] * 5
    # 99 is the most frequent, then 0, 9, 10; 100 is not listed.
    listed = policies.TokenFrequency((1, 3), 1, (99, 0, 9, 10))
    assert trace.exits(listed) == [2, 2, 3, 1, 3]
    assert trace.exits(listed.with_threshold(4)) == [5, 5, 6, 4, 6]
    assert trace.exits(listed.with_threshold(48)) == [6] * 5


def test_token_frequency_from_counts():
    # 12 occurrences: a third is reached after 7 (6), two thirds after 7 and 2 (9).
    counts = {5: 1, 2: 3, 7: 6, 1: 1, 9: 1}
    policy = policies.TokenFrequency.from_counts(counts, 3, first=2)
    assert policy == policies.TokenFrequency((1, 2), 2, (7, 2))
    assert policies.TokenFrequency.from_counts(counts, 1) == policies.TokenFrequency(())
    # Equally frequent: by id. 3 of 12 after one of four equal parts.
    equal = policies.TokenFrequency.from_counts(dict.fromkeys((4, 3, 2, 1), 3), 4)
    assert equal == policies.TokenFrequency((1, 2, 3), 1, (1, 2, 3))


@pytest.mark.parametrize(
    "policy",
    [
        policies.Saturation(),
        policies.TokenFrequency(),
        policies.Decay(policies.Saturation()),
        policies.Shortlist(policies.Saturation(0.5)),
        policies.TwoStage(policies.Never(), policies.Margin()),
    ],
    ids=repr,
)
def test_logits_nobody_reads_are_not_computed(policy, make_trace):
    trace, state = make_trace(), policy.init(11)
    for layer in (1, 2, 3):
        signals = trace.signals(layer)
        _, state = policy.step(signals, state)
        # A shortlist has to look once at all there is.
        read = isinstance(policy, policies.Shortlist) and layer == 1
        assert ("logits" in signals.__dict__) == read
