"""Embeddings of n-grams: the engine is the reference's, reach and costs are as counted by hand."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from tokenexit import policies
from tokenexit.embeddings import EMBEDDINGS, NGramTable, Shape, build_embeddings
from tokenexit.halting import PolicyVisitor, Sentence, encode, encode_dense, pack
from tokenexit.halting.cost import macs
from tokenexit.halting.embedding import LowerLayers, enter

LOWER, WIDTH = 3, 32


def with_ngrams(network: Any, **settings: Any) -> Any:
    """The network with exits above three layers that read trigrams."""
    torch.manual_seed(1)
    heads = copy.deepcopy(network.heads)
    heads.layers = tuple(layer for layer in heads.layers if layer > LOWER)
    shape = Shape(WIDTH, 6, torch.randn(40, WIDTH), torch.randn(2, WIDTH))
    heads.embeddings = build_embeddings({"name": "ngram", "layers": LOWER, **settings}, shape)
    torch.nn.init.normal_(heads.embeddings.gate.weight)
    heads = heads.to(network.backbone.model.dtype).eval().requires_grad_(False)
    return replace(network, heads=heads)


def entered(network: Any, batch: Any) -> Any:
    with torch.no_grad():
        return enter(network.backbone, network.heads.embeddings, batch, False)


def ngram_table(network: Any, batch: Any, keep: Any = slice(None)) -> NGramTable:
    """States of the batch's trigrams, and of the shorter n-grams in them."""
    from tokenexit.embeddings.keys import ngrams_of, shorter

    long = ngrams_of(batch.input_ids, batch.positions)[keep]
    keys = torch.cat([long, shorter(long, 2), shorter(long, 1)]).unique()
    lower = LowerLayers(network.backbone, batch, LOWER, False)
    table = NGramTable.empty(None, keys, WIDTH, {})
    with torch.no_grad():
        table.states.copy_(network.heads.embeddings.computed(keys, lower))
    return table


def scores(network: Any, batch: Any, policy: Any, dense: bool = False, **options: Any) -> Any:
    visitor = PolicyVisitor(policy, batch.num_words, "cpu")
    with torch.no_grad():
        run = encode_dense if dense else encode
        work = run(network.backbone, network.heads, batch, visitor, **options)
    decided = visitor.decisions()
    return decided.logits, decided.exit_layers, work


def test_every_family_agrees_with_the_reference(network, sentences):
    network = with_ngrams(network)
    batch = pack(sentences)
    for policy, halted in ((policies.Never(), "copy"), (policies.Entropy(0.6), "drop")):
        engine = scores(network, batch, policy, halted=halted)
        dense = scores(network, batch, policy, dense=True, halted=halted)
        assert torch.equal(engine[1], dense[1])
        tolerance = 1e-5 if network.backbone.config.model_type == "deberta-v2" else 1e-9
        assert_close(engine[0], dense[0], atol=tolerance, rtol=tolerance)


def test_a_token_reaches_two_places_on_either_side(build):
    """Of SkipBERT's notes: token 7 changes h_5 to h_9, before the layers that read whole texts."""
    network = with_ngrams(build("bert"))
    texts = [[2, *range(5, 15), 3], [2, *range(5, 11), 29, *range(12, 15), 3]]
    pair = pack([Sentence(ids, [range(12)], item=0) for ids in texts])
    first, second = entered(network, pair).hidden.view(2, 12, WIDTH)
    changed = (first != second).any(dim=-1).nonzero().squeeze(-1)
    assert changed.tolist() == [5, 6, 7, 8, 9]


def test_segments_and_neighbouring_texts_do_not_mix(build):
    network = with_ngrams(build("bert"))
    one = Sentence([2, 9, 8, 3, 7, 3], [range(6)], item=0, segments=[0, 0, 0, 0, 1, 1])
    two = Sentence([2, 11, 3], [range(3)], item=0)
    together = entered(network, pack([one, two])).hidden
    apart = [entered(network, pack([text])).hidden for text in (one, two)]
    assert_close(together, torch.cat(apart), atol=1e-12, rtol=0)
    flat = entered(network, pack([replace(one, segments=None)])).hidden
    assert (flat != apart[0]).any(dim=-1).tolist() == [False] * 4 + [True] * 2
    dense = scores(network, pack([one, two]), policies.Never(), dense=True)
    assert_close(scores(network, pack([one, two]), policies.Never())[0], dense[0])


