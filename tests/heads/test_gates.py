"""Gates: what they read, learn and cost, and who may train them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForSeq2SeqLM

from tokenexit.decoders import DECODERS
from tokenexit.errors import UserError
from tokenexit.gates import GATES, build_gate
from tokenexit.gates.meta import MetaGate
from tokenexit.halting import LayerWork, PolicyVisitor, encode, pack
from tokenexit.halting.cost import macs
from tokenexit.heads import ExitHeads
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.models.words.token_classification import ExitModelForTokenClassification
from tokenexit.objectives import OBJECTIVES, from_config
from tokenexit.policies import LearnedGate
from tokenexit.signals import Signals
from tokenexit.testing import gate as promises
from tokenexit.training.batches import MicroBatch
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.gate_loss import WithGate
from tokenexit.training.seq2seq_loss import Seq2SeqLossModule

NAMES = [name for name, _ in GATES.items()]
every_gate = pytest.mark.parametrize("name", NAMES)
EXITS, WIDTH, CLASSES = (1, 3, 4), 6, 5


def make(name: str, **settings: Any) -> Any:
    torch.manual_seed(0)
    return build_gate({"name": name, **settings}, WIDTH, CLASSES, EXITS)


def arrived(layer: int = 3, count: int = 7, **changes: Any) -> Signals:
    """Rows at an exit, with states of the exit before and an exit head."""
    return replace(promises.arrived(count), layer=layer, **changes)


@every_gate
def test_rows_that_were_asked_are_counted(name, toy):
    model = toy.build(gate={"name": name}).eval()
    batch = pack(toy.sentences(model, 5))
    visitor = PolicyVisitor(LearnedGate(0.0), batch.num_words, "cpu")
    with torch.no_grad():
        work = encode(model.backbone, model.heads, batch, visitor)
    asked = sum(layer.gate for layer in work)
    assert asked == 2 * batch.num_words
    without = tuple(layer._replace(gate=0) for layer in work)
    more = macs(model.backbone, model.heads, work) - macs(model.backbone, model.heads, without)
    assert more == asked * model.heads.gate.macs > 0
    assert macs(model.backbone, model.heads, (LayerWork(gate=3),)) == 3 * model.heads.gate.macs


@every_gate
def test_saved_with_the_model(name, toy, tmp_path):
    model = toy.build(gate={"name": name}).eval()
    model.save_pretrained(tmp_path)
    again = ExitModelForTokenClassification.from_pretrained(tmp_path)
    assert type(again.heads.gate) is GATES.get(name)
    words = [["ax", "by", "cz"], ["bw"]]
    said = again.exit_table(words).gate
    assert said is not None
    assert torch.equal(model.exit_table(words).gate, said)


def test_each_unit_has_an_exit_of_its_own():
    gate = make("units", bias=1.5)
    for layer in EXITS:
        signals, unit = arrived(layer), gate.units[str(layer)]
        torch.testing.assert_close(gate(signals), (signals.hidden @ unit.weight[0] + 1.5).sigmoid())
    assert not gate(arrived(1)).allclose(gate(arrived(3)))


def test_a_pair_reads_two_states_and_the_depth():
    gate = make("pair", inner=4)
    whole = gate(arrived())
    assert not gate(arrived(4)).allclose(whole)
    assert not gate(arrived(previous=lambda: torch.zeros(7, WIDTH))).allclose(whole)
    first = gate(arrived(previous=None))
    torch.testing.assert_close(first, gate(arrived(previous=lambda: torch.zeros(7, WIDTH))))


def test_the_meta_gate_reads_what_the_exit_says():
    gate, signals = make("meta", inner=3), arrived()
    chance = signals.logits.softmax(-1)
    best, second = chance.topk(2).values.T
    lead = torch.stack([best, best - second], dim=1)
    found = signals.hidden @ gate.read.weight.T + gate.read.bias
    found = found + lead @ gate.sure.weight.T + gate.sure.bias
    found = found + gate.named.weight[chance.argmax(-1)] + gate.depth.weight[3]
    said = (found.tanh() @ gate.project.weight[0] + gate.project.bias).sigmoid()
    torch.testing.assert_close(gate(signals), said)


def test_disagreement_and_agreement_weigh_the_same():
    gate: Any = MetaGate(WIDTH, CLASSES, EXITS)
    guess, wrong = torch.tensor([0.2, 0.7, 0.4, 0.9]), torch.tensor([1.0, 0.0, 0.0, 0.0])
    log = -torch.tensor([0.2, 0.3, 0.6, 0.1]).log()
    wanted = 4 * (log[0] / 2 + log[1:].mean() / 2)
    torch.testing.assert_close(gate.loss(guess, wrong), wanted)
    for same in (0.0, 1.0):  # one case alone weighs as ever
        plain = F.binary_cross_entropy(guess, torch.full((4,), same), reduction="sum")
        torch.testing.assert_close(gate.loss(guess, torch.full((4,), same)), plain)
    assert float(gate.loss(guess[:0], wrong[:0])) == 0
    assert gate.loss(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])).isfinite()


@pytest.mark.parametrize(("name", "wrong"), [("linear", [0, 0, 0, 1]), ("meta", [0, 1, 0, 1])])
def test_what_a_gate_is_taught(name, wrong):
    """The linear one by the gold class, CAT's by the answer at the top."""
    told: list[Tensor] = []
    gate: Any = SimpleNamespace(taught=GATES.get(name).taught)
    gate.loss = lambda guess, truth: told.append(truth) or guess.sum()
    lesson: Any = SimpleNamespace(arrive=lambda signals, words: None, scored=None)
    visitor = WithGate(lesson, gate, 5)
    gold = torch.tensor([0, 1, 2, 0, -100])
    for layer, best in ((3, [0, 1, 2, 3, 4]), (6, [0, 0, 2, 0, 0])):
        logits = F.one_hot(torch.tensor(best), CLASSES).float()
        given = {"head": lambda hidden, logits=logits: logits, "target": gold}
        shown = arrived(layer, 5, gate_head=lambda signals: signals.hidden[:, 0], **given)
        visitor.arrive(shown, torch.arange(5))
    visitor.loss()
    assert [truth.tolist() for truth in told] == [wrong]  # of labelled rows, at the exit alone


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "lineer"}, r"gate 'lineer'\. Did you mean 'linear'"),
        ({"name": "meta", "iner": 3}, r"setting of gate meta 'iner'\. Did you mean 'inner'"),
        ({"name": "linear", "inner": 3}, "setting of gate linear 'inner'"),
        ({"name": "pair", "width": 3}, "setting of gate pair 'width'"),
        ({"inner": 3}, "must be true, false or a mapping"),
        ("linear", "must be true, false or a mapping"),
        *(({"name": "meta", "inner": bad}, "inner width") for bad in (0, 2.5, "8", True, None)),
        *(({"name": "units", "bias": bad}, "bias") for bad in ("x", None, float("nan"))),
    ],
)
def test_bad_settings(config, message):
    with pytest.raises(UserError, match=message):
        ExitHeads({"gate": config}, EXITS, WIDTH, CLASSES)


