"""Which rows a layer works on: sentences leave, special tokens never keep them, nobody waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tokenexit import policies
from tokenexit.halting import LayerWork, PolicyVisitor, Sentence, Work, encode, pack
from tokenexit.halting.cost import macs
from tokenexit.halting.layout import ABSORB_MARGIN, cheaper_absorbed
from tokenexit.policies import POLICIES, Policy

FIRST: list[Policy] = [cls.examples()[0] for _, cls in POLICIES.items() if "word" in cls.units]


def expected_work(sentences: Any, exits: list[int], layers: int, halted: str) -> list[LayerWork]:
    """Rows and pairs of each layer, by the rules, without absorbing."""
    ends = iter(exits)
    texts = [(s, [(len(rows), next(ends)) for rows in s.word_rows]) for s in sentences]
    work = []
    for layer in range(1, layers + 1):
        active = projected = pairs = calls = 0
        for sentence, words in texts:
            alive = [size for size, end in words if end >= layer]
            if not alive:
                continue
            special = len(sentence.input_ids) - sum(size for size, _ in words)
            still = special + sum(alive)
            asking = len(alive) if layer == layers else still
            attended = len(sentence.input_ids) if halted == "copy" else still
            active, projected = active + asking, projected + attended
            pairs, calls = pairs + asking * attended, 1
        work.append(LayerWork(active=active, projected=projected, pairs=pairs, calls=calls))
    return work


@pytest.mark.parametrize("halted", ["copy", "drop", "restore"])
def test_work_follows_from_exit_layers(network, sentences, run, halted):
    layers = network.backbone.num_layers
    for policy in (
        policies.Entropy(0.5),
        policies.Hash(1, 4),
        policies.PerSentence(policies.Entropy(0.5)),
    ):
        done = run(network, sentences, policy, halted=halted, absorb=False)
        assert done.spread > 1
        expected = expected_work(sentences, done.exit_layers.tolist(), layers, halted)
        for got, wanted in zip(done.work, expected, strict=True):
            rows = ("active", "projected", "pairs", "absorbed", "absorbed_pairs", "calls")
            assert [getattr(got, n) for n in rows] == [getattr(wanted, n) for n in rows]


def test_absorbed_rows_are_the_projected_ones_read_otherwise(network, sentences, run):
    policy = policies.Entropy(0.3)
    done = run(network, sentences, policy)
    plain = run(network, sentences, policy, absorb=False)
    for index, (mine, other) in enumerate(zip(done.work, plain.work, strict=True)):
        assert mine.active == other.active
        assert mine.pairs + mine.absorbed_pairs == other.pairs
        assert mine.absorbed <= mine.active
        assert macs(network.backbone, network.heads, (mine,)) <= macs(
            network.backbone, network.heads, (other,)
        )
        if network.backbone.absorbable(index) is None:
            assert mine == other
    used = sum(layer.absorbed for layer in done.work)
    assert (used > 0) == (network.backbone.absorbable(0) is not None)


def test_nothing_is_absorbed_while_gradients_are_recorded(build, sentences):
    network, batch = build("bert"), pack(sentences)
    visitor = PolicyVisitor(policies.Entropy(0.3), batch.num_words, "cpu")
    work = encode(network.backbone, network.heads, batch, visitor)
    assert sum(layer.absorbed for layer in work) == 0


@settings(max_examples=200, deadline=None)
@given(
    attended=st.lists(st.integers(1, 600), min_size=1, max_size=5),
    share=st.floats(0, 1),
    heads=st.sampled_from([1, 2, 4, 12, 16]),
    head_width=st.sampled_from([8, 64]),
)
def test_absorbing_is_chosen_by_multiply_accumulates(attended, share, heads, head_width):
    width = heads * head_width
    asking = [max(1, round(n * share)) for n in attended]
    chosen = cheaper_absorbed(np.array(asking), np.array(attended), width, heads)
    for m, n, absorb in zip(asking, attended, chosen, strict=True):
        projected = n * 2 * width * width + m * n * 2 * width
        absorbed = m * 2 * width * width + m * n * 2 * width * heads
        # By a margin: long thin products are slower than they are short.
        assert absorb == (absorbed < ABSORB_MARGIN * projected)


def test_the_choice_uses_the_costs_that_are_reported(build):
    network, width, heads = build("bert"), 32, 4
    for m, n in [(1, 20), (3, 20), (19, 20)]:
        through = (LayerWork(active=m, projected=n, pairs=m * n),)
        around = (LayerWork(active=m, absorbed=m, absorbed_pairs=m * n),)
        cost = [macs(network.backbone, network.heads, work) for work in (through, around)]
        shared = macs(network.backbone, network.heads, (LayerWork(active=m),))
        cheaper = cost[1] - shared < ABSORB_MARGIN * (cost[0] - shared)
        assert cheaper_absorbed(np.array([m]), np.array([n]), width, heads)[0] == cheaper


@pytest.mark.parametrize("dense", [False, True], ids=["engine", "reference"])
def test_the_first_sub_word_decides_for_the_word(network, make_sentence, run, dense):
    sentence = make_sentence([3, 1, 2, 2, 4, 1, 1, 3])
    policy = policies.Hash(1, 6)
    done = run(network, [sentence], policy, dense=dense)
    first = torch.tensor([sentence.input_ids[rows[0]] for rows in sentence.word_rows])
    assert done.exit_layers.tolist() == policy.depth(first).clamp(1, 6).tolist()
    assert done.spread > 1


@pytest.mark.parametrize("dense", [False, True], ids=["engine", "reference"])
def test_sentences_without_words_give_nothing_and_cost_nothing(network, run, dense):
    batches = [[Sentence([2, 3], [])], [Sentence([2, 3], []), Sentence([2, 9, 3], [])]]
    for batch in batches if dense else [[], *batches]:  # transformers runs no batch of nothing
        done = run(network, batch, policies.Entropy(0.5), dense=dense)
        assert len(done.exit_layers) == len(done.logits) == 0
        assert all(work == LayerWork() for work in done.work)


def test_sentences_without_words_do_not_disturb_the_others(network, make_sentence, run):
    policy, sentence = policies.Entropy(0.3), make_sentence([1, 2, 1, 1, 1])
    alone = run(network, [sentence], policy)
    empty = Sentence([2, 3], [])
    among = run(network, [empty, sentence, empty], policy)
    assert among.work == alone.work
    assert torch.equal(among.exit_layers, alone.exit_layers)
    assert torch.equal(among.logits, alone.logits)


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("halted", ["copy", "drop", "restore"])
def test_a_batch_of_one_word(network, run, halted, framed):
    sentence = Sentence([2, 9, 3], [[1]]) if framed else Sentence([9], [[0]])
    for depth in (1, 3, 6):
        done = run(network, [sentence], policies.AssignedDepth(depth), halted=halted)
        dense = run(network, [sentence], policies.AssignedDepth(depth), halted=halted, dense=True)
        assert done.exit_layers.tolist() == dense.exit_layers.tolist() == [depth]
        torch.testing.assert_close(done.logits, dense.logits, atol=1e-5, rtol=0.0)
        assert [work.calls for work in done.work] == [1] * depth + [0] * (6 - depth)


def test_special_tokens_may_stand_anywhere(network, run):
    """Between words, and many of them: they count as rows, and never as words."""
    middle = Sentence([2, 2, 9, 3, 3, 11, 12, 3, 14, 2], [[2], [5, 6], [8]])
    for halted in ("copy", "drop"):
        done = run(network, [middle], policies.Hash(1, 6), halted=halted)
        dense = run(network, [middle], policies.Hash(1, 6), halted=halted, dense=True)
        assert torch.equal(done.exit_layers, dense.exit_layers)
        torch.testing.assert_close(done.logits, dense.logits, atol=1e-5, rtol=0.0)
    short = run(network, [middle], policies.AssignedDepth(2))
    assert [work.active for work in short.work] == [10, 10, 0, 0, 0, 0]


class Transfers(TorchDispatchMode):
    """Counts what would make the host wait for the device, had the tensors been there."""

    WAITING = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "unique", "masked_select")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masked = name in ("index", "index_put", "index_put_") and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if masked or any(name.startswith(word) for word in self.WAITING):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.fixture
def transfers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of everything that waited: dispatched operations and methods of tensors."""
    mode = Transfers()

    def counting(name: str, own: Any) -> Any:
        def counted(self: Tensor, *args: Any) -> Any:
            mode.found.append(name)
            return own(self, *args)

        return counted

    for name in ("cpu", "item", "tolist", "__bool__", "__int__", "__float__", "__index__"):
        monkeypatch.setattr(Tensor, name, counting(name, getattr(Tensor, name)))
    with mode:
        yield mode.found


