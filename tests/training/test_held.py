"""Words that are held where they are teach what words that leave teach."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForSeq2SeqLM

from tokenexit.decoders import DECODERS
from tokenexit.decoding.teacher_forcing import Pair
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.objectives import BatchLoss, from_config
from tokenexit.policies import Policy, Vote
from tokenexit.training import loss_module
from tokenexit.training.batches import MicroBatch
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.hold import holds
from tokenexit.training.seq2seq_loss import Seq2SeqLossModule

SURE = {"name": "max_prob"}
POLICIES: dict[str, dict[str, Any]] = {
    "entropy": {"policy": "entropy", "strict": 0.9, "loose": 1.0},
    "window": {"policy": {"name": "window", "policy": SURE}, "strict": 0.5, "loose": 0.34},
    "sentence": {"policy": {"name": "per_sentence", "policy": SURE}, "strict": 0.4, "loose": 0.34},
    "mean": {"policy": {"name": "per_sentence", "policy": {"name": "entropy"}, "how": "mean"},
             "strict": 0.9, "loose": 1.0},
    "patience": {"policy": "patience", "strict": 2, "loose": 1},
    "saturation": {"policy": "saturation", "strict": 0.95, "loose": 0.5},
    "gate": {"policy": "learned_gate", "strict": 0.45, "loose": 0.55},
}  # fmt: skip
COMMON = {"name": "halt_and_copy", "warmup": 0.0, "full": 0.3}


def as_on_a_gpu(given: BatchLoss, device: torch.device, *rest: Any, **more: Any) -> bool:
    return holds(given, torch.device("cuda"), *rest, **more)


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Hold words as on a GPU, or let them leave."""

    def choose(held: bool) -> None:
        monkeypatch.setattr(loss_module, "holds", as_on_a_gpu if held else holds)

    return choose


def taught(room: Any, part: MicroBatch) -> tuple[Any, dict[str, Tensor | None]]:
    room.zero_grad(set_to_none=True)
    losses = room(part, 5, 0.9, 0)
    losses.total.backward()
    return losses, {name: weight.grad for name, weight in room.named_parameters()}


def compare(room: Any, part: MicroBatch, hold: Any) -> list[int]:
    """Both ways; how many words arrived at each exit."""
    hold(False)
    one, left = taught(room, part)
    hold(True)
    other, held = taught(room, part)
    torch.testing.assert_close(one.total, other.total)
    counts = []
    for layer, (loss, count) in other.by_layer.items():
        # Where all have left nobody is shown at all.
        there, number = one.by_layer.get(layer, (torch.zeros_like(loss), torch.zeros_like(count)))
        torch.testing.assert_close(there, loss)
        assert torch.equal(number, count)
        counts.append(int(count))
    for name, gradient in held.items():
        wanted = left[name]
        if gradient is None:
            assert wanted is None, name
        else:
            wanted = torch.zeros_like(gradient) if wanted is None else wanted
            torch.testing.assert_close(wanted, gradient, atol=1e-6, rtol=1e-5, msg=name)
    return counts


def test_a_text_alone(toy: Any, hold: Any) -> None:
    model = toy.build(sharp=3.0, double=True, layers=4)
    room = EncoderLossModule(model, from_config({**COMMON, **POLICIES["window"], "full": 0.0}))
    for number in range(5):
        compare(room, MicroBatch(toy.sentences(model, 1, seed=number), [0], 1), hold)


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("pool", ["first", "mean"])
def test_taggers(name: str, pool: str, toy: Any, hold: Any) -> None:
    model = toy.build(sharp=3.0, double=True, gate=True, layers=4)
    model.heads.pool = pool
    examples = toy.sentences(model, 9, unlabelled=0.2)
    room = EncoderLossModule(model, from_config({**COMMON, **POLICIES[name]}))
    counts = compare(room, MicroBatch(examples, [*range(9)], 1), hold)
    assert counts == sorted(counts, reverse=True)
    assert 0 < counts[-1] < counts[0], "nobody left, or everybody did"


def pairs(count: int) -> list[Pair]:
    random = torch.Generator().manual_seed(0)

    def text() -> list[int]:
        length = int(torch.randint(2, 9, (1,), generator=random))
        return [*torch.randint(5, 30, (length,), generator=random).tolist(), 1]

    made = [(text(), text()) for _ in range(count)]
    return [Pair(source, [-100, *target[1:]], [0, *target[:-1]]) for source, target in made]


@pytest.mark.parametrize("family", ["t5", "bart"])
@pytest.mark.parametrize("name", ["patience", "saturation", "gate"])
def test_generators(family: str, name: str, hold: Any) -> None:
    torch.manual_seed(0)
    config = DECODERS.get(family).example_config(family)
    config.dropout = config.dropout_rate = config.attention_dropout = 0.0
    config.activation_dropout = 0.0
    network = AutoModelForSeq2SeqLM.from_config(config)
    model = ExitModelForSeq2SeqLM.from_transformers(network, gate=True, depth=True).double()
    room = Seq2SeqLossModule(model, from_config({**COMMON, **POLICIES[name]}))
    counts = compare(room.train(), MicroBatch(pairs(8), [*range(8)], 1), hold)
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0], "nobody left"


def test_padding_to_multiples_teaches_the_same() -> None:
    torch.manual_seed(0)
    config = DECODERS.get("t5").example_config("t5")
    config.dropout_rate = 0.0
    network = AutoModelForSeq2SeqLM.from_config(config)
    model = ExitModelForSeq2SeqLM.from_transformers(network).double()
    part = MicroBatch(pairs(8), [*range(8)], 1)
    one, other = (
        taught(Seq2SeqLossModule(model, from_config("joint"), pad_to=width).train(), part)
        for width in (1, 16)
    )
    torch.testing.assert_close(one[0].total, other[0].total)
    for name, gradient in one[1].items():
        torch.testing.assert_close(gradient, other[1][name], msg=name)


def test_who_is_held(toy: Any) -> None:
    def asked(policy: Policy | None, device: str, **more: Any) -> bool:
        given = BatchLoss()
        given.deciding = policy
        return holds(given, torch.device(device), 3, ("A", "B"), (1, 2), **more)

    from tokenexit.gates.linear import LinearGate
    from tokenexit.gates.meta import MetaGate
    from tokenexit.policies import ContextGate, Entropy, Window

    assert asked(Entropy(0.5), "cuda")
    assert asked(Window(Entropy(0.5)), "cuda", gate=LinearGate(4))
    assert not asked(Entropy(0.5), "cpu")
    assert not asked(None, "cuda")  # nobody halts, or the host knows
    assert not asked(ContextGate(0.3), "cuda")  # looks at its neighbours in ways of its own
    assert not asked(Vote(2), "cuda")  # no rule: it may look at whatever it likes
    assert not asked(Entropy(0.5), "cuda", gate=MetaGate(4, 2, (1, 2)))
