"""A training step asks the device nothing: run where tensors have no numbers to be asked for.

On the ``meta`` device shapes are known and numbers are not, so whatever a host would wait for
fails. What is sent there is counted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForSeq2SeqLM, BertConfig, BertForTokenClassification

from tokenexit.decoders import DECODERS
from tokenexit.decoding.teacher_forcing import Pair
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.objectives import OBJECTIVES, from_config
from tokenexit.training import TrainConfig
from tokenexit.training.batches import MicroBatch, steps
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.optimizer import build_optimizer
from tokenexit.training.seq2seq_loss import Seq2SeqLossModule
from tokenexit.training.step import one_step
from tokenexit.training.tracking import read_log

WAITING = {"searched": "asks which form is in front when it derives one, and each head once before"}
"""Objectives whose steps are not free of waiting, and why."""

NEEDING = {
    name
    for name, cls in OBJECTIVES.items()
    if cls.reads_teacher or cls.reads_columns or cls.reduces or cls.scores
}
"""What phases give, or rows that are left: their number is asked of the device."""

OBJECTIVE_NAMES = [name for name, _ in OBJECTIVES.items() if name not in {*WAITING, *NEEDING}]
OF_GENERATORS = [
    name
    for name in OBJECTIVE_NAMES
    if not (OBJECTIVES.get(name).asks or OBJECTIVES.get(name).own_heads)
]

# A batch's texts, its groups of like lengths, the top's groups and the rows that ask there.
SENT = 4
MORE = {
    "halt_and_copy": 1,
    "layer_skip": 3,
}  # who gets which setting; who skips which layer, and whose the rows are
SENT_PAIRS = 1
MORE_PAIRS = {"halt_and_copy": 1, "layer_skip": 1}


VIEWS = frozenset(
    "view t transpose permute unsqueeze squeeze expand slice select split detach".split()
)


class Sending(TorchDispatchMode):
    """Counts what comes from the host."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = self.operators = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.operators += func.overloadpacket.__name__ not in VIEWS
        if func.overloadpacket.__name__ in ("_to_copy", "copy_"):
            leaves = tree_leaves((args, kwargs, made))
            kinds = {leaf.device.type for leaf in leaves if isinstance(leaf, Tensor)}
            self.sent += kinds == {"cpu", "meta"}
        return made


def stub(device: str) -> Any:
    """What a step asks of an accelerator, on devices that it does not know."""
    return SimpleNamespace(
        autocast=contextlib.nullcontext,
        backward=lambda loss: loss.backward(),
        no_sync=lambda module: contextlib.nullcontext(),
        unwrap_model=lambda module: module,
        clip_grad_norm_=torch.nn.utils.clip_grad_norm_,
        num_processes=1,
        mixed_precision="no",
        device=torch.device(device),
    )


def on_meta(room: Any, parts: Any, config: TrainConfig) -> list[int]:
    """Take steps where there are no numbers; what each has sent."""
    told = stub("meta")
    optimizer = build_optimizer(room.model, config)
    counts = []
    for step in parts:
        with Sending() as sending:
            sums = one_step(step, room, optimizer, told, config, 1, 0, 1e-3)
        assert sums
        assert all(value.is_meta for pair in sums.values() for value in pair)
        counts.append(sending.sent)
    return counts


def plan(examples: Any, batch_size: int = 4, start: int = 1, stop: int = 2) -> Iterator[Any]:
    """Steps of a training of one: number 0 is at its beginning, the others at its end."""
    told: Any = {"batch_size": batch_size, "accumulation": 1, "seed": 0}
    return steps(examples, **told, start=start, stop=stop)


def tagger(toy: Any, name: str, device: str = "meta", **more: Any) -> tuple[Any, Any]:
    """A loss module on a device, and sentences on the host."""
    asks = OBJECTIVES.get(name).asks
    gate = {"name": asks["gate"]} if "gate" in asks else True
    given: dict[str, Any] = {"gate": gate, "head": asks.get("head", "linear"), **more}
    objective = {"name": name, **given.pop("objective", {})}
    model = toy.build(**given)
    examples = toy.sentences(model, 12, unlabelled=0.3)
    return EncoderLossModule(model, from_config(objective)).to(device).train(), examples


