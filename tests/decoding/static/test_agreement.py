"""``static`` and ``eager`` agree: the same tokens from the same layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from transformers import AutoModelForSeq2SeqLM

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.decoders import DECODERS
from tokenexit.decoding import PENDING, DecodingSettings
from tokenexit.decoding.static import StaticDecoder, StaticDecoding
from tokenexit.errors import UserError

FAMILIES = [name for name, _ in DECODERS.items()]
SERVED = (
    "never", "assigned", "hash", "margin", "saturation", "gate", "patience", "decay", "shortlist",
    "context",
)  # fmt: skip
# T5 norms in single precision whatever its weights are.
CLOSE: dict[str, Any] = {"atol": 1e-6, "rtol": 1e-6}


def fed(model: Any, sources: Any, policy: Any, pending: Any = "lazy", **options: Any) -> Any:
    """Given tokens: logits ``[R, T, V]``, exit layers ``[R, T]`` and the decoding."""
    steps = sources.tokens.shape[1]
    options = {"max_steps": steps, **options}
    decoding = model.start(**sources.inputs, policy=policy, pending=pending, **options)
    done = [decoding.step(tokens) for tokens in sources.tokens.T]
    logits = torch.stack([step.logits for step in done], dim=1)
    return logits, torch.stack([step.exit_layers for step in done], dim=1), decoding


def check(one: Any, other: Any) -> Tensor:
    """Two of them; where tokens left."""
    assert torch.equal(one[1], other[1])
    assert_close(one[0], other[0], **CLOSE)
    return one[1]


@pytest.mark.parametrize("name", SERVED)
@pytest.mark.parametrize("family", FAMILIES)
def test_given_tokens(family, name, build, static, make_sources, choose):
    model, sources = build(family), make_sources(steps=20)
    number = SERVED.index(name) + FAMILIES.index(family)
    policy, pending = choose(model, name), PENDING[number % 3]
    eager = fed(model, sources, policy, pending)
    found = fed(static(family), sources, policy, pending)
    assert isinstance(found[2], StaticDecoding)
    assert not isinstance(eager[2], StaticDecoding)
    layers = check(eager, found)
    assert len(layers.unique()) >= (1 if name == "never" else 2)
    for count in ("rows", "pairs", "gate", "context"):
        assert (eager[2].work.of(count) == found[2].work.of(count)).all(), count
    # What left without logits is scored once all have left, not layer by layer.
    assert eager[2].work.of("head").sum() == found[2].work.of("head").sum() or name == "shortlist"


@pytest.mark.parametrize("pending", PENDING)
@pytest.mark.parametrize("name", ["margin", "hash", "shortlist", "context"])
@pytest.mark.parametrize("family", ["t5", "bart"])
def test_every_rule_for_pending_tokens(family, name, pending, build, static, make_sources, choose):
    model, sources = build(family), make_sources((3, 8, 5), steps=12, seed=3)
    policy = choose(model, name)
    check(fed(model, sources, policy, pending), fed(static(family), sources, policy, pending))


@pytest.mark.parametrize("pending", PENDING)
@pytest.mark.parametrize("family", ["t5", "marian"])
def test_texts_cross_buckets_of_lengths(family, pending, build, static, make_sources, choose):
    """From 32 to 64 places within one piece of memory, and on to larger memory."""
    steps = 60 if family == "marian" else 140  # it has 64 places
    model, sources = build(family), make_sources((5, 8), steps=steps, seed=7)
    policy = choose(model, "hash")
    eager = fed(model, sources, policy, pending)
    check(eager, fed(static(family), sources, policy, pending))
    check(eager, fed(static(family), sources, policy, pending, max_steps=None))


SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "greedy held back": {"min_new_tokens": 12},
    "greedy with a say": {"repetition_penalty": 1.3},
    "greedy without an end": {"eos_token_id": None},
    "prompts": {"decoder_input_ids": torch.tensor([[2, 5 + n, 30] for n in range(4)])},
    "samples": {"do_sample": True, "temperature": 0.7, "num_return_sequences": 2},
    "beams": {"num_beams": 3, "num_return_sequences": 2},
    "drawn beams": {"num_beams": 3, "do_sample": True},
}


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("family", FAMILIES)
def test_searches(family, search, build, static, sources, choose, ends):
    model = build(family)
    name, pending = (
        ("margin", "lazy") if len(search) % 2 else ("hash", PENDING[FAMILIES.index(family) % 3])
    )
    settings = {
        "max_new_tokens": 40, "eos_token_id": ends(model, sources), "num_beams": 1,
        "do_sample": False, "policy": choose(model, name), "pending": pending,
        "return_dict_in_generate": True, **SEARCHES[search],
    }  # fmt: skip
    found = []
    for each in (model, static(family)):
        torch.manual_seed(5)
        found.append(each.generate(**sources.inputs, **settings))
    assert torch.equal(found[0].sequences, found[1].sequences)
    assert torch.equal(found[0].exit_layers, found[1].exit_layers)
    assert len(found[0].exit_layers.unique()) >= 3


@pytest.mark.parametrize(
    ("family", "name"),
    [
        *((family, "margin") for family in FAMILIES),
        ("t5", "context"),
        ("bart", "hash"),
        ("t5", "never"),
    ],
)
def test_verified_drafts(family, name, build, static, sources, choose, ends):
    model = build(family)
    settings = {
        "max_new_tokens": 40, "eos_token_id": ends(model, sources), "num_beams": 1,
        "do_sample": False, "policy": choose(model, name), "pending": "verify",
        "return_dict_in_generate": True, "draft_tokens": 5,
    }  # fmt: skip
    both = (model, static(family))
    one, other = (each.generate(**sources.inputs, **settings) for each in both)
    assert torch.equal(one.sequences, other.sequences)
    # In a batch, rows of static keep as many drafts as the least lucky one, and those of eager
    # as many as alone.
    assert other.acceptance.passes >= one.acceptance.passes
    for row in (0, 2):
        inputs = sources.alone(row).inputs
        one, other = (each.generate(**inputs, **settings) for each in both)
        assert torch.equal(one.sequences, other.sequences)
        assert torch.equal(one.exit_layers, other.exit_layers)
        assert one.acceptance == other.acceptance
        assert one.acceptance.drafted > 0
        for count in ("rows", "pairs", "projected"):
            assert (one.work.of(count) == other.work.of(count)).all(), count


@pytest.mark.parametrize("name", ["hash", "decay", "context"])
@pytest.mark.parametrize("family", ["t5", "pegasus"])
def test_rows_of_unlike_lengths(family, name, build, static, make_sources, choose):
    """Each undoes steps of its own, drafts again and is verified with the others."""
    model, sources = build(family), make_sources((5, 8, 3), steps=60, seed=9)
    # Drafts end below the top, so that all rows have as many to verify.
    policy = policies.AnyOf((choose(model, name), policies.AssignedDepth(3)))
    draw = torch.Generator().manual_seed(2)
    both = [
        each.begin(
            model.decoder.encode(sources.input_ids, sources.mask), sources.mask, policy=policy,
            pending="parallel", max_steps=60, uneven=True,
        )
        for each in (model, static(family))
    ]  # fmt: skip
    lengths = torch.zeros(3, dtype=torch.long)
    for _ in range(8):
        for tokens in torch.randint(5, 90, (4, 3), generator=draw):
            one, other = (decoding.step(tokens) for decoding in both)
            assert torch.equal(one.exit_layers, other.exit_layers)
            assert_close(one.logits, other.logits, **CLOSE)
        tokens = torch.randint(5, 90, (3,), generator=draw)
        assert_close(*(decoding.verify(tokens) for decoding in both), **CLOSE)
        lengths += 5 - torch.randint(0, 4, (3,), generator=draw)
        for decoding in both:
            decoding.forget_each(lengths.numpy())
    assert len({*lengths.tolist()}) > 1
    with pytest.raises(UserError, match="unlike lengths"):
        both[1].reorder(torch.arange(3))


@pytest.mark.parametrize("rows", [1, 3, 9, 33])
@pytest.mark.parametrize("name", ["never", "margin"])
def test_batches_of_every_size(rows, name, build, static, make_sources, choose, ends):
    model, sources = build("t5"), make_sources(tuple(2 + n % 7 for n in range(rows)), seed=rows)
    settings = {
        "max_new_tokens": 20, "eos_token_id": ends(model, sources), "policy": choose(model, name),
        "num_beams": 1, "do_sample": False, "return_dict_in_generate": True,
    }  # fmt: skip
    one, other = (each.generate(**sources.inputs, **settings) for each in (model, static("t5")))
    assert torch.equal(one.sequences, other.sequences)
    assert torch.equal(one.exit_layers, other.exit_layers)
    for count in ("rows", "pairs", "head"):
        assert (one.work.of(count) == other.work.of(count)).all(), count


@pytest.mark.parametrize("pending", PENDING)
@pytest.mark.parametrize("name", ["hash", "context"])
def test_forks_and_reordered_rows(pending, name, build, static, make_sources, choose):
    """Within a source and across sources; half of the time some have ended."""
    model, sources = build("bart"), make_sources(steps=40)
    policy, draw = choose(model, name), torch.Generator().manual_seed(1)
    both = [
        each.start(**sources.inputs, policy=policy, pending=pending, max_steps=40)
        for each in (model, static("bart"))
    ]
    rows, live = 4, torch.ones(4, dtype=torch.bool)
    for step in range(40):
        if step in (3, 18):
            rows, live = 2 * rows, live.repeat_interleave(2)
            for decoding in both:
                decoding.fork(2)
        if step % 5 == 4:
            lanes = rows // 4
            within = torch.randint(lanes, (rows,), generator=draw)
            index = torch.arange(rows) // lanes * lanes + within
            if step % 10 == 9:
                index = torch.randint(rows, (rows,), generator=draw)
            live = live[index]
            for decoding in both:
                decoding.reorder(index)
        if step in (10, 30):
            live = live.clone()
            live[1::3] = False
        if not live.any():
            break
        tokens = torch.randint(5, 90, (rows,), generator=draw)
        one, other = (decoding.step(tokens, live=live) for decoding in both)
        assert torch.equal(one.exit_layers, other.exit_layers)
        assert_close(one.logits, other.logits, **CLOSE)
    assert step > 20
    assert both[1].num_rows == 16


@pytest.mark.parametrize("pending", PENDING)
@pytest.mark.parametrize("name", ["never", "margin", "gate"])
def test_nothing_fetched_changes_nothing(pending, name, build, make_sources, choose):
    """Decisions that stay on the device as masks: all layers run for all."""
    model, sources = build("t5"), make_sources(steps=12)
    policy = choose(model, name)
    decoder = StaticDecoder(model.decoder, model.exits(model.decoder), fetched=False)
    decoding = masked(decoder, model, sources, policy, pending)
    eager = model.start(**sources.inputs, policy=policy, pending=pending, max_steps=12)
    for tokens in sources.tokens.T:
        one, other = eager.step(tokens), decoding.step(tokens)
        assert torch.equal(one.exit_layers, other.exit_layers)
        assert_close(one.logits, other.logits, **CLOSE)


def masked(decoder: Any, model: Any, sources: Any, policy: Any, pending: Any) -> StaticDecoding:
    with torch.no_grad():
        memory = model.decoder.encode(sources.input_ids, sources.mask)
    return StaticDecoding(decoder, memory, sources.mask, DecodingSettings(policy, pending, 12))


@pytest.mark.parametrize(
    ("exits", "name"), [([2], "margin"), ([1, 3], "saturation"), ([1, 3], "gate"), ([], "margin")]
)
def test_exits_at_some_layers_only(exits, name, build, sources, choose):
    model = build("mbart")
    policy = choose(model, name)
    made = []
    for runtime in ("eager", "static"):
        fewer = ExitModelForSeq2SeqLM.from_transformers(
            model.network, exit_layers=exits, gate=name == "gate"
        )
        if fewer.gate is not None and model.gate is not None:
            fewer.gate.load_state_dict(model.gate.state_dict())
        made.append(fed(fewer.eval().use(runtime=runtime), sources, policy))
    layers = check(*made)
    assert {*layers.flatten().tolist()} <= {*exits, 4}


def test_another_policy_at_every_step(build, static, make_sources, choose):
    """Layers are then cut elsewhere, and filled to unlike places."""
    model, sources = build("t5"), make_sources(steps=24)
    names = ("hash", "margin", "never", "gate", "shortlist", "assigned", "context")
    both = [each.start(**sources.inputs, max_steps=24) for each in (model, static("t5"))]
    for step, tokens in enumerate(sources.tokens.T):
        policy: Any = choose(model, names[step % 7])
        if step % 2:
            policy = policies.FromLayer(policies.EveryKth(policies.Margin(0.05), 2), 2)
        one, other = (decoding.step(tokens, policy=policy) for decoding in both)
        assert torch.equal(one.exit_layers, other.exit_layers)
        assert_close(one.logits, other.logits, **CLOSE)


@pytest.mark.parametrize("family", ["t5", "pegasus"])
def test_single_precision(family, build, static, sources, choose):
    policy = policies.Hash(1, 4)
    for pending in PENDING:
        one = fed(build(family, dtype=torch.float32), sources, policy, pending)
        other = fed(static(family, torch.float32), sources, policy, pending)
        assert torch.equal(one[1], other[1])
        assert_close(one[0], other[0], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_models_loaded_in_half(family, dtype, sources, tmp_path):
    """T5 then keeps a part of each layer in float32, and its states are wider than its keys."""
    config: Any = DECODERS.get(family).example_config(family)
    torch.manual_seed(0)
    network: Any = AutoModelForSeq2SeqLM.from_config(config)
    ExitModelForSeq2SeqLM.from_transformers(network).save_pretrained(tmp_path)
    model = ExitModelForSeq2SeqLM.from_pretrained(tmp_path, dtype=dtype)
    for pending in PENDING:
        found = []
        for runtime in ("eager", "static"):
            model.use(runtime=runtime)
            found.append(fed(model, sources, policies.Hash(1, 4), pending))
        one, other = found
        assert torch.equal(one[1], other[1])
        assert (one[0] - other[0]).abs().max() < 0.02 * one[0].abs().max()
    types = other[2].network
    widened = family in ("t5", "mt5") and dtype == torch.float16
    assert (types.states, types.keys) == (torch.float32 if widened else dtype, dtype)