def test_a_table_gives_what_is_computed_in_half_precision(build, sentences, tmp_path):
    network = with_ngrams(build("bert"))
    batch = pack(sentences)
    computed = entered(network, batch)
    table = ngram_table(network, batch)
    table.save(tmp_path / "table")
    for stored in (table, NGramTable.load(tmp_path / "table"), table.in_memory()):
        network.heads.embeddings.use_table(stored)
        found = entered(network, batch)
        assert_close(found.hidden, computed.hidden, atol=5e-3, rtol=0)
        assert not torch.equal(found.hidden, computed.hidden)
        assert not any(work.active for work in found.work)
    network.heads.embeddings.use_table(ngram_table(network, batch, slice(20)))
    part = entered(network, batch)
    assert_close(part.hidden, computed.hidden, atol=5e-3, rtol=0)
    assert 0 < part.work[0].active < computed.work[0].active


def test_unknown_trigrams_fall_back_on_shorter_ones(build):
    network = with_ngrams(build("bert"), unknown="fallback")
    embeddings = network.heads.embeddings
    table = ngram_table(network, pack([Sentence([2, 7, 8, 3], [range(4)], item=0)]))
    embeddings.use_table(table)

    def states(ids: list[int]) -> Any:
        from tokenexit.embeddings.keys import ngrams_of

        keys = ngrams_of(torch.tensor(ids), torch.arange(len(ids)))
        with torch.no_grad():
            return embeddings._states(keys, None), keys

    def at(*ids: int) -> torch.Tensor:
        before, middle, after = (number + 1 for number in ids)
        key = torch.tensor([(before << 40) | (middle << 20) | after])
        assert table.find(key) >= 0
        return table.states_at(table.find(key))[0]

    known, _ = states([2, 7, 8, 3])
    assert torch.equal(known[1], at(2, 7, 8))
    found, _ = states([5, 7, 8, 7, 9])
    assert torch.equal(found[1], at(-1, 7, 8))  # of (5, 7, 8)
    assert torch.equal(found[3], at(-1, 7, -1))  # of (8, 7, 9)
    assert not found[4].any()  # of (7, 9, -), whose 9 is unknown
    assert torch.equal(found[2], at(-1, 8, -1))  # of (7, 8, 7)


def test_costs_are_those_of_the_computed_trigrams(build):
    """Each distinct trigram once, three rows and nine pairs a layer; torch's counter agrees."""
    network = with_ngrams(build("bert", "eager", torch.float32))
    batch = pack([Sentence([2, 7, 8, 7, 8, 7, 3], [range(7)], item=0)])
    computed = entered(network, batch)  # -27, 278, 787, 878, 873, 73-: six, 787 twice
    assert computed.work[2][:3] == (18, 18, 54)
    with FlopCounterMode(display=False) as counter:
        *_, work = scores(network, batch, policies.Never(), absorb=False)
    assert counter.get_total_flops() == 2 * macs(network.backbone, network.heads, work)
    network.heads.embeddings.use_table(ngram_table(network, batch))
    *_, looked_up = scores(network, batch, policies.Never(), absorb=False)
    assert [row.active for row in looked_up[:LOWER]] == [0, 0, 0]
    part = (*computed.work, *(type(row)() for row in work[LOWER:]))
    difference = macs(network.backbone, network.heads, work) - macs(
        network.backbone, network.heads, looked_up
    )
    assert difference == macs(network.backbone, network.heads, part) > 0


def test_gradients_reach_gate_and_lower_layers(build):
    network = with_ngrams(build("bert", dtype=torch.float32))
    backbone, embeddings = network.backbone, network.heads.embeddings.requires_grad_()
    weight = backbone.base.encoder.layer[0].output.dense.weight
    batch = pack([Sentence([2, 7, 8, 3], [range(4)], item=0)])
    embeddings.use_table(ngram_table(network, batch))  # not asked while gradients are recorded
    weight.requires_grad_()
    enter(backbone, embeddings, batch, False).hidden.square().sum().backward()
    assert weight.grad.abs().sum() > 0
    assert embeddings.gate.weight.grad.abs().sum() > 0
    weight.requires_grad_(False).grad = None


def test_kinds_have_names():
    assert [name for name, _ in EMBEDDINGS.items()] == ["ngram", "plain"]
