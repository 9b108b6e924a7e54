"""Multiply-accumulates in closed form are what torch counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tokenexit import policies, reducers
from tokenexit.halting import LayerWork, PolicyVisitor, Work, add_work, encode, pack
from tokenexit.halting.cost import macs, plain_macs
from tokenexit.policies import Policy

CLASSES = 5
SIZES = [1, 2, 1, 1, 3, 1, 1, 1, 2, 1, 1, 1]


def counted(network: Any, sentence: Any, policy: Policy, **options: Any) -> tuple[int, Work]:
    """Multiply-accumulates torch sees in a run of one sentence, embeddings apart; its work."""
    batch = pack([sentence])
    visitor = PolicyVisitor(policy, batch.num_words, "cpu")
    classes = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    # Not under no_grad: torch's counter trips over bare weights.
    with FlopCounterMode(display=False) as whole:
        given = (network.backbone, network.heads, batch, visitor)
        work = encode(*given, classes=classes, **options)
    with FlopCounterMode(display=False) as embedding:
        network.backbone.embed(batch.input_ids[None], batch.positions[None])
    flops = whole.get_total_flops() - embedding.get_total_flops()
    assert flops % 2 == 0
    return flops // 2, work


@pytest.mark.parametrize(
    "reducer",
    [
        reducers.Significance(0.6),
        reducers.Significance(0.6, own=False, fate="copy", layers=(2, 6)),
        reducers.ByPolicy(policies.Hash(1, 6)),
        reducers.CoreSet(0.6, fate="restore"),
        reducers.CoreSet(0.6, fate="merge"),
        reducers.Significance(0.6, fate="merge"),
        reducers.ClassAttention(0.6, layers=(2, 3)),
    ],
    ids=repr,
)
def test_rows_taken_out_cost_what_torch_says(eager_network, make_sentence, reducer):
    given = {"absorb": False, "reducer": reducer}
    sentence = make_sentence(SIZES)
    if reducer.fate == "merge":  # of texts only
        sentence = replace(sentence, word_rows=[range(sentence.length)], targets=None)
    expected, work = counted(eager_network, sentence, policies.Entropy(0.3), **given)
    assert without_scores(eager_network, work) == expected
    assert sum(layer.spared for layer in work) > 0 or reducer.place == "before"


def without_scores(network: Any, work: Work) -> int:
    """Cost less the confidence of scored rows, which torch does not count."""
    scored = sum(layer.head for layer in work[:-1])
    return macs(network.backbone, network.heads, work) - CLASSES * scored


def test_a_run_that_never_halts(eager_network, make_sentence):
    expected, work = counted(eager_network, make_sentence(SIZES), policies.Never(), absorb=False)
    assert macs(eager_network.backbone, eager_network.heads, work) == expected


@pytest.mark.parametrize(
    "policy",
    [
        policies.Entropy(0.0),  # reads every head and halts nobody
        policies.Entropy(0.5),
        policies.Hash(1, 6),
        policies.LearnedGate(0.0),
        policies.LearnedGate(0.5),
    ],
    ids=repr,
)
def test_heads_and_gate_count(eager_network, make_sentence, policy):
    for halted in ("copy", "drop"):
        given = {"absorb": False, "halted": halted}
        expected, work = counted(eager_network, make_sentence(SIZES), policy, **given)
        assert without_scores(eager_network, work) == expected
    if policy != policies.LearnedGate(0.0):
        assert sum(layer.head for layer in work) >= len(SIZES)


def test_the_plain_model_counts_as_torch_says(eager_network, make_sentence):
    """Real tokens only: sentence by sentence there is no padding."""
    backbone, total, lengths = eager_network.backbone, 0, []
    for sizes in (SIZES, [1, 1, 4]):
        ids = torch.tensor(make_sentence(sizes).input_ids)[None]
        with FlopCounterMode(display=False) as whole:
            backbone.model(input_ids=ids, attention_mask=torch.ones_like(ids))
        with FlopCounterMode(display=False) as embedding:
            backbone.embed(ids, torch.arange(ids.shape[1])[None])
        flops = whole.get_total_flops() - embedding.get_total_flops()
        assert 2 * plain_macs(backbone, [ids.shape[1]]) == flops
        total, lengths = total + flops, [*lengths, ids.shape[1]]
    assert 2 * plain_macs(backbone, iter(lengths), batches=2) == total


def test_never_halting_costs_the_plain_model_less_the_rows_nobody_reads(
    eager_network, make_sentence
):
    sentence, backbone = make_sentence([1] * 12), eager_network.backbone
    _, work = counted(eager_network, sentence, policies.Never(), absorb=False)
    unread, top = 2, backbone.cost(backbone.num_layers - 1)  # two special tokens
    saved = unread * (top.query + top.combine + 14 * top.pair + backbone.classify_cost())
    plain = plain_macs(backbone, [14])
    assert macs(backbone, eager_network.heads, work) == plain - saved


def test_absorbed_attention_counts_as_torch_says(build, make_sentence):
    network, sentence = build("bert", "eager", torch.float32), make_sentence([1] * 20)
    few = dict.fromkeys(sentence.input_ids[3:5], 6)
    policy = policies.AssignedDepth(1, few)
    with torch.no_grad():  # absorbing wants it; this family has no bare weights to trip over
        expected, work = counted(network, sentence, policy)
    assert sum(layer.absorbed for layer in work) > 0
    assert without_scores(network, work) == expected
    assert expected < counted(network, sentence, policy, absorb=False)[0]


def test_absorbed_attention_by_hand(build):
    """Head by head: probe ``d x H``, scores and read-out over all ``n`` rows, back ``H x d``."""
    network, n, m = build("bert"), 20, 3
    width, heads, backbone = 32, 4, network.backbone
    by_hand = heads * (m * 8 * width + m * n * width + m * n * width + m * width * 8)
    work = LayerWork(active=m, absorbed=m, absorbed_pairs=m * n, calls=1)
    shared = m * (backbone.cost(0).query + backbone.cost(0).combine)
    assert macs(backbone, network.heads, (work,)) == by_hand + shared


def test_costs_add_up_over_batches(network, sentences, run):
    backbone, heads = network.backbone, network.heads
    first = run(network, sentences[:3], policies.Entropy(0.5)).work
    second = run(network, sentences[3:], policies.Entropy(0.5)).work
    together = macs(backbone, heads, add_work(first, second))
    assert together == macs(backbone, heads, first) + macs(backbone, heads, second)
    nothing = tuple(LayerWork() for _ in range(backbone.num_layers))
    assert macs(backbone, heads, nothing) == 0
    assert add_work(first, nothing) == first
    with pytest.raises(ValueError, match="shorter"):
        add_work(first, first[:-1])


def test_a_looser_threshold_costs_less(network, sentences, run):
    cost = [
        macs(network.backbone, network.heads, run(network, sentences, policies.Entropy(t)).work)
        for t in (0.05, 0.3, 0.7)
    ]
    assert cost == sorted(cost, reverse=True)
    assert cost[0] > cost[-1]


def test_scored_rows_cost_their_head_and_one_product_a_class(build):
    network = build("bert")
    head = (LayerWork(head=7),)
    assert macs(network.backbone, network.heads, head) == 7 * (32 * CLASSES + CLASSES)
    top = tuple(LayerWork(head=7 * (layer == 5)) for layer in range(6))
    assert macs(network.backbone, network.heads, top) == 7 * 32 * CLASSES
    assert macs(network.backbone, network.heads, (LayerWork(gate=7),)) == 7 * 32
