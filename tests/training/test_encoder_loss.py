"""The gate beside an objective, and gradients accumulated over parts of a step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tokenexit.halting import encode, pack
from tokenexit.objectives import from_config
from tokenexit.training.batches import MicroBatch, labelled_words
from tokenexit.training.encoder_loss import EncoderLossModule


def learn(model: Any, sentences: list[Any], objective: Any = "joint") -> tuple[Any, Any]:
    """Losses and gradients of one batch."""
    part = MicroBatch(
        sentences, list(range(len(sentences))), sum(labelled_words(s) for s in sentences)
    )
    model.train()
    model.zero_grad(set_to_none=True)
    losses = EncoderLossModule(model, from_config(objective))(part, 0, 0.9, 0)
    losses.total.backward()
    return losses, {name: weight.grad for name, weight in model.named_parameters()}


class Look:
    """Collects what the gate should say, from the exits themselves."""

    def __init__(self) -> None:
        self.total = torch.zeros(())

    def arrive(self, signals, words):
        if signals.layer < signals.num_layers:
            known = signals.target != -100
            wrong = (signals.logits.argmax(-1) != signals.target).float()
            self.total += ((signals.gate - wrong) ** 2)[known].sum()

    def leave(self, halted, staying):
        pass


@pytest.mark.parametrize("objective", ["joint", "single", "two_stage", "halt_and_copy"])
def test_the_gate_learns_apart_from_the_network(objective, toy, largest_gap):
    model = toy.build(gate=True)
    sentences = toy.sentences(model, 6, unlabelled=0.3)
    losses, gradients = learn(model, sentences, objective)
    gate, model.heads.gate = model.heads.gate, None
    plain, wanted = learn(model, sentences, objective)
    model.heads.gate = gate
    for name in ("heads.gate.project.weight", "heads.gate.project.bias"):
        assert gradients.pop(name).abs().sum() > 0
    assert largest_gap(gradients, wanted) == 0
    if objective == "joint":
        look = Look()
        with torch.no_grad():
            encode(model.backbone, model.heads, pack(sentences), look)
        torch.testing.assert_close(losses.total - plain.total, look.total)


def test_the_gate_learns_to_tell_when_exits_are_wrong(toy):
    # One word has each class a third of the time: no exit can be right about it.
    model = toy.build(gate=True)
    random = torch.Generator().manual_seed(0)
    sentences = []
    for sentence in toy.sentences(model, 400):
        ids, targets = list(sentence.input_ids), list(sentence.targets)
        for word, rows in enumerate(sentence.word_rows):
            if ids[rows[0]] == sentence.input_ids[1]:
                ids[rows[0]] = model.tokenizer.unk_token_id
                targets[word] = int(torch.randint(3, (1,), generator=random))
        sentences.append(type(sentence)(ids, sentence.word_rows, targets))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    for step in range(80):
        learn(model, sentences[step * 10 % 400 :][:10])
        optimizer.step()
    batch = pack(sentences)
    said: dict[bool, list[float]] = {True: [], False: []}

    class Read(Look):
        def arrive(self, signals, words):
            coin = signals.item_id == model.tokenizer.unk_token_id
            for kind in said if signals.layer < signals.num_layers else ():
                said[kind].extend(signals.gate[coin == kind].tolist())

    with torch.no_grad():
        encode(model.backbone, model.heads, batch, Read())
    assert sum(said[True]) / len(said[True]) > 0.45
    assert sum(said[False]) / len(said[False]) < 0.15


def test_a_borrowed_sentence_weighs_nothing(toy):
    model = toy.build(gate=True, sharp=4.0)
    (sentence,) = toy.sentences(model, 1)
    idle = type(sentence)(sentence.input_ids, sentence.word_rows, [-100] * len(sentence.targets))
    for objective in ("joint", "single", "two_stage", "self_distillation", "halt_and_copy"):
        _, real = learn(model, [sentence], objective)
        losses, gradients = learn(model, [idle], objective)
        assert float(losses.total.detach()) == 0
        assert all(int(count) == 0 for _, count in losses.by_layer.values())
        for name, gradient in gradients.items():
            assert (gradient is None) == (real[name] is None), name
            assert gradient is None or not gradient.any(), name
