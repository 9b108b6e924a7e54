"""Source encoders of text generators by compiled kernels: norms first, root mean squares, gates
and biases by distance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForSeq2SeqLM

from tokenexit import kernels, policies
from tokenexit.decoders import DECODERS, adapt_decoder
from tokenexit.decoders.source_encoder import NoHeads, SourceEncoder
from tokenexit.decoding.source_exits import encode_source
from tokenexit.halting import Sentence
from tokenexit.halting.compiled import compile_encoder, run_states, run_visitor
from tokenexit.halting.flat import lay
from tokenexit.policies import Policy

GATED = {"feed_forward_proj": "gated-gelu", "is_gated_act": True, "dense_act_fn": "gelu_new"}
CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name, _ in DECODERS.items()),
    ("t5", {**GATED, "d_kv": 12}),
    ("bart", {"scale_embedding": True}),
    ("marian", {"scale_embedding": True}),
    ("mbart", {"scale_embedding": True}),
]

pytestmark = pytest.mark.skipif(kernels.library() is None, reason=kernels.status())


def source_encoder(family: str, changes: dict[str, Any]) -> SourceEncoder:
    torch.manual_seed(0)
    config = DECODERS.get(family).example_config(family)
    for name, value in changes.items():
        setattr(config, name, value)
    model: Any = AutoModelForSeq2SeqLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.2 if weight.dim() > 1 else 0.1)
    return adapt_decoder(model.eval().requires_grad_(False)).source_encoder()


def sources() -> tuple[torch.Tensor, torch.Tensor, list[Sentence]]:
    draw = torch.Generator().manual_seed(3)
    lengths = [9, 1, 30, 17]
    ids = torch.randint(5, 100, (4, 30), generator=draw)
    mask = torch.arange(30) < torch.tensor(lengths)[:, None]
    rows = [ids[place, :length].tolist() for place, length in enumerate(lengths)]
    return ids, mask, [Sentence(row, [[place] for place in range(len(row))]) for row in rows]


@pytest.mark.parametrize(("family", "changes"), CASES, ids=str)
@torch.inference_mode()
def test_states_are_those_of_torch(family: str, changes: dict[str, Any]):
    encoder = source_encoder(family, changes)
    ids, mask, sentences = sources()
    wanted = encode_source(encoder, ids, mask.long(), policies.Never()).memory[mask]
    compiled = compile_encoder(encoder, NoHeads(encoder), "fp32")
    assert compiled is not None
    assert_close(run_states(compiled, lay(sentences)), wanted, atol=1e-4, rtol=1e-4)
    small = compile_encoder(encoder, NoHeads(encoder), "int8")
    assert small is not None
    off = (run_states(small, lay(sentences)) - wanted).abs() / wanted.abs().max()
    assert 0 < off.mean() < 0.03


class Leaving:
    """Keeps the state of each token where it left."""

    def __init__(self, policy: Policy, count: int, width: int) -> None:
        self.policy, self.state = policy, policy.init(count)
        self.memory = torch.empty(count, width)

    def arrive(self, signals: Any, words: Any) -> Any:
        self.arrived = signals, words
        return None if signals.layer == signals.num_layers else self.policy.step(signals, None)[0]

    def leave(self, halted: Any, staying: Any) -> None:
        signals, words = self.arrived
        self.memory[words[halted]] = signals.hidden[halted]


@pytest.mark.parametrize("family", ["t5", "bart", "pegasus"])
@torch.inference_mode()
def test_tokens_leave_and_are_read_as_they_were(family: str):
    encoder = source_encoder(family, {})
    ids, mask, sentences = sources()
    policy = policies.AssignedDepth(9, {int(token): 1 for token in ids.flatten()[::2].unique()})
    wanted = encode_source(encoder, ids, mask.long(), policy)
    assert len(wanted.exit_layers[mask].unique()) == 2
    heads: Any = NoHeads(encoder)
    compiled, texts = compile_encoder(encoder, heads, "fp32"), lay(sentences)
    assert compiled is not None
    visitor = Leaving(policy, texts.num_words, compiled.width)
    run_visitor(compiled, encoder, heads, texts, visitor)
    assert_close(visitor.memory, wanted.memory[mask], atol=1e-4, rtol=1e-4)
