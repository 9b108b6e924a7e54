"""Heads that read earlier exits read those of the same rows, whoever has left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForTokenClassification

from tokenexit.backbones import BACKBONES, Backbone, adapt
from tokenexit.halting import PolicyVisitor, Sentence, encode, encode_dense, pack
from tokenexit.halting.cost import macs
from tokenexit.heads import HEADS, ExitHeads
from tokenexit.heads.mixed import MixedHead
from tokenexit.heads.past_future import PastFutureHead
from tokenexit.policies import Policy
from tokenexit.signals import Signals

FAMILIES = [name for name, _ in BACKBONES.items()][::3]
READING = [name for name, head in HEADS.items() if head.reads_past]
POOLED = [f"{READING[0]}/mean"]
CLASSES, DEPTH = 3, 6
every_head = pytest.mark.parametrize("head", READING + POOLED)


@dataclass(frozen=True)
class Told(Policy):
    """Halts rows at layers given beforehand and keeps what it was shown."""

    depths: tuple[int, ...]
    seen: dict[int, tuple[Tensor, Signals]]

    def init(self, num_rows: int, device: Any = "cpu") -> Tensor:
        return torch.arange(num_rows)

    def step(self, signals: Signals, state: Any) -> tuple[Tensor, Any]:
        self.seen[signals.layer] = state, signals
        return torch.tensor(self.depths)[state] <= signals.layer, state


Model = tuple[Backbone, ExitHeads]


@pytest.fixture(scope="session")
def build() -> Callable[..., Model]:
    """A tiny network of a family, and heads that read the past."""

    def make(
        family: str, head: str, layers: tuple[int, ...], dtype: torch.dtype = torch.float64
    ) -> Model:
        torch.manual_seed(0)
        example = BACKBONES.get(family).example_config(family)
        values = {**example.to_dict(), "layer_types": None}
        values["id2label"] = dict(enumerate("ABC"))
        values["n_layers" if family == "distilbert" else "num_hidden_layers"] = DEPTH
        config = type(example)(**values)
        network: Any = AutoModelForTokenClassification.from_config(
            config, attn_implementation="eager" if dtype == torch.float32 else None
        )
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight), alpha=0.2 if weight.dim() > 1 else 0.1)
        name, _, pool = head.partition("/")
        config = {"name": name, "pool": pool or "first"}
        heads = ExitHeads(config, layers, 32, CLASSES)
        with torch.no_grad():
            for name, weight in heads.named_parameters():
                if (
                    "mixture" in name or "memory" in name
                ):  # it begins by reading its own state alone
                    weight.copy_(torch.randn_like(weight))
        return adapt(network.to(dtype).eval()), heads.to(dtype).eval()

    return make


def texts() -> list[Sentence]:
    """Sentences of different lengths; every third word is of two sub-words."""
    made = []
    for seed, length in enumerate((9, 4, 1, 12)):
        draw = torch.Generator().manual_seed(seed)
        ids, rows = [2], []
        for number in range(length):
            rows.append(list(range(len(ids), len(ids) + (2 if number % 3 == 2 else 1))))
            ids += torch.randint(5, 30, (len(rows[-1]),), generator=draw).tolist()
        made.append(Sentence([*ids, 3], rows))
    return made


def run(model: Model, sentences: list[Sentence], depths: tuple[int, ...], dense: bool) -> Any:
    """What was shown at each exit, and what words left with."""
    batch, told = pack(sentences), Told(depths, {})
    visitor = PolicyVisitor(told, batch.num_words, "cpu")
    with torch.no_grad():
        (encode_dense if dense else encode)(*model, batch, visitor)
    return told.seen, visitor.decisions()


def draws(count: int) -> tuple[int, ...]:
    """Where each word leaves, up to one past the top: some stay."""
    draw = torch.Generator().manual_seed(1)
    return tuple(torch.randint(1, DEPTH + 2, (count,), generator=draw).tolist())


@pytest.mark.parametrize("layers", [(1, 2, 3, 4, 5), (2, 5)])
@every_head
@pytest.mark.parametrize("family", FAMILIES)
def test_engine_and_reference_show_the_same_rows_past(family, head, layers, build):
    model, sentences = build(family, head, layers), texts()
    depths = draws(26)
    found = [run(model, sentences, depths, dense) for dense in (False, True)]
    exits = found[1][1].exit_layers
    assert torch.equal(found[0][1].exit_layers, exits)
    assert len(exits.unique()) == len(layers) + 1
    tolerance = 1e-5 if family == "deberta-v2" else 1e-9
    assert_close(found[0][1].logits, found[1][1].logits, atol=tolerance, rtol=tolerance)
    for seen, decided in found:
        assert tuple(seen) == layers
        for number, layer in enumerate(layers):
            words, signals = seen[layer]
            if number == 0:
                assert signals.past is None
                continue
            assert signals.past.shape == (len(words), number, 32)
            assert len(words) < len(seen[layers[0]][0])  # somebody has left
            for place, earlier in enumerate(layers[:number]):
                then, before = seen[earlier]
                same = before.hidden[torch.searchsorted(then, words)]
                assert torch.equal(signals.past[:, place], same)
            left = depths_at(depths, words, layer)
            by_hand = model[1].at(layer)(signals.hidden, signals.past)
            assert_close(decided.logits[words[left]], by_hand[left], check_dtype=False)
            blind = model[1].at(layer)(signals.hidden, torch.zeros_like(signals.past))
            assert (blind - by_hand).abs().max() > 1e-3


def depths_at(depths: tuple[int, ...], words: Tensor, layer: int) -> Tensor:
    return torch.tensor(depths)[words] <= layer


@every_head
def test_alone_is_as_together(head, build):
    model, sentences = build("bert", head, (1, 2, 3, 4, 5)), texts()
    batch, depths = pack(sentences), draws(26)
    together = run(model, sentences, depths, dense=False)[1]
    for place, number in enumerate(batch.order):
        mine = (batch.word_sequence == place).nonzero()[:, 0]
        own = tuple(depths[word] for word in mine.tolist())
        alone = run(model, [sentences[number]], own, dense=False)[1]
        assert torch.equal(alone.exit_layers, together.exit_layers[mine])
        assert_close(alone.logits, together.logits[mine], atol=1e-9, rtol=1e-9)


@every_head
def test_a_run_costs_what_torch_counts(head, build):
    backbone, heads = build("bert", head, (1, 2, 3, 4, 5), torch.float32)
    batch = pack(texts()[:1])
    visitor = PolicyVisitor(Told(draws(9), {}), batch.num_words, "cpu")
    with FlopCounterMode(display=False) as counter:
        work = encode(backbone, heads, batch, visitor, absorb=False)
    scored = sum(layer.head for layer in work[:-1])
    assert scored > 3
    wanted = macs(backbone, heads, work) - CLASSES * scored  # torch counts no confidence
    assert counter.get_total_flops() == 2 * wanted


def test_mixture_by_hand():
    torch.manual_seed(0)
    head = MixedHead(4, 3, place=2).eval()
    hidden, past = torch.randn(5, 4), torch.randn(5, 2, 4)
    assert_close(head(hidden, past), head.project(hidden))  # it begins by reading its own state
    assert head.mixture is not None
    with torch.no_grad():
        head.mixture.copy_(torch.tensor([3.0, -4.0, 12.0]))
        head.temperature.value.fill_(2.5)
    mixed = (3 * past[:, 0] - 4 * past[:, 1] + 12 * hidden) / 13
    assert_close(head(hidden, past), head.project(mixed) / 2.5)


def test_past_and_future_by_hand():
    torch.manual_seed(0)
    head = PastFutureHead(4, 3, place=1, exits=4).eval()
    hidden, past = torch.randn(5, 4), torch.randn(5, 1, 4)
    share = (hidden @ head.gate.weight.T + head.gate.bias).sigmoid()
    seen = torch.cat([past[:, 0], hidden], dim=1) @ head.from_past.weight.T + head.from_past.bias
    weight, bias = head.imitators.weight, head.imitators.bias  # of the third and fourth exit
    guesses = [hidden @ weight[k : k + 4].T + bias[k : k + 4] for k in (0, 4)]
    future = torch.cat([guess.tanh() for guess in guesses], dim=1) @ head.from_future.weight.T
    assert_close(head(hidden, past), 2 * share * seen + 2 * (1 - share) * future)
    assert_close(head.imitate(hidden)[:, 1], guesses[1].tanh())
    last = PastFutureHead(4, 3, place=2, exits=4)
    assert last.imitate(hidden).shape == (5, 1, 4)  # of the top alone
