"""Exits in few bits: the same rows in any batch, the same numbers as the plain reference."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tokenexit import kernels, policies
from tokenexit.backbones import Inference, adapt
from tokenexit.halting import pack
from tokenexit.policies import Policy

POLICIES: list[Policy] = [
    policies.Never(),
    policies.Window(policies.MaxProb(0.6), 3),
    policies.Patience(1),
]
every_policy = pytest.mark.parametrize("policy", POLICIES, ids=repr)
# Eager attention multiplies batches of sentences, in an order that depends on their number.
EAGER = ("deberta-v2",)


@pytest.fixture(scope="session", params=["int8-kernels", "int8-torch", "bf16-torch"])
def low(sdpa_network: Any, request: pytest.FixtureRequest) -> Any:
    """A network of each family in each precision, with kernels and without."""
    precision, products = request.param.split("-")
    if products == "kernels" and kernels.library() is None:
        pytest.skip(kernels.status())
    with pytest.MonkeyPatch.context() as patch:
        if products == "torch":
            patch.setattr(kernels, "library", lambda: None)
        twin = Inference(adapt, precision=precision).get(sdpa_network.backbone.model)
    return type(sdpa_network)(twin, sdpa_network.heads)


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


def check(low: Any, found: list[Tensor], wanted: list[Tensor]) -> None:
    """What is rounded to integers is the same to the last bit."""
    if low.backbone.config.model_type not in EAGER:
        assert all(map(torch.equal, found, wanted))
    for mine, theirs in zip(found, wanted, strict=True):
        assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


@every_policy
def test_nobody_depends_on_the_batch(low: Any, texts: Any, run: Any, policy: Policy) -> None:
    together = run(low, texts, policy, states=[])
    alone = [run(low, [text], policy, states=[]) for text in texts]
    assert torch.equal(together.exit_layers, torch.cat([one.exit_layers for one in alone]))
    check(low, states(low, [together]), states(low, alone))
    # A head sees other rows beside them, and floats are summed in another order.
    logits = torch.cat([one.logits for one in alone])
    assert_close(together.logits, logits, atol=1e-4, rtol=1e-4)


@every_policy
def test_engine_agrees_with_reference(low: Any, texts: Any, run: Any, policy: Policy) -> None:
    mine = run(low, texts, policy, states=[])
    dense = [run(low, [text], policy, dense=True) for text in texts]
    assert torch.equal(mine.exit_layers, torch.cat([one.exit_layers for one in dense]))
    logits = torch.cat([one.logits for one in dense])
    assert_close(mine.logits, logits, atol=1e-4, rtol=1e-4)
    if policy == policies.Never():  # else the reference goes on with tokens that are no words
        check(low, states(low, [mine]), states(low, dense))
