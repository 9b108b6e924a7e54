"""Exits in few bits: the same rows in any batch, the same numbers as the plain reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from transformers import AutoModelForTokenClassification

from tokenexit import kernels, policies
from tokenexit.backbones import BACKBONES, Inference, adapt
from tokenexit.halting import pack
from tokenexit.heads import ExitHeads
from tokenexit.policies import Policy
from tokenexit.testing.networks import attentions

POLICIES: list[Policy] = [
    policies.Never(),
    policies.Window(policies.MaxProb(0.6), 3),
    policies.Patience(1),
]
every_policy = pytest.mark.parametrize("policy", POLICIES, ids=repr)


@pytest.fixture(scope="session", params=["int8-kernels", "int8-torch", "bf16-torch"])
def low(sdpa_network: Any, request: pytest.FixtureRequest) -> Any:
    """A network of each family in each precision, with kernels and without."""
    precision, products = request.param.split("-")
    if products == "kernels" and kernels.library() is None:
        pytest.skip(kernels.status())
    with pytest.MonkeyPatch.context() as patch:
        if products == "torch":
            patch.setattr(kernels, "library", lambda: None)
        inference = Inference(adapt, precision=precision)
        twin = inference.get(sdpa_network.backbone.model)
    return type(sdpa_network)(twin, inference.beside(sdpa_network.heads))


@pytest.fixture
def texts(sentences: Any) -> list[Any]:
    """Those with words, longest first, as they are packed."""
    found = [sentence for sentence in sentences if sentence.word_rows]
    return [found[row] for row in pack(found).order]


def states(low: Any, runs: list[Any]) -> list[Tensor]:
    """Of all tokens after each layer; where nobody was left to compute, those of before."""
    last = low.backbone.num_layers - 1
    return [
        torch.cat([run.states[min(layer, len(run.states) - 1)] for run in runs])
        for layer in range(last + 1)
    ]


@every_policy
def test_nobody_depends_on_the_batch(low: Any, texts: Any, run: Any, policy: Policy) -> None:
    together = run(low, texts, policy, states=[])
    alone = [run(low, [text], policy, states=[]) for text in texts]
    assert torch.equal(together.exit_layers, torch.cat([one.exit_layers for one in alone]))
    assert all(map(torch.equal, states(low, [together]), states(low, alone)))
    assert torch.equal(together.logits, torch.cat([one.logits for one in alone]))


@every_policy
def test_engine_agrees_with_reference(low: Any, texts: Any, run: Any, policy: Policy) -> None:
    mine = run(low, texts, policy, states=[])
    dense = [run(low, [text], policy, dense=True) for text in texts]
    assert torch.equal(mine.exit_layers, torch.cat([one.exit_layers for one in dense]))
    logits = torch.cat([one.logits for one in dense])
    assert_close(mine.logits, logits, atol=1e-4, rtol=1e-4)
    if policy == policies.Never():  # else the reference goes on with tokens that are no words
        found, wanted = states(low, [mine]), states(low, dense)
        # The reference attends eagerly where a family has no other: in sums of another order.
        if "sdpa" in attentions(low.backbone.config.model_type):
            assert all(map(torch.equal, found, wanted))
        for one, other in zip(found, wanted, strict=True):
            assert_close(one, other, atol=1e-4, rtol=1e-4)


WIDE = 160  # more outputs than are summed in float64


@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize(("name", "sure"), [("linear", 0.35), ("pooled", 0.35), ("mlp", 0.22)])
def test_heads_of_wide_networks_too(
    name: str,
    sure: float,
    precision: str,
    make_sentence: Any,
    run: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Classifiers to the last bit; a wide layer within a head to rounding, and the same exits."""
    monkeypatch.setattr(kernels, "library", lambda: None)
    torch.manual_seed(0)
    config: Any = BACKBONES.get("modernbert").example_config("modernbert")
    config.hidden_size, config.num_labels = WIDE, 5
    model: Any = AutoModelForTokenClassification.from_config(config)
    for weight in model.requires_grad_(False).parameters():
        weight.add_(torch.randn_like(weight), alpha=0.1)
    inference = Inference(adapt, precision=precision)
    low = Wide(
        inference.get(model.eval()),
        inference.beside(ExitHeads({"name": name}, (1, 2, 3), WIDE, 5).eval()),
    )
    policy = policies.MaxProb(sure)
    texts = [make_sentence([1] * size, size) for size in (40, 21, 21, 9, 3, 1)]
    together = run(low, texts, policy)
    alone = [run(low, [text], policy) for text in texts]
    assert together.spread > 1
    layers = torch.cat([one.exit_layers for one in alone])
    assert torch.equal(together.exit_layers, layers)
    logits = torch.cat([one.logits for one in alone])
    assert_close(together.logits, logits, atol=1e-5, rtol=0)
    if name == "linear":
        below = layers < 4
        assert torch.equal(together.logits[below], logits[below])


@dataclass(frozen=True, eq=False)
class Wide:
    """As the networks of these tests."""

    backbone: Any
    heads: Any
