"""Each text computes the heads and neurons that its selectors choose, and nothing else."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from tokenexit import policies, reducers
from tokenexit.backbones import adapt, sliced
from tokenexit.errors import UserError
from tokenexit.halting import PolicyVisitor, encode, encode_dense, pack
from tokenexit.halting.cost import macs
from tokenexit.heads import ExitHeads
from tokenexit.selectors import WidthSelectors
from tokenexit.widths import Widths

BLOCKS, DEPTH = 5, 6
OF_STATES = {"deberta-v2": 1e-5}
FAMILIES = pytest.mark.parametrize("kind", ["bert", "albert", "deberta-v2", "modernbert"])


def selecting(network: Any, scale: float = 4.0) -> tuple[Any, ExitHeads]:
    """The network with selectors that are not of one mind about texts; shared weights."""
    backbone, heads = adapt(network.backbone.model), copy.deepcopy(network.heads)
    layers = [backbone.channels(index) for index in range(DEPTH)]
    counts = [one.heads.count for one in layers], [one.neurons.count for one in layers]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        selectors = WidthSelectors({"inner": 8, "blocks": BLOCKS}, backbone.hidden_size, *counts)
    with torch.no_grad():
        for part in selectors.selectors.values():
            for one in part:  # type: ignore[attr-defined]
                one.project.weight.mul_(scale)
                one.norm.running_mean.uniform_(-0.5, 0.5)
    weight = next(backbone.model.parameters())
    heads.selectors = selectors.to(weight.dtype).eval().requires_grad_(False)
    backbone.selected = 0.5
    return backbone, heads


def outcome(backbone: Any, heads: Any, sentences: Any, dense: bool = False, **options: Any) -> Any:
    batch = pack(sentences)
    visitor = PolicyVisitor(policies.Entropy(0.5), batch.num_words, "cpu")
    run: Any = encode_dense if dense else encode
    with torch.no_grad():
        work = run(backbone, heads, batch, visitor, **options)
    decided = visitor.decisions()
    return decided.logits, decided.exit_layers, work


def close(one: Any, other: Any, tolerance: float) -> None:
    assert torch.equal(one[1], other[1])
    assert_close(one[0], other[0], atol=tolerance, rtol=tolerance)


def test_the_engine_is_the_dense_reference(network, sentences):
    """With exits, and with rows that a reducer takes out."""
    given = (*selecting(network), sentences)
    tolerance = OF_STATES.get(network.backbone.config.model_type, 1e-9)
    for options in ({}, {"reducer": reducers.CoreSet(0.7, fate="restore")}):
        found, wanted = outcome(*given, **options), outcome(*given, dense=True, **options)
        close(found, wanted, tolerance)
        assert sum(done.unselected for done in found[2]) > 0
    assert not torch.equal(found[0], outcome(network.backbone, *given[1:], **options)[0])


@FAMILIES
def test_who_keeps_all_changes_nothing(build, sentences, kind):
    """To the last bit, of the same rows: where words are tagged, the top computes all of them."""
    network = build(kind)
    backbone, heads = selecting(network)
    backbone.selected = 0.0
    found = outcome(backbone, heads, sentences, states=[])
    plain = outcome(network.backbone, heads, sentences, states=[])
    assert torch.equal(found[0], plain[0])
    assert torch.equal(found[1], plain[1])
    asked = [done.selecting for done in found[2]]
    assert asked[0] == 7  # of eight texts one has no words
    assert [done._replace(selecting=0) for done in found[2]] == list(plain[2])


@FAMILIES
def test_chosen_by_hand_it_is_the_sliced_network(build, sentences, kind):
    """Heads 1 and 3, and the second and the last fifth of the neurons, of every text."""
    network = build(kind)
    backbone, heads = selecting(network)
    assert heads.selectors is not None
    chosen = {"heads": [1, 3], "neurons": [1, 4]}
    for part, kept in chosen.items():
        for one in heads.selectors.selectors[part]:  # type: ignore[union-attr]
            one.project.weight.zero_()
            one.project.bias.fill_(-1.0)[kept] = 1.0
    neurons = backbone.num_neurons
    edges = [place * neurons // BLOCKS for place in range(BLOCKS + 1)]
    there = (*range(edges[1], edges[2]), *range(edges[4], edges[5]))
    small = sliced(network.backbone, Widths(((1, 3),) * DEPTH, (there,) * DEPTH))
    wanted = outcome(small, network.heads, sentences)
    tolerance = OF_STATES.get(kind, 1e-9)
    close(outcome(backbone, heads, sentences), wanted, tolerance)
    assert len(wanted[1].unique()) > 1


def test_the_best_one_is_always_computed(build, sentences):
    backbone, heads = selecting(build("bert"))
    backbone.selected = 1.0
    assert outcome(backbone, heads, sentences)[0].isfinite().all()


@pytest.mark.parametrize("kind", ["bert", "deberta-v2", "modernbert"])
def test_it_costs_what_torch_counts(build, make_sentence, kind):
    """A text alone; confidence, which torch does not count, apart."""
    backbone, heads = selecting(build(kind, "eager", torch.float32))
    batch = pack([make_sentence([1, 2, 1, 1] * 4)])
    seen = [torch.zeros(0)]

    class Watching:
        def arrive(self, signals: Any, words: Any) -> None:
            seen[0] = signals.logits

        def leave(self, halted: Any, staying: Any) -> None:
            pass

    embedded: Any = {"positions": batch.positions[None], "input_ids": batch.input_ids[None]}
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        backbone.embed(**embedded)
        before = counter.get_total_flops()
        work = encode(backbone, heads, batch, Watching())
        counted = (counter.get_total_flops() - 2 * before) // 2
    confidences = sum(done.head for done in work[:-1]) * int(backbone.config.num_labels)
    assert macs(backbone, heads, work) - confidences == counted
    assert sum(done.unselected for done in work) > 0


@FAMILIES
def test_trained_straight_through_it_is_the_hard_engine(build, sentences, kind):
    network = build(kind)
    backbone, heads = selecting(network)
    states: list[list[Any]] = [[], []]
    for found, gradients in zip(states, (False, True), strict=True):
        batch = pack(sentences)
        visitor = PolicyVisitor(policies.Never(), batch.num_words, "cpu")
        with torch.set_grad_enabled(gradients):
            encode(backbone, heads, batch, visitor, states=found)
    tolerance = OF_STATES.get(kind, 1e-9)
    assert_close(states[1], states[0], atol=tolerance, rtol=tolerance)


def test_what_reads_the_attention_is_refused(build, sentences):
    backbone, heads = selecting(build("bert"))
    with pytest.raises(UserError, match=r"Significance\(.*without them"):
        outcome(backbone, heads, sentences, reducer=reducers.Significance(0.6))


def test_what_is_no_linear_layer_is_named(build, sentences):
    backbone, heads = selecting(build("bert"))
    hooked = adapt(copy.deepcopy(backbone.model))
    hooked.selected = 0.5
    hooked.channels(0).neurons.out.register_forward_hook(lambda *_: None)
    with pytest.raises(UserError, match=r"layer\.0\.output\.dense is not a plain linear layer"):
        outcome(hooked, heads, sentences)
