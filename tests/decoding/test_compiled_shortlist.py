"""Shortlists inside a step of kernels: as the same policy asked in Python, bit for bit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from tokenexit import ExitModelForSeq2SeqLM, kernels, policies, scores
from tokenexit.decoding import PENDING
from tokenexit.decoding.compiled import CompiledDecoding
from tokenexit.decoding.work import FIELDS
from tokenexit.policies import Policy, State
from tokenexit.signals import Signals

pytestmark = pytest.mark.skipif(kernels.library() is None, reason="needs a compiler")

SIZES = (2, 8, 70, 500)
STEPS = 20
ONCE = [field for field in FIELDS if field != "head_read"]
"""What does not depend on how many rows a kernel scores at once."""

Make = Callable[..., ExitModelForSeq2SeqLM]


class Asked(policies.Shortlist):
    """States no rule, since it might decide otherwise."""

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """As it was."""
        return super().step(signals, state)


@pytest.fixture(scope="module")
def make(build: Any) -> Make:
    """Factory of models in a precision; of some words the head cannot tell two apart."""
    made: dict[Any, ExitModelForSeq2SeqLM] = {}

    def get(family: str, precision: str = "int8", twins: bool = False) -> ExitModelForSeq2SeqLM:
        key = family, precision, twins
        if key not in made:
            model = copy.deepcopy(build(family, dtype=torch.float32))
            if twins:
                weight = model.network.get_output_embeddings().weight
                with torch.no_grad():
                    weight[60:] = weight[:60].flip(0)
                    if hasattr(model.network, "final_logits_bias"):
                        model.network.final_logits_bias.zero_()
            made[key] = model.use(precision)
        return made[key]

    return get


def inner_policies(model: Any, sources: Any, size: int) -> list[Policy]:
    """Every number of logits, with thresholds that rows pass at all depths."""
    seen: list[Tensor] = []

    class Looks(policies.Margin):
        def score(self, signals: Signals) -> Tensor:
            seen.append(signals.logits)
            return super().score(signals)

    fed(model, sources, policies.Shortlist(Looks(1.0), size))
    logits = torch.cat(seen)
    margin, sure = float(scores.margin(logits).quantile(0.6)), scores.max_prob(logits)
    return [
        policies.Margin(margin),
        policies.MaxProb(float(sure.quantile(0.7))),
        policies.Entropy(float(scores.entropy(logits).quantile(0.4))),
        policies.Energy(float(scores.energy(logits).quantile(0.3))),
        policies.Patience(1),
        policies.PCEE(policies.Margin(margin / 2), 2),
        policies.Decay(policies.Margin(margin)),
    ]


def fed(model: Any, sources: Any, policy: Any, pending: str = "lazy") -> tuple[Tensor, Tensor, Any]:
    """Given tokens through the engine: logits ``[R, T, V]``, exit layers and the decoding."""
    steps = sources.tokens.shape[1]
    decoding = model.start(**sources.inputs, policy=policy, pending=pending, max_steps=steps)
    assert isinstance(decoding, CompiledDecoding)
    done = [decoding.step(tokens) for tokens in sources.tokens.T]
    logits = torch.stack([step.logits for step in done], dim=1)
    return logits, torch.stack([step.exit_layers for step in done], dim=1), decoding


@pytest.mark.parametrize("precision", ["int8", "fp32", "bf16"])
@pytest.mark.parametrize("family", ["t5", "bart"])
def test_a_step_decides_as_the_policy_does_when_asked(
    family: str, precision: str, make: Make, make_sources: Any
) -> None:
    model, sources = make(family, precision), make_sources(steps=STEPS)
    left_at = set()
    for number, size in enumerate(SIZES):
        inner = inner_policies(model, sources, size)
        for place, policy in enumerate(inner if precision == "int8" else inner[:2]):
            pending = PENDING[(number + place) % 3]
            logits, layers, decoding = fed(
                model, sources, policies.Shortlist(policy, size), pending
            )
            asked = fed(model, sources, Asked(policy, size), pending)
            assert torch.equal(layers, asked[1]), (policy, size)
            assert torch.equal(logits, asked[0]), (policy, size)
            for field in ONCE:
                assert (decoding.work.of(field) == asked[2].work.of(field)).all(), field
            left_at |= set(layers.unique().tolist())
    assert len(left_at) > 2


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_one_row_gets_what_it_gets_among_others(family: str, make: Make, make_sources: Any) -> None:
    model, sources = make(family), make_sources(steps=STEPS)
    for size, pending in product((2, 70), ("lazy", "eager")):
        policy = inner_policies(model, sources, size)[0]
        rule = policies.EveryKth(policies.Shortlist(policy, size), 1)
        logits, layers, _ = fed(model, sources, rule, pending)
        assert len(layers.unique()) > 1
        for row in range(len(layers)):
            alone, left, decoding = fed(model, sources.alone(row), rule, pending)
            assert torch.equal(alone[0], logits[row])
            assert torch.equal(left[0], layers[row])
            # Nothing of one row can be scored together with another's.
            asked = fed(model, sources.alone(row), Asked(policy, size), pending)[2]
            assert (decoding.work.counts == asked.work.counts).all()


def test_of_equal_words_the_first_are_kept(make: Make, make_sources: Any) -> None:
    for family in ("t5", "bart"):
        model, sources = make(family, twins=True), make_sources(steps=STEPS)
        for size in (3, 64):
            for policy in inner_policies(model, sources, size)[2:5]:
                found = fed(model, sources, policies.Shortlist(policy, size))
                asked = fed(model, sources, Asked(policy, size))
                assert torch.equal(found[1], asked[1])
                assert torch.equal(found[0], asked[0])


def test_words_that_may_not_be_written_are_on_the_lists(make: Make, make_sources: Any) -> None:
    model, sources = make("t5"), make_sources()
    policy = inner_policies(model, sources, 8)[0]
    found = [
        model.generate(
            **sources.inputs, policy=kind(policy, 8), max_new_tokens=24, min_new_tokens=12,
            eos_token_id=[7, 30, 41, 66], num_beams=1, do_sample=False,
            return_dict_in_generate=True,
        )
        for kind in (policies.Shortlist, Asked)
    ]  # fmt: skip
    one, other = found
    assert torch.equal(one.sequences, other.sequences)
    assert torch.equal(one.exit_layers, other.exit_layers)
    assert one.exit_layers.unique().numel() > 1


def test_lists_that_are_too_long_are_asked_in_python(make: Make, make_sources: Any) -> None:
    model, sources = make("t5"), make_sources()
    for size, stated in ((1024, True), (1025, False)):
        policy = policies.Shortlist(policies.Margin(0.5), size)
        decoding = model.start(**sources.inputs, policy=policy, max_steps=4)
        assert isinstance(decoding, CompiledDecoding)
        assert (decoding.rule_of(policy) is not None) == stated