def test_the_counter_of_transfers_counts(transfers):
    values = torch.arange(3)
    assert values[values > 1].cpu() == 2
    assert {"index", "cpu", "__bool__"} <= {*transfers}


# A rule that asks another about some rows only has to find these rows.
STEADY = [policy for policy in FIRST if not isinstance(policy, policies.TwoStage)]


@pytest.mark.parametrize("policy", STEADY, ids=repr)
@pytest.mark.parametrize("halted", ["copy", "restore"])
def test_one_transfer_an_exit_for_every_policy(build, sentences, policy, halted, transfers):
    check_transfers(build("bert"), sentences, policy, halted, transfers)


def test_one_transfer_an_exit_for_every_family(network, sentences, transfers):
    check_transfers(network, sentences, policies.Window(), "copy", transfers)


@torch.no_grad()
def check_transfers(
    network: Any, sentences: Any, policy: Policy, halted: Any, transfers: list[str]
) -> None:
    batch = pack(sentences)
    classify = network.backbone.classify
    score = (lambda signals: classify(signals.for_top)) if halted == "restore" else None
    visitor = PolicyVisitor(policy, batch.num_words, "cpu", score)
    visits: list[int] = []
    arrive = visitor.arrive

    def counted(signals: Any, words: Tensor) -> Any:
        visits.append(signals.layer)
        return arrive(signals, words)

    visitor.arrive = counted  # type: ignore[method-assign]
    del transfers[:]
    classes = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    work: Work = encode(
        network.backbone, network.heads, batch, visitor, halted=halted, classes=classes
    )
    # None at the top, where all leave.
    assert transfers == ["cpu"] * sum(layer < len(work) for layer in visits)
    assert visits == [number for number, layer in enumerate(work, start=1) if layer.calls]
