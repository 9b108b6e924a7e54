"""What policies see: computed when read, right after others have left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tokenexit import policies
from tokenexit.errors import UserError
from tokenexit.halting import PolicyVisitor, encode, encode_dense, pack
from tokenexit.policies import Policy
from tokenexit.signals import Signals


def arriving(exit_layers: Tensor, layers: int) -> list[int]:
    """How many words come to each exit, from the first."""
    return [int((exit_layers >= layer).sum()) for layer in range(1, layers + 1)]


def leaving(exit_layers: Tensor, layers: int) -> list[int]:
    return [int((exit_layers == layer).sum()) for layer in range(1, layers + 1)]


def test_nobody_reads_so_only_words_that_leave_are_scored(network, sentences, run):
    for policy in (policies.Hash(1, 6), policies.LearnedGate(0.5), policies.Never()):
        done = run(network, sentences, policy)
        heads = [layer.head for layer in done.work]
        assert heads == leaving(done.exit_layers, network.backbone.num_layers)


def test_whoever_reads_has_everybody_scored_once(network, sentences, run):
    done = run(network, sentences, policies.AllOf((policies.Entropy(0.5), policies.Margin(0.3))))
    heads = [layer.head for layer in done.work]
    assert heads == arriving(done.exit_layers, network.backbone.num_layers)
    assert all(layer.gate == 0 for layer in done.work)


def test_the_gate_is_counted_where_it_is_read(network, sentences, run):
    done = run(network, sentences, policies.LearnedGate(0.5))
    layers = network.backbone.num_layers
    gates = [layer.gate for layer in done.work]
    assert gates == [*arriving(done.exit_layers, layers)[:-1], 0]  # nobody is asked at the top


def test_exits_that_are_not_asked_cost_nothing(network, sentences, run):
    done = run(network, sentences, policies.EveryKth(policies.Entropy(0.5), 2))
    assert [done.work[index].head for index in (0, 2, 4)] == [0, 0, 0]
    assert done.work[1].head == len(done.exit_layers)


@dataclass(frozen=True)
class Watch(Policy):
    """Halts as told, and keeps what it saw."""

    depths: tuple[int, ...]
    seen: dict[int, Any]

    def init(self, num_rows: int, device: Any = "cpu") -> Tensor:
        return torch.arange(num_rows)

    def step(self, signals: Signals, state: Any) -> tuple[Tensor, Any]:
        self.seen[signals.layer] = (state, signals, signals.previous_hidden)
        return torch.tensor(self.depths)[state] <= signals.layer, state


@pytest.mark.parametrize("layers", [(1, 2, 3, 4, 5), (2, 5)])
@pytest.mark.parametrize("dense", [False, True], ids=["engine", "reference"])
@torch.no_grad()
def test_signals_belong_to_the_words_that_are_left(network, sentences, layers, dense):
    class Fewer:
        def __init__(self) -> None:
            self.layers, self.reads_past = layers, False
            self.pool, self.context = "first", None

        def __getattr__(self, name: str) -> Any:
            return getattr(network.heads, name)

    batch: Any = pack(sentences)
    depths = torch.randint(1, 8, (batch.num_words,), generator=torch.Generator().manual_seed(0))
    watch = Watch(tuple(depths.tolist()), {})
    visitor = PolicyVisitor(watch, batch.num_words, "cpu")
    run: Any = encode_dense if dense else encode
    run(network.backbone, Fewer(), batch, visitor)
    assert tuple(watch.seen) == layers
    before: Any = None
    for layer in layers:
        words, signals, previous = watch.seen[layer]
        gone = [depths <= exit_layer for exit_layer in layers if exit_layer < layer]
        still = ~torch.stack(gone).any(0) if gone else torch.ones_like(depths, dtype=torch.bool)
        assert torch.equal(words, still.nonzero()[:, 0])
        assert torch.equal(signals.sequence, batch.word_sequence[words])
        assert torch.equal(signals.position, batch.word_position[words])
        assert torch.equal(signals.item_id, batch.word_item[words])
        assert torch.equal(signals.target, batch.word_target[words])
        assert (signals.num_sequences, signals.extent) == (len(sentences), 20)
        if before is None:
            assert previous is None
        else:
            then, hidden = before
            place = torch.searchsorted(then, words)
            assert torch.equal(previous, hidden[place])
            assert not torch.equal(previous, signals.hidden)
        before = words, signals.hidden


def example(**changes: Any) -> Signals:
    rows = torch.arange(12.0).reshape(4, 3)
    signals = Signals(
        layer=2,
        num_layers=6,
        hidden=rows,
        sequence=torch.tensor([0, 0, 1, 1]),
        position=torch.tensor([0, 1, 0, 1]),
        item_id=torch.tensor([5, 6, 7, 8]),
        num_sequences=2,
        extent=2,
        head=lambda hidden: 2 * hidden,
        gate_head=lambda signals: signals.hidden[:, 0],
        previous=lambda: rows - 1,
        step=torch.tensor([3, 3, 4, 4]),
        target=torch.tensor([0, 1, 2, -100]),
    )
    return replace(signals, **changes)


@pytest.mark.parametrize(
    "rows", [torch.tensor([2, 0]), torch.tensor([True, False, True, False])], ids=["ids", "mask"]
)
@pytest.mark.parametrize("read_first", [False, True])
def test_selected_rows_carry_everything(rows, read_first):
    signals = example()
    if read_first:
        assert signals.logits is signals.logits
        _ = signals.gate, signals.previous_hidden
    part = signals.select(rows)
    assert len(part) == 2
    for name in ("hidden", "sequence", "position", "item_id", "step", "target"):
        assert torch.equal(getattr(part, name), getattr(signals, name)[rows])
    for name in ("logits", "gate", "previous_hidden"):
        assert (name in part.__dict__) == read_first
        assert torch.equal(getattr(part, name), getattr(example(), name)[rows])
    assert (part.layer, part.num_layers, part.num_sequences, part.extent) == (2, 6, 2, 2)


def test_what_is_read_is_computed_once():
    calls: list[str] = []

    def head(hidden: Tensor) -> Tensor:
        calls.append("head")
        return hidden

    signals = example(head=head)
    assert not calls
    _ = signals.logits, signals.logits, signals.select(torch.tensor([1])).logits
    assert calls == ["head"]


def test_what_is_missing_is_said():
    bare = example(gate_head=None, previous=None, step=None, target=None)
    assert bare.previous_hidden is None
    assert bare.select(torch.tensor([0])).previous_hidden is None
    with pytest.raises(UserError, match=r"heads\.gate=true"):
        _ = bare.gate
    assert not bare.none().any()
    assert len(bare.none()) == 4