@pytest.mark.parametrize("name", OBJECTIVE_NAMES)
def test_taggers(name: str, toy: Any) -> None:
    room, examples = tagger(toy, name)
    counts = on_meta(room, plan(examples), TrainConfig(objective={"name": name}))
    if name == "mixed_depth":  # tells the device who leaves at each of three exits
        assert max(counts) <= SENT + 15
    else:
        assert counts == [SENT + MORE.get(name, 0)]


@pytest.mark.parametrize("name", ["two_stage", "frozen_distillation", "halt_and_copy"])
def test_the_first_stage_of_a_training(name: str, toy: Any) -> None:
    room, examples = tagger(toy, name)
    config = TrainConfig(objective={"name": name})
    assert on_meta(room, plan(examples, start=0, stop=1), config)[0] <= SENT + 1


@pytest.mark.parametrize("policy", ["entropy", "patience", "saturation", "learned_gate"])
def test_halting_by_other_policies(policy: str, toy: Any) -> None:
    told = {"policy": policy, "warmup": 0.0}
    room, examples = tagger(toy, "halt_and_copy", objective=told)
    assert on_meta(room, plan(examples), TrainConfig()) == [SENT + 1]


def pairs(count: int) -> list[Pair]:
    random = torch.Generator().manual_seed(0)

    def text() -> list[int]:
        length = int(torch.randint(2, 7, (1,), generator=random))
        return [*torch.randint(5, 30, (length,), generator=random).tolist(), 1]

    made = [(text(), text()) for _ in range(count)]
    return [Pair(source, target, [0, *target[:-1]]) for source, target in made]


def generator(family: str, name: str, **more: Any) -> Any:
    config = DECODERS.get(family).example_config(family)
    network = AutoModelForSeq2SeqLM.from_config(config)
    model = ExitModelForSeq2SeqLM.from_transformers(network, gate=True, depth=True)
    return Seq2SeqLossModule(model, from_config(name), **more).to("meta").train()


@pytest.mark.parametrize("name", OF_GENERATORS)
def test_generators(name: str) -> None:
    room = generator("t5", name)
    counts = on_meta(room, plan(pairs(8)), TrainConfig(objective={"name": name}))
    if name == "mixed_depth":
        assert max(counts) <= SENT_PAIRS + 15
    else:
        # Which tokens have something to learn is sent where a lesson asks.
        assert max(counts) <= SENT_PAIRS + MORE_PAIRS.get(name, 0) + 1


@pytest.mark.parametrize("pad_to", [1, 8])
def test_another_family_and_shapes_that_repeat(pad_to: int) -> None:
    room = generator("bart", "halt_and_copy", pad_to=pad_to)
    shapes = set()

    def look(_: Any, args: Any) -> None:
        shapes.add(tuple(args[0].shape))

    room.model.network.get_encoder().embed_tokens.register_forward_pre_hook(look)
    on_meta(room, plan(pairs(8), batch_size=2, start=0, stop=4), TrainConfig())
    if pad_to == 8:
        assert shapes == {(2, 8)}
    else:
        assert len(shapes) > 1


def test_operators_of_a_step(toy: Any) -> None:
    """Beside the plain network's: rows laid out and back in each layer, and what exits learn."""
    shape = {"num_hidden_layers": 4, "hidden_size": 16, "num_attention_heads": 2}
    config = BertConfig(intermediate_size=24, vocab_size=40, num_labels=3, **shape)
    plain = BertForTokenClassification(config).to("meta").train()
    ids = torch.ones(4, 9, dtype=torch.long, device="meta")
    with Sending() as alone:
        plain(input_ids=ids, labels=ids).loss.backward()
    counts = {}
    for name in ("single", "joint", "halt_and_copy"):
        room, examples = tagger(toy, name, layers=4, gate=False)
        (step,) = plan(examples)
        with Sending() as ours:
            room(step.micro_batches[0], 1, 1.0, 0).total.backward()
        counts[name] = ours.operators
    layers, exits = 4, 3
    assert counts["single"] - alone.operators <= 17 * layers
    assert counts["joint"] - counts["single"] <= 18 * exits
    assert counts["halt_and_copy"] - counts["joint"] <= 70 * exits


