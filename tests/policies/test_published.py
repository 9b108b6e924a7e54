"""Rules of published methods against numbers worked out by hand or a few plain lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tokenexit import policies
from tokenexit.errors import UserError


def halts(policy: Any, trace: Any, **changes: Any) -> list[list[bool]]:
    """Decisions ``[L][N]`` with nobody leaving."""
    return trace.halts(policy, **changes)


def of_one(policy: Any, trace: Any) -> list[bool]:
    """Decisions ``[L]`` about the only row."""
    return [decision for [decision] in halts(policy, trace)]


def votes_for(classes: Sequence[int], number: int = 4) -> torch.Tensor:
    """Logits ``[L, 1, C]`` of one row whose best class is given."""
    return 3.0 * torch.nn.functional.one_hot(torch.tensor(classes), number).float()[:, None]


def chances(rows: Sequence[Sequence[float]]) -> torch.Tensor:
    """Logits ``[L, 1, C]`` of one row whose probabilities are given."""
    return torch.tensor(rows, dtype=torch.float64).log()[:, None]


def gates(values: Sequence[float]) -> torch.Tensor:
    """Values of the gate ``[L, 1]`` for one row."""
    return torch.tensor(values, dtype=torch.float32)[:, None]


# --- vote ------------------------------------------------------------------------------------


def test_votes_by_hand(trace_of):
    trace = trace_of(votes_for([2, 1, 2, 2, 1, 0, 2]))
    # Votes for the class of each exit: 1, 1, 2, 3, 2, 1, 4; the leader has 1, 1, 2, 3, 3, 3, 4.
    two = policies.Vote(2, exponent=0)
    assert of_one(two, trace) == [False, False, True, True, False, False, True]
    # 1.5 sqrt(n): 1.5, 2.1, 2.6, 3, 3.4, 3.7, 3.97
    half = policies.Vote(1.5)
    assert of_one(half, trace) == [False, False, False, True, False, False, True]
    assert of_one(policies.Vote(1.0), trace)[0]


def test_equal_leaders_may_all_leave(trace_of):
    assert of_one(policies.Vote(1, exponent=0), trace_of(votes_for([0, 1, 1, 0]))) == [True] * 4
    assert of_one(policies.Vote(2, exponent=0), trace_of(votes_for([0, 1, 1, 0])))[3]


def test_a_broken_exit_votes_for_nobody(trace_of):
    broken = torch.full((1, 1, 4), math.nan)
    good = votes_for([1])
    trace = trace_of(torch.cat([broken, broken, broken, good, good]))
    assert of_one(policies.Vote(2, exponent=0), trace) == [False] * 4 + [True]


def test_a_vote_needs_more_where_more_have_voted():
    # 48 exits of one mind: 48 / 48 ** 0.5, which is 6.93
    assert policies.Vote(1.5, exponent=0.5).threshold_spec().strict == 7
    assert policies.Vote(2, exponent=0).threshold_spec().strict == 48


@settings(max_examples=80, deadline=None)
@given(
    classes=st.lists(st.integers(0, 2), min_size=1, max_size=9),
    threshold=st.sampled_from([0.0, 0.5, 1.0, 1.2, 1.5, 2.0, 3.0]),
    exponent=st.sampled_from([0.0, 0.25, 0.5, 0.9]),
)
def test_vote_is_the_obvious_loop(classes, threshold, exponent, trace_of):
    found = of_one(policies.Vote(threshold, exponent), trace_of(votes_for(classes)))
    for n in range(1, len(classes) + 1):
        counts = [classes[:n].count(number) for number in range(3)]
        leads = counts[classes[n - 1]] == max(counts)
        assert found[n - 1] == (leads and max(counts) >= threshold * n**exponent)


# --- confidence window -----------------------------------------------------------------------


def test_a_sure_exit_leaves_at_once(trace_of):
    # 0.9 and 0.1: 0.469 of the entropy of two classes.
    trace = trace_of(chances([[0.9, 0.1]]))
    assert of_one(policies.ConfidenceWindow(0.47), trace) == [True]
    assert of_one(policies.ConfidenceWindow(0.46), trace) == [False]


@pytest.mark.parametrize(
    ("rule", "margin", "expected"),
    [
        # Of class 0: 0.4, 0.6, 0.7, 0.8, 0.75, 0.74; windows of three end at exits 3 to 6.
        ("side", 0.0, [False, False, False, True, True, True]),
        ("side", 0.15, [False, False, False, False, True, True]),
        ("rising", 0.0, [False, False, False, True, False, False]),
        ("rising", 0.15, [False] * 6),
        ("steady", 0.0, [False, False, False, False, True, True]),
    ],
)
def test_windows_by_hand(rule, margin, expected, trace_of):
    trace = trace_of(chances([[p, 1 - p] for p in (0.4, 0.6, 0.7, 0.8, 0.75, 0.74)]))
    # 0.8 - 0.7 is within 0.11, 0.8 - 0.6 is not.
    policy = policies.ConfidenceWindow(0.0, size=3, rule=rule, margin=margin, bias=0.11)
    assert of_one(policy, trace) == expected


def test_a_window_is_about_one_class(trace_of):
    first = [[0.6, 0.3, 0.1], [0.3, 0.6, 0.1]]
    trace = trace_of(chances([*first, [0.2, 0.6, 0.2], [0.4, 0.45, 0.15]]))
    # The same class at exits 2 and 3; at exit 4 the others together are likelier.
    policy = policies.ConfidenceWindow(0.0, size=2)
    assert of_one(policy, trace) == [False, False, True, False]


@settings(max_examples=80, deadline=None)
@given(
    sure=st.lists(st.integers(1, 19), min_size=1, max_size=9),
    size=st.integers(1, 4),
    rule=st.sampled_from(["side", "rising", "steady"]),
    margin=st.sampled_from([0.0, 0.12, 0.23]),
)
def test_windows_of_two_classes_are_the_published_loop(sure, size, rule, margin, trace_of):
    """The rules as released: one probability of two classes, beside one half."""
    seen = [value / 20 + 0.001 for value in sure]  # never one half
    policy = policies.ConfidenceWindow(0.0, size, rule, margin, bias=0.17)
    found = of_one(policy, trace_of(chances([[p, 1 - p] for p in seen])))
    for n in range(1, len(seen) + 1):
        last = seen[max(n - size, 0) : n]
        up, down = min(last) > 0.5 + margin, max(last) < 0.5 - margin
        expected = len(last) == size and (up or down)
        if rule == "rising":
            expected = expected and last == sorted(last, reverse=down)
        if rule == "steady":
            expected = expected and max(last) - min(last) <= 0.17
        # Equal logits of double precision may differ by rounding in single precision.
        assert found[n - 1] == expected


# --- gates: PALBERT and DACT-BERT ------------------------------------------------------------


def test_q_exit_by_hand(trace_of):
    trace = trace_of(torch.zeros(4, 1, 2), gate=gates([0.1, 0.3, 0.25, 0.5]))
    # Left by each exit: 0.1, 1 - 0.9 * 0.7 = 0.37, 1 - 0.63 * 0.75 = 0.5275, 0.76375
    assert of_one(policies.QExit(), trace) == [False, False, True, True]
    assert of_one(policies.QExit(0.36), trace) == [False, True, True, True]
    assert of_one(policies.QExit(0.76), trace) == [False, False, False, True]
    assert of_one(policies.QExit(1.0), replace(trace, gate=torch.ones(4, 1))) == [False] * 4


@settings(max_examples=60, deadline=None)
@given(
    leaving=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=8),
    threshold=st.floats(0, 1),
)
def test_q_exit_is_the_obvious_loop(leaving, threshold, trace_of):
    trace = trace_of(torch.zeros(len(leaving), 1, 2), gate=gates(leaving))
    found, here = of_one(policies.QExit(threshold), trace), 1.0
    for decision, chance in zip(found, leaving, strict=True):
        here *= 1.0 - chance
        if abs(1.0 - here - threshold) > 1e-6:  # else rounding decides
            assert decision == (1.0 - here > threshold)


def test_dact_by_hand(trace_of):
    trace = trace_of(
        chances([[0.6, 0.4], [0.9, 0.1], [0.3, 0.7], [0.8, 0.2]]), gate=gates([0.5, 0.2, 0.5, 0.5])
    )
    # Answers: 0.6; then half of 0.9 and half of 0.6, 0.75; 0.1 of 0.3 and 0.9 of 0.75, 0.705.
    # Share going on: 0.5, 0.1, 0.05; layers to come: 3, 2, 1.
    #   0.6 * 0.5^3 = 0.075 > 0.4 + 1.5 does not hold
    #   0.75 * 0.9^2 = 0.6075 > 0.25 + 0.2 holds
    #   0.705 * 0.95 = 0.67 > 0.295 + 0.05 holds, and the exit says otherwise
    assert of_one(policies.DACT(), trace) == [False, True, False, True]
    # Of what is to come only a quarter counts: 0.6 * 0.5^0.75 = 0.357 < 0.4 + 0.375, and no more
    # than a twentieth: 0.6 * 0.5^0.15 = 0.541 > 0.4 + 0.075.
    assert of_one(policies.DACT(0.25), trace)[0] is False
    assert of_one(policies.DACT(0.05), trace)[0] is True
    # Twice as much: 0.75 * 0.9^4 = 0.492 < 0.25 + 0.4
    assert of_one(policies.DACT(2.0), trace)[1] is False


probabilities = st.lists(st.integers(0, 10), min_size=3, max_size=3).map(
    lambda parts: [(part + 0.01) / (sum(parts) + 0.03) for part in parts]
)
halting = st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.6, 0.95, 1.0])


def accumulated(exits: Sequence[Sequence[float]], units: Sequence[float]) -> list[list[float]]:
    """Answers after each exit, in plain numbers."""
    answer, share, found = [0.0] * len(exits[0]), 1.0, []
    for says, unit in zip(exits, units, strict=True):
        answer = [share * y + (1 - share) * a for y, a in zip(says, answer, strict=True)]
        share *= unit
        found.append(answer)
    return found


@settings(max_examples=150, deadline=None)
@given(
    seen=st.lists(st.tuples(probabilities, halting), min_size=1, max_size=5),
    ahead=st.lists(st.tuples(st.sampled_from([0, 1, 2, None]), halting), min_size=1, max_size=5),
)
def test_once_dact_halts_nothing_can_change_the_answer(seen, ahead, trace_of):
    exits = [says for says, _ in seen]
    trace = trace_of(
        torch.cat([chances(exits), torch.zeros(len(ahead), 1, 3)]),
        gate=gates([unit for _, unit in seen] + [0.5] * len(ahead)),
    )
    assume(of_one(policies.DACT(), trace)[len(seen) - 1])
    before = accumulated(exits, [unit for _, unit in seen])[-1]
    best = before.index(max(before))
    # The worst that can come: exits that are certain of another class, or of none.
    later = [[1 / 3 if to is None else float(c == to) for c in range(3)] for to, _ in ahead]
    end = accumulated(exits + later, [unit for _, unit in [*seen, *ahead]])[-1]
    assert end[best] >= max(end) - 1e-5  # single precision
    assert exits[-1][best] == pytest.approx(max(exits[-1]))


@settings(max_examples=80, deadline=None)
@given(
    seen=st.lists(st.tuples(probabilities, halting), min_size=2, max_size=7),
    horizon=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
)
def test_dact_is_the_obvious_loop(seen, horizon, trace_of):
    exits, units = [says for says, _ in seen], [unit for _, unit in seen]
    found = of_one(policies.DACT(horizon), trace_of(chances(exits), gate=gates(units)))
    for n, answer in enumerate(accumulated(exits, units)):
        share = math.prod(units[: n + 1])
        left = horizon * (len(seen) - n - 1)
        second, best = sorted(answer)[-2:]
        slack = best * (1 - share) ** left - second - share * left
        # In a tie of one exit either class is the first of both.
        agreed = max(exits[n]) - exits[n][answer.index(best)] < 1e-9
        alone = sorted(exits[n])[-1] - sorted(exits[n])[-2] > 1e-6
        if abs(slack) > 1e-5 and alone:
            assert found[n] == (slack > 0 and agreed)


# --- two classes -----------------------------------------------------------------------------


def test_asymmetric_by_hand(trace_of):
    trace = trace_of(chances([[0.82, 0.18], [0.15, 0.85], [0.05, 0.95]]))
    # Ten percent of doubt for a positive, twenty for a negative.
    policy = policies.Asymmetric(0.9, ratio=2.0)
    assert policy.negative_threshold == pytest.approx(0.8)
    assert of_one(policy, trace) == [True, False, True]
    assert of_one(policies.Asymmetric(0.9, 2.0, positive=0), trace) == [False, True, True]
    assert of_one(policies.Asymmetric(0.9, 2.0, positive="O"), trace) == [False, True, True]
    assert of_one(policies.Asymmetric(0.9, 0.0), trace) == [False, False, True]
    assert of_one(policies.Asymmetric(1.0, 2.0), trace) == [False] * 3


def test_asymmetric_from_two_thresholds():
    policy = policies.Asymmetric.of(positive=0.9, negative=0.7, label="relevant")
    assert (policy.threshold, policy.positive) == (0.9, "relevant")
    assert policy.negative_threshold == pytest.approx(0.7)
    # Half as much doubt for both.
    assert policy.with_threshold(0.95).negative_threshold == pytest.approx(0.85)
    assert policies.Asymmetric(0.5, 3.0).negative_threshold == 0.0


@settings(max_examples=60, deadline=None)
@given(
    chance=st.integers(1, 99),
    positive=st.integers(0, 1),
    threshold=st.floats(0, 1),
    ratio=st.floats(0, 5),
)
def test_asymmetric_is_two_comparisons(chance, positive, threshold, ratio, trace_of):
    policy = policies.Asymmetric(threshold, ratio, positive)
    pair = [chance / 100, 1 - chance / 100]
    needed = policy.negative_threshold
    if abs(pair[positive] - threshold) > 1e-6 and abs(pair[1 - positive] - needed) > 1e-6:
        expected = pair[positive] > threshold or pair[1 - positive] > needed
        assert of_one(policy, trace_of(chances([pair]))) == [expected]


def test_asymmetric_needs_two_classes(trace_of):
    three = trace_of(torch.zeros(2, 1, 3))
    with pytest.raises(UserError, match=r"has 3\. PerClass \(per_class\) serves many classes"):
        halts(policies.Asymmetric(), three)
    two = trace_of(torch.zeros(2, 1, 2))
    with pytest.raises(UserError, match=r"Unknown class in Asymmetric\.positive 'B-PEER'.*B-PER"):
        halts(policies.Asymmetric(positive="B-PEER"), two)
    with pytest.raises(UserError, match="give the number of the class, 0 or 1"):
        halts(policies.Asymmetric(positive="O"), two, classes=())


# --- at random -------------------------------------------------------------------------------


def test_random_exits_are_geometric(trace_of):
    rows = 20_000
    trace = trace_of(
        torch.zeros(4, rows, 1),
        item_id=torch.arange(rows) % 1000,
        position=torch.arange(rows) // 1000,
    )
    exits = torch.tensor(trace.exits(policies.RandomExit(0.25)))
    share = torch.bincount(exits, minlength=5) / rows
    # A quarter, of what is left a quarter again, and so on; four standard deviations are 0.013.
    assert share[1:].tolist() == pytest.approx([0.25, 0.1875, 0.140625, 0.421875], abs=0.013)
    other = torch.tensor(trace.exits(policies.RandomExit(0.25, seed=1)))
    # Independent draws agree as often as chance has it: the sum of squared shares.
    assert (exits == other).double().mean() == pytest.approx(0.2954, abs=0.013)


def test_random_exit_at_its_ends(trace_of):
    trace = trace_of(torch.zeros(3, 500, 1))
    assert set(trace.exits(policies.RandomExit(0.0))) == {3}
    assert set(trace.exits(policies.RandomExit(1.0))) == {1}


def test_random_exits_are_pinned(trace_of):
    """Written down once: another process, platform or version has to find the same."""
    trace = trace_of(torch.zeros(9, 6, 1), item_id=torch.tensor([7, 7, 100, 101, 30521, 0]))
    assert trace.exits(policies.RandomExit(0.3)) == PINNED


PINNED = [2, 4, 2, 2, 3, 1]


def test_random_exit_draws_by_token_and_step(trace_of):
    trace = trace_of(torch.zeros(9, 40, 1), item_id=torch.full((40,), 5))
    decisions = [
        policies.RandomExit(0.5).draw(trace.signals(1, step=step)).tolist()
        for step in (None, torch.arange(40), torch.arange(1, 41))
    ]
    assert decisions[0] == decisions[1]
    assert decisions[0][1:] == decisions[2][:-1]
    assert len(set(decisions[0])) == 40


# --- tables of tokens ------------------------------------------------------------------------


def test_token_buckets_by_hand(trace_of):
    trace = trace_of(torch.zeros(6, 4, 2), item_id=torch.tensor([5, 7, 8, 9]))
    policy = policies.TokenBuckets({5: 0, 7: 2, 9: 1}, first=2, others=3)
    assert trace.exits(policy) == [2, 4, 5, 3]
    assert trace.exits(policy.with_threshold(1)) == [1, 3, 4, 2]
    assert trace.exits(policy.with_threshold(48)) == [6] * 4
    assert trace.exits(policies.TokenBuckets()) == [1] * 4


def test_tokens_that_tell_the_label_leave_first():
    counts = {3: {"a": 4, "b": 4}, 8: {"a": 0, "b": 4}, 5: {"a": 4}}
    policy = policies.TokenBuckets.from_information(counts, 2, first=3)
    # 8 of 16 are a. Token 3 says nothing; 8 and 5 each 4/16 ln 2. The first two are half the text.
    assert policy == policies.TokenBuckets({5: 0, 8: 0, 3: 1}, 3, 1)
    three = policies.TokenBuckets.from_information(counts, 3)
    # A third of 16 is reached after 5 and 8 (8), two thirds after all.
    assert three == policies.TokenBuckets({5: 0, 8: 0, 3: 1}, 1, 2)


def test_shares_of_information_by_hand():
    from tokenexit.policies.hash_tables import mutual_information

    counts = {3: {"a": 4, "b": 4}, 8: {"a": 0, "b": 4}, 5: {"a": 4}}
    found = mutual_information(counts)
    assert found == {3: 0.0, 8: pytest.approx(math.log(2) / 4), 5: pytest.approx(math.log(2) / 4)}


@settings(max_examples=40, deadline=None)
@given(
    counts=st.dictionaries(
        st.integers(0, 50),
        st.fixed_dictionaries({0: st.integers(0, 9), 1: st.integers(0, 9), 2: st.integers(1, 9)}),
        min_size=1,
        max_size=12,
    )
)
def test_information_adds_up_to_that_of_the_text(counts):
    from sklearn.metrics import mutual_info_score

    from tokenexit.policies.hash_tables import mutual_information

    pairs = [(t, y) for t, row in counts.items() for y, seen in row.items() for _ in range(seen)]
    expected = mutual_info_score([t for t, _ in pairs], [y for _, y in pairs])
    found = mutual_information(counts)
    assert sum(found.values()) == pytest.approx(expected, abs=1e-9)
    assert min(found.values()) > -1e-12


def test_balanced_buckets_by_hand():
    # 9 to bucket 0; 7 to 1; 5 to 2; 4 to 2 (5); 2 to 1 (7); 1, by its id, to 0, all being 9.
    counts = {10: 9, 11: 7, 12: 5, 13: 4, 14: 2, 15: 1}
    table = {10: 0, 11: 1, 12: 2, 13: 2, 14: 1, 15: 0}
    assert policies.TokenBuckets.balanced(counts, 3) == policies.TokenBuckets(table, 1, 2)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.dictionaries(st.integers(0, 99), st.integers(1, 50), min_size=1),
    depths=st.integers(1, 5),
)
def test_balanced_buckets_differ_by_one_token_at_most(counts, depths):
    filled = [0] * depths
    for token, bucket in policies.TokenBuckets.balanced(counts, depths).by_item:
        filled[bucket] += counts[token]
    assert max(filled) - min(filled) <= max(counts.values())


def test_clusters_of_embeddings():
    # Two vectors of length 1, three of length 10, two of length 5: sums 2, 30 and 10.
    embeddings = torch.tensor(
        [[10.0, 0], [0, 1], [-5, 0], [9.99, 0.1], [0, 1.01], [-5.1, 0], [10, -0.1]]
    )
    policy = policies.TokenBuckets.from_embeddings(embeddings, 3, first=2)
    assert [bucket for _, bucket in policy.by_item] == [2, 0, 1, 2, 0, 1, 2]
    assert (policy.first, policy.others) == (2, 2)
    assert policies.TokenBuckets.from_embeddings(embeddings, 3, 2) == policy
    one = policies.TokenBuckets.from_embeddings(embeddings.bfloat16(), 1)
    assert {bucket for _, bucket in one.by_item} == {0}


# --- mistakes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: policies.Vote(-1), r"Vote\.threshold must be a number from 0 to 1000"),
        (lambda: policies.Vote(1, exponent=1.0), r"Vote\.exponent must be a number from 0 to 0\.9"),
        (lambda: policies.ConfidenceWindow(rule="raising"), "Did you mean 'rising'"),
        (lambda: policies.ConfidenceWindow(size=0), r"ConfidenceWindow\.size"),
        (lambda: policies.ConfidenceWindow(margin=0.6), r"ConfidenceWindow\.margin.*0 to 0\.5"),
        (lambda: policies.QExit(1.1), r"QExit\.threshold must be a number from 0 to 1"),
        (lambda: policies.DACT(-0.1), r"DACT\.horizon must be a number from 0 to 100"),
        (
            lambda: policies.Asymmetric(positive=2),
            r"Asymmetric\.positive.*from 0 to 1",
        ),
        (lambda: policies.Asymmetric.of(1.0, 0.5), r"from 0 to below 1.*not 1\.0 and 0\.5"),
        (lambda: policies.RandomExit(1.5), r"RandomExit\.rate must be a number from 0 to 1"),
        (lambda: policies.RandomExit(seed=-1), r"RandomExit\.seed"),
        (lambda: policies.TokenBuckets(first=0), r"TokenBuckets\.first"),
        (lambda: policies.TokenBuckets({3: -1}), "buckets from 0 to 999, not -1 for token 3"),
        (lambda: policies.TokenBuckets(((3, 1), (3, 2))), r"TokenBuckets\.by_item gives token 3"),
        (lambda: policies.TokenBuckets({3: "x"}), r"TokenBuckets\.by_item maps .* has 'x'"),
        (lambda: policies.TokenBuckets.balanced({}, 3), "0 occurrences"),
        (lambda: policies.TokenBuckets.balanced({1: 2}, 0), "depths=0"),
        (lambda: policies.TokenBuckets.from_information({}, 2), "0 occurrences"),
        (
            lambda: policies.TokenBuckets.from_embeddings(torch.ones(3, 2), 4),
            "3 tokens falls into 1 to 3 clusters, not 4",
        ),
    ],
)
def test_bad_fields(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize(
    "policy",
    [policies.QExit(), policies.RandomExit(), policies.TokenBuckets({1: 2})],
    ids=repr,
)
def test_logits_nobody_reads_are_not_computed(policy, make_trace):
    trace, state = make_trace(), policy.init(11)
    for layer in (1, 2):
        signals = trace.signals(layer)
        _, state = policy.step(signals, state)
        assert "logits" not in signals.__dict__
