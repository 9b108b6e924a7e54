"""The encoder engine in compiled kernels says what the engine of torch's operators says."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from tokenexit import kernels, policies
from tokenexit.backbones import Inference, adapt
from tokenexit.halting import HALTED, LayerWork, PolicyVisitor, Sentence, encode_dense, pack
from tokenexit.halting.compiled import (
    CompiledEncoder,
    Decided,
    compile_encoder,
    compiled_rule,
    run_exits,
    run_rule,
    run_visitor,
)
from tokenexit.halting.flat import lay
from tokenexit.heads import ExitHeads
from tokenexit.policies import Policy

KNOWN = ("bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert", "albert")
CLASSES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
RULES: list[Policy] = [
    policies.Never(),
    policies.Entropy(0.5),
    policies.MaxProb(0.6),
    policies.Margin(0.3),
    policies.Energy(-3.0),
    policies.Patience(1),
    policies.PCEE(policies.Entropy(0.5), 2),
    policies.Window(policies.Entropy(0.6), 3),
    policies.PerSentence(policies.Entropy(0.7)),
    policies.PerSentence(policies.Entropy(0.5), how="mean"),
    policies.PerClass(policies.Entropy(0.4), {"O": policies.Entropy(0.7)}),
    policies.EveryKth(policies.FromLayer(policies.Margin(0.2), 2), 2),
    policies.AssignedDepth(4, {5: 1, 7: 2, 9: 3}),
]
PYTHON: list[Policy] = [
    policies.LearnedGate(0.5),
    policies.Saturation(0.95),
    policies.AnyOf((policies.Entropy(0.2), policies.Window(policies.Entropy(0.6), 3))),
]

pytestmark = pytest.mark.skipif(kernels.library() is None, reason=kernels.status())


def fp32(build: Any, family: str) -> Any:
    return build(family, "sdpa", torch.float32)


@pytest.fixture(scope="module")
def compiled(build: Any) -> Callable[..., CompiledEncoder]:
    made: dict[Any, CompiledEncoder] = {}

    def get(family: str, precision: str = "fp32") -> CompiledEncoder:
        if (family, precision) not in made:
            network = fp32(build, family)
            found = compile_encoder(network.backbone, network.heads, precision)
            assert found is not None
            made[family, precision] = found
        return made[family, precision]

    return get


def ruled(
    encoder: CompiledEncoder,
    sentences: Sequence[Sentence],
    policy: Policy,
    halted: Any = "copy",
    size: int = 99,
) -> Decided:
    rule = compiled_rule(policy, encoder, CLASSES)
    assert rule is not None
    batches = [
        range(start, min(start + size, len(sentences))) for start in range(0, len(sentences), size)
    ]
    return run_rule(encoder, lay(sentences), rule, batches, halted)


def visited(
    encoder: CompiledEncoder, network: Any, sentences: Any, policy: Policy, halted: Any = "copy"
) -> Decided:
    backbone, texts = network.backbone, lay(sentences)
    score: Any = None
    if halted == "restore":
        top = partial(encoder.score, 6) if encoder.scores else backbone.classify
        score = lambda signals: top(signals.for_top)  # noqa: E731
    visitor = PolicyVisitor(policy, texts.num_words, "cpu", score)
    with torch.no_grad():
        work = run_visitor(
            encoder, backbone, network.heads, texts, visitor, halted=halted, classes=CLASSES
        )
    if halted == "restore":
        work = (*work[:-1], work[-1] + LayerWork(head=texts.num_words))
    decided = visitor.decisions()
    return Decided(decided.logits.numpy(), decided.exit_layers.numpy(), work)


def check_equal(first: Decided, second: Decided) -> None:
    np.testing.assert_array_equal(first.exit_layers, second.exit_layers)
    np.testing.assert_array_equal(first.logits, second.logits)
    assert first.work == second.work


@pytest.mark.parametrize("family", KNOWN)
@pytest.mark.parametrize("halted", HALTED)
def test_fp32_is_the_engine_of_torch(
    family: str, halted: Any, build: Any, compiled: Any, run: Any, sentences: Any
):
    network, policy = fp32(build, family), policies.Window(policies.Entropy(0.6), 3)
    wanted = run(network, sentences, policy, halted=halted, absorb=False)
    found = ruled(compiled(family), sentences, policy, halted)
    assert wanted.spread > 2
    np.testing.assert_array_equal(found.exit_layers, wanted.exit_layers.numpy())
    assert_close(torch.from_numpy(found.logits), wanted.logits, atol=2e-4, rtol=1e-4)
    work = wanted.work
    if halted == "restore":
        work = (*work[:-1], work[-1] + LayerWork(head=len(wanted.logits)))
    assert found.work == work


@pytest.mark.parametrize("policy", RULES, ids=repr)
def test_a_rule_is_what_its_policy_decides(
    policy: Policy, build: Any, compiled: Any, sentences: Any
):
    network, encoder = fp32(build, "bert"), compiled("bert", "int8")
    for halted in HALTED:
        check_equal(
            ruled(encoder, sentences, policy, halted),
            visited(encoder, network, sentences, policy, halted),
        )


@pytest.mark.parametrize("policy", PYTHON, ids=repr)
def test_policies_without_a_rule_are_asked_in_python(
    policy: Policy, build: Any, compiled: Any, run: Any, sentences: Any
):
    network, encoder = fp32(build, "bert"), compiled("bert")
    assert compiled_rule(policy, encoder, CLASSES) is None
    wanted = run(network, sentences, policy, absorb=False)
    found = visited(encoder, network, sentences, policy)
    np.testing.assert_array_equal(found.exit_layers, wanted.exit_layers.numpy())
    assert_close(torch.from_numpy(found.logits), wanted.logits, atol=2e-4, rtol=1e-4)
    assert found.work == wanted.work


def test_an_equal_policy_is_not_compiled_again(compiled: Any):
    encoder = compiled("bert")
    first = compiled_rule(policies.Entropy(0.1), encoder, CLASSES)
    assert compiled_rule(policies.Entropy(0.1), encoder, CLASSES) is first
    assert compiled_rule(policies.Entropy(0.2), encoder, CLASSES) is not first
    assert compiled_rule(policies.Entropy(0.2), encoder, CLASSES[::-1]) is not first


def test_policies_that_do_not_compare_are_compiled_again(compiled: Any):
    @dataclass(frozen=True)
    class Fixed(policies.Entropy):
        table: Any = None

    encoder = compiled("bert")
    first = compiled_rule(Fixed(0.1, np.ones(3)), encoder, CLASSES)
    assert compiled_rule(Fixed(0.1, np.zeros(3)), encoder, CLASSES) is not first


def dense(backbone: Any, heads: Any, sentences: Any, policy: Policy) -> Decided:
    """The plain reference, words in the order given."""
    batch = pack(sentences)
    visitor = PolicyVisitor(policy, batch.num_words, "cpu")
    with torch.no_grad():
        encode_dense(backbone, heads, batch, visitor)
    decided = visitor.decisions()
    sequence = batch.order[batch.word_sequence.numpy()]
    order = np.lexsort((batch.word_position.numpy(), sequence))
    return Decided(decided.logits.numpy()[order], decided.exit_layers.numpy()[order], ())


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert"])
def test_int8_is_its_own_dense_reference(family: str, build: Any, compiled: Any, sentences: Any):
    network, policy = fp32(build, family), policies.AssignedDepth(5, {5: 1, 7: 2, 9: 3, 11: 4})
    twin = Inference(adapt, precision="int8").get(network.backbone.model)
    wanted = dense(twin, network.heads, sentences, policy)
    found = ruled(compiled(family, "int8"), sentences, policy)
    np.testing.assert_array_equal(found.exit_layers, wanted.exit_layers)
    off = np.abs(found.logits - wanted.logits) / np.abs(wanted.logits).max()
    # A state that lies between two steps is rounded up here and down there.
    assert off.mean() < 2e-3
    assert off.max() < 5e-2


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_bf16_rounds_the_weights_and_nothing_else(
    family: str, build: Any, compiled: Any, sentences: Any
):
    network, policy = fp32(build, family), policies.AssignedDepth(5, {5: 1, 7: 2, 9: 3, 11: 4})
    rounded = copy.deepcopy(network.backbone.model)
    for name, module in rounded.base_model.named_modules():
        if isinstance(module, torch.nn.Linear) and "embedding" not in name:
            module.weight.data = module.weight.data.bfloat16().float()
    wanted = dense(adapt(rounded), network.heads, sentences, policy)
    found = ruled(compiled(family, "bf16"), sentences, policy)
    np.testing.assert_array_equal(found.exit_layers, wanted.exit_layers)
    np.testing.assert_allclose(found.logits, wanted.logits, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("precision", ["int8", "fp32", "bf16"])
def test_a_text_gets_the_same_alone_and_in_company(precision: str, compiled: Any, sentences: Any):
    encoder, policy = compiled("bert", precision), policies.Window(policies.Entropy(0.6), 3)
    together = ruled(encoder, sentences, policy)
    alone = ruled(encoder, sentences, policy, size=1)
    np.testing.assert_array_equal(together.logits, alone.logits)
    np.testing.assert_array_equal(together.exit_layers, alone.exit_layers)
    back = ruled(encoder, sentences[::-1], policy, size=3)
    ends = np.cumsum([len(s.word_rows) for s in sentences[::-1]])[:-1]
    np.testing.assert_array_equal(
        np.concatenate(np.split(back.logits, ends)[::-1]), together.logits
    )


def test_threads_change_nothing(compiled: Any, sentences: Any):
    before = torch.get_num_threads()
    policy = policies.Entropy(0.5)
    many = list(sentences) * 12
    one = ruled(compiled("bert", "int8"), many, policy)
    try:
        torch.set_num_threads(2)
        check_equal(ruled(compiled("bert", "int8"), many, policy), one)
    finally:
        torch.set_num_threads(before)


@pytest.fixture(params=list(kernels.build.INSTRUCTION_SETS))
def each(request: pytest.FixtureRequest) -> Iterator[str]:
    library = kernels.library()
    assert library is not None
    if request.param not in library.isas():
        pytest.skip(f"This machine has no {request.param}.")
    before = library.isa
    library.use(request.param)
    yield request.param
    library.use(before)


def test_every_instruction_set_decides_alike(each: str, compiled: Any, sentences: Any):
    library, policy = kernels.library(), policies.Window(policies.Entropy(0.6), 3)
    assert library is not None
    encoder = compiled("bert", "int8")
    here = ruled(encoder, sentences, policy)
    library.use(library.isas()[0])
    best = ruled(encoder, sentences, policy)
    if each != "portable":
        return check_equal(here, best)
    off = np.abs(here.logits - best.logits)
    assert off.mean() < 2e-3 * np.abs(best.logits).max()
    assert (here.exit_layers == best.exit_layers).mean() > 0.95


def test_the_table_of_exits(build: Any, compiled: Any, sentences: Any):
    network, encoder = fp32(build, "bert"), compiled("bert", "int8")
    texts = lay(sentences)
    table = run_exits(encoder, texts, [range(3), range(3, len(sentences))])
    assert table.shape == (6, texts.num_words, len(CLASSES))
    for layer in (1, 3, 6):
        leave = policies.AssignedDepth(layer)
        if layer in (1, 6):  # between, those that have left are read as they were
            found = ruled(encoder, sentences, leave)
            np.testing.assert_array_equal(found.logits, table[layer - 1])
    assert network.heads.layers == tuple(range(1, 6))


@pytest.mark.parametrize("kind", ["mlp", "pooled", "prototype", "past_future"])
@pytest.mark.parametrize("pool", ["first", "mean"])
def test_every_kind_of_head(kind: str, pool: str, build: Any, run: Any, sentences: Any):
    network = fp32(build, "bert")
    torch.manual_seed(1)
    heads = ExitHeads({"name": kind, "pool": pool}, range(1, 6), 32, len(CLASSES)).eval()
    other = type(network)(network.backbone, heads)
    encoder = compile_encoder(network.backbone, heads, "fp32")
    assert encoder is not None
    assert encoder.scores == (kind in ("mlp", "pooled"))
    policy = policies.Patience(2)
    for halted in HALTED:
        wanted = run(other, sentences, policy, halted=halted, absorb=False)
        found = visited(encoder, other, sentences, policy, halted)
        np.testing.assert_array_equal(found.exit_layers, wanted.exit_layers.numpy())
        assert_close(torch.from_numpy(found.logits), wanted.logits, atol=2e-4, rtol=1e-4)


def test_what_has_been_done_to_a_network_leaves_it_to_torch(build: Any):
    model = fp32(build, "bert").backbone.model
    backbone = adapt(model)
    assert backbone.recipe(1) is not None
    hook = model.bert.encoder.layer[1].output.register_forward_hook(lambda *_: None)
    try:
        assert adapt(model).recipe(1) is None
        assert adapt(model).recipe(0) is not None
    finally:
        hook.remove()


@pytest.mark.parametrize("family", ["modernbert", "deberta-v2"])
def test_families_that_kernels_do_not_know(family: str, build: Any):
    network = fp32(build, family)
    assert compile_encoder(network.backbone, network.heads, "int8") is None
