"""Work is counted as it is done: nothing that was spared, everything that was not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tokenexit import policies
from tokenexit.decoding import DecodeWork, decode_bytes, decode_macs, plain_decode_macs

SOURCE, TARGET, ROWS = 7, 6, 3


@pytest.fixture(scope="module")
def even(make_sources: Any) -> Any:
    """Sources of one length, so that padding costs nothing."""
    return make_sources((SOURCE,) * ROWS)


@pytest.mark.parametrize("beams", [1, 2])
def test_full_depth_costs_what_the_plain_model_does(
    model, build, even, transformers_generate, beams
):
    plain = build(model.network.config.model_type, "eager")
    settings = {"max_new_tokens": TARGET, "eos_token_id": None, "num_beams": beams}
    found = model.generate(**even.inputs, policy="never", return_dict_in_generate=True, **settings)
    macs = decode_macs(model.decoder, found.work)
    with FlopCounterMode(display=False) as counter:
        transformers_generate(plain, even, **settings)
    if beams == 1:
        lengths = [SOURCE] * ROWS, [TARGET] * ROWS
        assert macs == plain_decode_macs(model.decoder, *lengths)
        assert 2 * macs == counter.get_total_flops()
    else:  # beams share the keys and values of their source
        shared = model.decoder.num_layers * ROWS * SOURCE * model.decoder.cost().cross_key_value
        assert 2 * (macs + (beams - 1) * shared) == counter.get_total_flops()


def arrivals(layers: Any, depth: int = 4) -> Any:
    """Which tokens arrived at each layer, ``[L, R, T]``."""
    return layers >= torch.arange(1, depth + 1)[:, None, None]


@pytest.mark.parametrize("pending", ["lazy", "eager", "parallel"])
@pytest.mark.parametrize("name", ["margin", "hash"])
def test_rows_and_pairs_are_those_that_the_exit_layers_tell(
    some_model, sources, name, pending, choose
):
    decoding = some_model.start(**sources.inputs, policy=choose(some_model, name), pending=pending)
    layers = torch.stack([decoding.step(t).exit_layers for t in sources.tokens.T], dim=1)
    there = arrivals(layers)
    places = torch.arange(1, layers.shape[1] + 1)
    last = (there * places).amax(dim=2)  # places that each row has filled of each layer
    filled = places <= last[..., None]
    computed = filled if pending == "parallel" else there
    projected = torch.ones_like(there) if pending == "eager" else filled
    read = places + sources.mask.sum(dim=1)[:, None]
    work = decoding.work
    assert work.of("rows").tolist() == computed.sum(dim=(1, 2)).tolist()
    assert work.of("projected").tolist() == projected.sum(dim=(1, 2)).tolist()
    assert work.of("pairs").tolist() == (computed * read).sum(dim=(1, 2)).tolist()
    reached = there.any(dim=2).any(dim=1)
    assert work.of("cross_projected").tolist() == (reached * sources.mask.sum()).tolist()
    assert work.source_lengths == sources.mask.sum(dim=1).tolist()


@pytest.mark.parametrize(
    "name",
    "never hash assigned saturation gate context depth margin patience shortlist two_stage".split(),
)
def test_vocabulary_is_scored_only_when_asked_for(some_model, sources, name, choose):
    decoding = some_model.start(**sources.inputs, policy=choose(some_model, name))
    layers = torch.stack([decoding.step(t).exit_layers for t in sources.tokens.T], dim=1)
    arrived = arrivals(layers).sum(dim=(1, 2))
    left = torch.tensor([(layers == layer).sum() for layer in (1, 2, 3, 4)])
    head, size = torch.from_numpy(decoding.work.of("head")), some_model.decoder.vocab_size
    gate = decoding.work.of("gate").tolist()
    first = [4 * int(arrived[0]), 0, 0, 0]  # a number a layer, once
    expected = {"gate": [*arrived[:3].tolist(), 0], "depth": first}
    assert gate == expected.get(name, [0] * 4)
    macs = some_model.context.macs if name == "context" else 0
    assert decoding.work.of("context").tolist() == [*(macs * arrived[:3]).tolist(), 0]
    if name in ("margin", "patience"):  # every exit on the way
        assert head.tolist() == (size * arrived).tolist()
    elif name == "shortlist":  # all at the first exit, and where a token leaves
        some = torch.tensor([0, 8, 8, 0]) * arrived
        assert (
            head.tolist()
            == (size * left + some + torch.tensor([size, 0, 0, 0]) * (arrived - left)).tolist()
        )
    elif name == "two_stage":  # those proposed
        assert (size * left <= head).all()
        assert head.sum() < size * arrived.sum()
    else:  # once a token
        assert head.tolist() == (size * left).tolist()
        assert head.sum() == size * layers.numel()


def test_work_adds_up(build, sources):
    model = build("t5")
    found = [
        model.generate(
            **part.inputs,
            policy=policies.Hash(1, 4),
            max_new_tokens=5,
            return_dict_in_generate=True,
        ).work
        for part in (sources, sources.alone(1))
    ]
    total = found[0] + found[1]
    assert decode_macs(model.decoder, total) == sum(decode_macs(model.decoder, w) for w in found)
    assert (total.counts == found[0].counts + found[1].counts).all()
    assert total.source_lengths == [9, 4, 7, 2, 4]
    assert decode_macs(model.decoder, DecodeWork(4)) == 0


def test_exits_cost_less(model, sources, choose):
    settings = {"max_new_tokens": 8, "eos_token_id": None, "return_dict_in_generate": True}
    full, cheap, dear = (
        decode_macs(model.decoder, model.generate(**sources.inputs, policy=policy, **settings).work)
        for policy in ("never", policies.AssignedDepth(2), policies.Margin(1.0))
    )
    assert cheap < full < dear  # a confidence that lets nobody out is not free


def test_bytes_are_weights_once_a_call_and_the_cache_once_a_query(build, even):
    model = build("t5")
    steps, depth = 5, 4
    settings = {"max_new_tokens": steps, "eos_token_id": None, "return_dict_in_generate": True}
    found = model.generate(**even.inputs, policy=policies.AssignedDepth(2), **settings)
    decoder, cost = model.decoder, model.decoder.cost()
    layer = cost.query + cost.key_value + cost.combine
    pairs = ROWS * sum(SOURCE + place for place in range(1, steps + 1))
    read = 2 * (steps * layer + pairs * cost.pair + cost.cross_key_value)
    read += steps * decoder.vocab_size * decoder.hidden_size
    size = model.network.dtype.itemsize
    assert decode_bytes(decoder, found.work) == size * read
    # Eager copying reads the weights of keys and values of the layers above as well.
    eager = model.generate(
        **even.inputs, policy=policies.AssignedDepth(2), pending="eager", **settings
    )
    beyond = size * steps * (depth - 2) * cost.key_value
    assert decode_bytes(decoder, eager.work) == size * read + beyond
