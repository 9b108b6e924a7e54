"""Decoding in compiled kernels: the same tokens at the same layers as the model's own modules."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tokenexit import ExitModelForSeq2SeqLM, kernels, policies
from tokenexit.decoders import DECODERS
from tokenexit.decoding import PENDING
from tokenexit.decoding.compiled import CompiledDecoding
from tokenexit.errors import UserError
from tokenexit.models.generation.compiled_source import encode_compiled

pytestmark = pytest.mark.skipif(kernels.library() is None, reason="needs a compiler")

FAMILIES = [name for name, _ in DECODERS.items()]
RULES = (
    "never", "assigned", "hash", "margin", "saturation", "gate", "patience", "decay", "shortlist",
    "context",
)  # fmt: skip
ASKED = ("depth", "two_stage", "nested")

Make = Callable[..., ExitModelForSeq2SeqLM]


@pytest.fixture(scope="module")
def make(build: Any) -> Make:
    """Factory of models in a precision, or as they are, in float32."""
    made: dict[Any, ExitModelForSeq2SeqLM] = {}

    def get(family: str, precision: str | None = None) -> ExitModelForSeq2SeqLM:
        if (family, precision) not in made:
            model = copy.deepcopy(build(family, dtype=torch.float32))
            made[family, precision] = model.use(precision) if precision else model
        return made[family, precision]

    return get


def fed(model: Any, sources: Any, policy: Any, pending: str = "lazy") -> tuple[Tensor, Tensor, Any]:
    """Given tokens through the engine: logits ``[R, T, V]``, exit layers and the decoding."""
    steps = sources.tokens.shape[1]
    decoding = model.start(**sources.inputs, policy=policy, pending=pending, max_steps=steps)
    done = [decoding.step(tokens) for tokens in sources.tokens.T]
    logits = torch.stack([step.logits for step in done], dim=1)
    return logits, torch.stack([step.exit_layers for step in done], dim=1), decoding


@pytest.mark.parametrize("family", FAMILIES)
def test_every_policy_decides_as_on_the_models_own_modules(
    family: str, make: Make, make_sources: Any, choose: Any
) -> None:
    plain, fast = make(family), make(family, "fp32")
    sources = make_sources(steps=20)
    for number, name in enumerate((*RULES, *ASKED)):
        policy, pending = choose(plain, name), PENDING[number % 3]
        logits, layers, other = fed(plain, sources, policy, pending)
        found, left, decoding = fed(fast, sources, policy, pending)
        assert isinstance(decoding, CompiledDecoding)
        assert not isinstance(other, CompiledDecoding)
        assert torch.equal(layers, left), name
        assert_close(found, logits, atol=2e-4, rtol=2e-4)
        for count in (
            "rows",
            "projected",
            "pairs",
            "head",
            "gate",
            "context",
            "calls",
            "propagations",
        ):
            assert (other.work.of(count) == decoding.work.of(count)).all(), (name, count)
        # A source is projected when somebody who reads it comes, not with all others.
        assert (other.work.of("cross_projected") >= decoding.work.of("cross_projected")).all()


@pytest.mark.parametrize("pending", PENDING)
@pytest.mark.parametrize("family", ["t5", "mbart"])
def test_a_row_does_not_depend_on_others_nor_on_threads(
    family: str, pending: str, make: Make, make_sources: Any, choose: Any, two_threads: Any
) -> None:
    model = make(family, "int8")
    sources = make_sources(steps=12)
    policy = choose(make(family), "margin")
    logits, layers, _ = fed(model, sources, policy, pending)
    assert len(layers.unique()) > 1
    for row in range(len(layers)):
        alone, left, _ = fed(model, sources.alone(row), policy, pending)
        assert torch.equal(alone[0], logits[row])
        assert torch.equal(left[0], layers[row])
    two_threads()
    again, left, _ = fed(model, sources, policy, pending)
    assert torch.equal(again, logits)
    assert torch.equal(left, layers)


@pytest.fixture
def two_threads() -> Iterator[Callable[[], None]]:
    """Sets torch to two threads until the test ends."""
    before = torch.get_num_threads()
    yield lambda: torch.set_num_threads(2)
    torch.set_num_threads(before)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_lazy_copies_are_eager_ones(
    precision: str, make: Make, make_sources: Any, choose: Any
) -> None:
    model, sources = make("bart", precision), make_sources(steps=40)
    policy = choose(make("bart"), "hash")
    lazy, eager = (fed(model, sources, policy, pending) for pending in ("lazy", "eager"))
    assert torch.equal(lazy[0], eager[0])
    assert torch.equal(lazy[1], eager[1])
    assert lazy[2].work.of("projected").sum() < eager[2].work.of("projected").sum()


def test_a_rule_decides_as_its_policy_does_when_asked(
    make: Make, make_sources: Any, choose: Any
) -> None:
    model, sources = make("t5", "int8"), make_sources(steps=30)
    for name in ("margin", "saturation", "gate", "patience", "context"):
        policy = choose(make("t5"), name)
        asked = policies.AnyOf((policy, policies.Divergence(0.0)))  # which states no rule
        assert policy.as_rule(4, 120) is not None
        assert asked.as_rule(4, 120) is None
        logits, layers, _ = fed(model, sources, policy)
        found, left, _ = fed(model, sources, asked)
        assert torch.equal(left, layers)
        assert torch.equal(found, logits)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_greedy_search_is_the_own_loop(
    family: str, precision: str, make: Make, make_sources: Any, choose: Any, ends: Any
) -> None:
    model, sources = make(family, precision), make_sources()
    policy = choose(make(family), "margin")
    stop = ends(make(family), sources)
    found: Any = model.generate(
        **sources.inputs, policy=policy, max_new_tokens=40, eos_token_id=stop, do_sample=False,
        num_beams=1, return_dict_in_generate=True,
    )  # fmt: skip
    decoding = model.start(**sources.inputs, policy=policy, max_steps=40)
    tokens = torch.full((4,), model.start_token)
    live = torch.ones(4, dtype=torch.bool)
    for step in range(found.exit_layers.shape[1]):
        taken = decoding.step(tokens, live=live)
        assert torch.equal(taken.exit_layers, found.exit_layers[:, step])
        pad = model.network.generation_config.pad_token_id
        tokens = taken.logits.argmax(dim=-1).where(live, torch.tensor(pad))
        assert torch.equal(tokens, found.sequences[:, step + 1])
        live &= ~torch.isin(tokens, torch.tensor(stop))
    assert (decoding.work.counts == found.work.counts).all() or precision == "int8"


SEARCHES: tuple[dict[str, Any], ...] = (
    {"num_beams": 3, "num_return_sequences": 2},
    {"num_beams": 3, "do_sample": True},
    {"do_sample": True, "num_return_sequences": 2, "temperature": 0.7},
    {"min_new_tokens": 12},
    {"repetition_penalty": 1.3},
)


@pytest.mark.parametrize("settings", SEARCHES, ids=lambda s: "-".join(s))
def test_every_search_finds_what_the_models_own_modules_find(
    settings: dict[str, Any], make: Make, make_sources: Any, choose: Any, ends: Any
) -> None:
    plain, fast, sources = make("t5"), make("t5", "fp32"), make_sources()
    given = {
        **sources.inputs, "policy": choose(plain, "hash"), "max_new_tokens": 20, "num_beams": 1,
        "do_sample": False, "eos_token_id": ends(plain, sources), **settings,
    }  # fmt: skip
    found = []
    for model in (plain, fast):
        torch.manual_seed(5)
        found.append(model.generate(**given))
    assert torch.equal(found[0], found[1])


def test_verified_drafts_are_the_full_depth(make: Make, make_sources: Any, choose: Any) -> None:
    model, sources = make("t5", "int8"), make_sources()
    settings: dict[str, Any] = {"max_new_tokens": 40, "num_beams": 1, "do_sample": False}
    deep = model.generate(**sources.inputs, policy="never", **settings)
    for name in ("margin", "hash", "two_stage"):
        policy = choose(make("t5"), name)
        found: Any = model.generate(
            **sources.inputs, policy=policy, pending="verify", return_dict_in_generate=True,
            **settings,
        )  # fmt: skip
        assert torch.equal(found.sequences, deep)
        assert found.acceptance.drafted > 0


@pytest.mark.parametrize("pending", PENDING)
def test_forks_and_reordered_rows_go_on_as_their_own(
    pending: str, make: Make, make_sources: Any, choose: Any
) -> None:
    plain, fast, sources = make("bart"), make("bart", "fp32"), make_sources(steps=40)
    policy, draw = choose(plain, "hash"), torch.Generator().manual_seed(1)
    both = [m.start(**sources.inputs, policy=policy, pending=pending) for m in (plain, fast)]
    rows = 4
    for step in range(40):
        if step in (3, 18):
            rows *= 2
            for decoding in both:
                decoding.fork(2)
        if step % 5 == 4:
            index = torch.randint(rows, (rows,), generator=draw)
            for decoding in both:
                decoding.reorder(index)
        tokens = torch.randint(5, 90, (rows,), generator=draw)
        one, other = (decoding.step(tokens) for decoding in both)
        assert torch.equal(one.exit_layers, other.exit_layers)
        assert_close(one.logits, other.logits, atol=2e-4, rtol=2e-4)
    assert both[1].num_rows == 16


def test_a_text_may_outgrow_what_was_set_aside(make: Make, make_sources: Any, choose: Any) -> None:
    model, sources = make("t5", "int8"), make_sources(steps=150)
    policy = choose(make("t5"), "hash")
    decoding, known = (model.start(**sources.inputs, policy=policy, max_steps=n) for n in (2, 150))
    for tokens in sources.tokens.T:
        assert torch.equal(decoding.step(tokens).logits, known.step(tokens).logits)


def test_a_mistake_leaves_the_decoding_as_it_was(
    make: Make, make_sources: Any, choose: Any
) -> None:
    model, sources = make("t5", "int8"), make_sources(steps=6)
    logits, _, _ = fed(model, sources, choose(make("t5"), "margin"))
    decoding = model.start(**sources.inputs, policy=choose(make("t5"), "margin"), max_steps=6)
    for place, tokens in enumerate(sources.tokens.T):
        for wrong in (torch.full((4,), 4_000), torch.full((4,), -1)):
            with pytest.raises(UserError, match="not one of the 120"):
                decoding.step(wrong)
            with pytest.raises(UserError, match="not one of the 120"):
                decoding.step(wrong, policy=choose(make("t5"), "two_stage"))
        assert torch.equal(decoding.step(tokens).logits, logits[:, place])


def test_what_is_done_to_the_model_is_seen(build: Any, make_sources: Any) -> None:
    model = copy.deepcopy(build("t5", dtype=torch.float32)).use("int8")
    sources = make_sources(steps=3)
    before = fed(model, sources, policies.Never())[0]
    with torch.no_grad():
        model.network.get_decoder().block[1].layer[0].SelfAttention.q.weight.mul_(1.5)
    assert not torch.equal(fed(model, sources, policies.Never())[0], before)
    heard = []
    hook = (
        model.network.get_decoder()
        .block[1]
        .layer[0]
        .SelfAttention.q.register_forward_hook(lambda *given: heard.append(given))
    )
    decoding = fed(model, sources, policies.Never())[2]
    assert heard
    assert not isinstance(decoding, CompiledDecoding)
    hook.remove()
    assert isinstance(fed(model, sources, policies.Never())[2], CompiledDecoding)


@pytest.mark.parametrize("family", FAMILIES)
def test_sources_are_encoded_as_by_the_model(family: str, make: Make, make_sources: Any) -> None:
    sources = make_sources()
    real = sources.mask.bool()
    left = sources.mask.flip(1), sources.input_ids.flip(1)  # other places than kernels count
    for precision, close in (("fp32", 1e-4), ("int8", 0.3)):
        model = make(family, precision)
        decoder = model.inference_decoder
        states = encode_compiled(model._inference, decoder, sources.input_ids, sources.mask)
        assert states is not None
        wanted = make(family).decoder.encode(sources.input_ids, sources.mask)
        assert_close(states[real], wanted[real], atol=close, rtol=close)
        assert not states[~real].any()
        alone = sources.alone(1)
        one = encode_compiled(model._inference, decoder, alone.input_ids, alone.mask)
        assert one is not None
        assert torch.equal(one[0], states[1][real[1]])
        assert encode_compiled(model._inference, decoder, left[1], left[0]) is None
    assert encode_compiled(make(family)._inference, decoder, *sources.inputs.values()) is None