# --- what does wait -----------------------------------------------------------------------------


def waits() -> Any:
    return pytest.raises((RuntimeError, NotImplementedError), match="meta")


def test_reading_a_number_is_noticed(toy: Any) -> None:
    room, examples = tagger(toy, "joint")
    start = type(room.objective).start

    def reading(self: Any, occasion: Any) -> Any:
        lesson = start(self, occasion)
        arrive = lesson.arrive
        lesson.arrive = lambda signals, words: (
            float(signals.logits.detach().sum()),
            arrive(signals, words),
        )
        return lesson

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(room.objective), "start", reading)
        with waits():
            on_meta(room, plan(examples), TrainConfig())


@pytest.mark.parametrize("name", WAITING)
def test_objectives_that_wait(name: str, toy: Any) -> None:
    room, examples = tagger(toy, name)
    with waits():
        on_meta(room, plan(examples), TrainConfig(objective={"name": name}))


OTHERS = {
    "a policy that is no rule": {"objective": {"policy": "vote"}},
    "a gate whose loss is no sum over rows": {"gate": {"name": "meta"}},
}


@pytest.mark.parametrize("what", OTHERS)
def test_halting_that_waits(what: str, toy: Any) -> None:
    more: dict[str, Any] = {"objective": {}, **OTHERS[what]}
    more["objective"] = {**more["objective"], "warmup": 0.0}
    room, examples = tagger(toy, "halt_and_copy", **more)
    with waits():
        on_meta(room, plan(examples), TrainConfig())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("name", ["joint", "halt_and_copy", "self_distillation"])
def test_torch_itself_finds_no_wait_on_a_gpu(name: str, toy: Any) -> None:
    config = TrainConfig(objective={"name": name})
    room, examples = tagger(toy, name, device="cuda")
    optimizer = build_optimizer(room.model, config)
    told = stub("cuda")
    for number, step in enumerate(plan(examples, start=0, stop=4)):
        torch.cuda.set_sync_debug_mode("error" if number > 1 else "default")
        try:
            one_step(step, room, optimizer, told, config, 1, 0, 1e-3)
        finally:
            torch.cuda.set_sync_debug_mode("default")


# --- log entries --------------------------------------------------------------------------------


def test_losses_are_fetched_for_log_entries_alone(
    toy: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    from tokenexit.training import loop
    from tokenexit.training.finite import Finite

    asked: list[int] = []
    ask = Finite.ask
    monkeypatch.setattr(Finite, "ask", lambda self, step: (asked.append(step), ask(self, step))[1])
    step = loop.one_step

    def spoiled(plan: Any, *rest: Any) -> Any:
        sums = step(plan, *rest)
        if plan.number == 3:
            return {layer: (loss * float("nan"), count) for layer, (loss, count) in sums.items()}
        return sums

    monkeypatch.setattr(loop, "one_step", spoiled)
    model = toy.build()
    toy.fit(model, toy.sentences(model, 8), tmp_path, max_steps=7, log_every=3)
    assert asked == [3, 6, 7]
    assert [entry["step"] for entry in read_log(tmp_path / "train_log.jsonl")] == asked
    told = [record.message for record in caplog.records if "no number" in record.message]
    assert len(told) == 1
    assert "from 4 to 6" in told[0]


def test_a_part_without_labels(toy: Any) -> None:
    model = toy.build(gate=True)
    (one,) = toy.sentences(model, 1)
    room = EncoderLossModule(model, from_config("halt_and_copy")).to("meta").train()
    losses = room(MicroBatch([one.unlabelled()], [0], 0), 0, 0.9, 0)
    losses.total.backward()
    assert losses.total.is_meta
