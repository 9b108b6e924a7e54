"""The head that predicts the depth a token needs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoModelForSeq2SeqLM

from tokenexit.decoders import DECODERS
from tokenexit.decoding.teacher_forcing import Pair
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.objectives import from_config
from tokenexit.training.batches import MicroBatch
from tokenexit.training.seq2seq_loss import Seq2SeqLossModule

PAIRS = [
    Pair([5, 6, 7], [8, 9, -100, 2], [0, 8, 9, 11]),
    Pair([12, 13, 14, 15], [30, 31, 2], [0, 30, 31]),
]


def build(depth: bool) -> ExitModelForSeq2SeqLM:
    torch.manual_seed(4)
    config = DECODERS.get("t5").example_config("t5")
    config.dropout_rate = 0.0
    network: Any = AutoModelForSeq2SeqLM.from_config(config)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    made = ExitModelForSeq2SeqLM.from_transformers(network, exit_layers=[1, 3], depth=depth)
    return made.double().train()


def learn(model: Any, objective: str, progress: float = 0.9) -> tuple[float, dict[str, Any]]:
    batch = MicroBatch(PAIRS, [0, 1], 6)
    losses = Seq2SeqLossModule(model, from_config(objective))(batch, 0, progress, 0)
    model.zero_grad(set_to_none=True)
    losses.total.backward()
    return float(losses.total.detach()), {n: w.grad for n, w in model.named_parameters()}


@pytest.mark.parametrize("objective", ["joint", "single", "halt_and_copy"])
def test_it_learns_apart_from_the_network(objective):
    with_head, plain = build(True), build(False)
    plain.load_state_dict({k: v for k, v in with_head.state_dict().items() if "depth." not in k})
    _, found = learn(with_head, objective, progress=0.1)
    _, wanted = learn(plain, objective, progress=0.1)
    assert found.pop("depth.project.weight").abs().sum() > 0
    assert found.pop("depth.project.bias").abs().sum() > 0
    for name, gradient in wanted.items():
        if gradient is None:
            assert found[name] is None
        else:
            torch.testing.assert_close(found[name], gradient)


def test_a_token_needs_the_first_exit_that_chooses_as_the_top():
    model, plain = build(True), build(False)
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "depth." not in k})
    added = learn(model, "joint")[0] - learn(plain, "joint")[0]
    total, needs = 0.0, set()
    assert model.depth is not None
    with torch.no_grad():
        for pair in PAIRS:
            states = model.network(
                input_ids=torch.tensor([pair.input_ids]),
                decoder_input_ids=torch.tensor([pair.reading]),
                output_hidden_states=True,
            )
            exits = model.exits(model.decoder)
            hidden = states.decoder_hidden_states
            top = states.logits[0].argmax(-1)
            choices = {n: exits.score(hidden[n][0]).argmax(-1) for n in (1, 3)}
            guess = model.depth(model.decoder.finish(hidden[1][0]))
            for place, target in enumerate(pair.targets):
                if target == -100:
                    continue
                need = min((n for n in (1, 3) if choices[n][place] == top[place]), default=4)
                needs.add(need)
                total += float(F.nll_loss(guess[place][None], torch.tensor([need - 1])))
    assert added == pytest.approx(total)
    assert len(needs) >= 2


def test_tokens_that_never_reach_the_top_teach_nothing():
    model = build(True)
    with torch.no_grad():  # everybody is sure at once
        model.network.get_output_embeddings().weight.mul_(1e4)
    everybody = {"name": "halt_and_copy", "policy": "margin", "full": 0.0, "warmup": 0.0,
                 "strict": 0.0, "loose": 0.0, "draws": 1}  # fmt: skip
    batch = MicroBatch(PAIRS, [0, 1], 6)
    losses = Seq2SeqLossModule(model, from_config(everybody))(batch, 0, 0.9, 0)
    model.zero_grad(set_to_none=True)
    losses.total.backward()
    assert model.depth is not None
    gradient = model.depth.project.weight.grad
    assert gradient is None or not gradient.any()