def test_no_gate_and_the_plainest():
    for nothing in (None, False, {}):
        assert build_gate(nothing, WIDTH, CLASSES, EXITS) is None
    assert type(build_gate(True, WIDTH, CLASSES, EXITS)) is GATES.get("linear")


DEMANDING = [(name, kind) for name, cls in OBJECTIVES.items() for kind in cls.asks]


@pytest.mark.parametrize(("name", "kind"), DEMANDING)
def test_objectives_ask_for_what_they_train(name, kind, toy, tmp_path):
    key = {"head": "heads.name", "gate": "heads.gate.name"}[kind]
    wanted = OBJECTIVES.get(name).asks[kind]
    said, model = f"{name} needs {key}={wanted}, and the model has", toy.build()
    with pytest.raises(UserError, match=said):
        toy.fit(model, toy.sentences(model, 3), tmp_path, objective={"name": name})
    with pytest.raises(UserError, match=said):
        EncoderLossModule(toy.build(gate=True), from_config(name))
    fits = {"head": {"head": wanted}, "gate": {"gate": {"name": wanted}}}[kind]
    model = toy.build(**fits)
    part = MicroBatch(toy.sentences(model, 3), [0, 1, 2], 1)
    assert EncoderLossModule(model, from_config(name))(part, 0, 0.0, 0).total.isfinite()


@pytest.mark.parametrize("name", [*dict(DEMANDING), "frozen_distillation"])
def test_generators_have_no_such_heads(name):
    config = DECODERS.get("t5").example_config("t5")
    network = AutoModelForSeq2SeqLM.from_config(config)
    model = ExitModelForSeq2SeqLM.from_transformers(network)
    with pytest.raises(UserError, match=f"{name} trains heads or gates of their own"):
        Seq2SeqLossModule(model, from_config(name))
