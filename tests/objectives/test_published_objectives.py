"""Objectives of published methods: loss and gradient are those of the formula, written out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.objectives import OBJECTIVES, from_config
from tokenexit.objectives.learned_weights import RawWeights
from tokenexit.objectives.mutual_distillation import TermWeights
from tokenexit.training.batches import MicroBatch, labelled_words
from tokenexit.training.encoder_loss import EncoderLossModule

Rows = dict[int, Tensor]
Hand = Callable[[Any, Rows, Rows, Tensor, float], Any]
RAW = torch.tensor([[0.4, -0.7, 0.2], [-0.3, 0.5, 0.9]])
"""Weights of terms that are not all alike."""


def seen_by_exits(model: Any, sentences: list[Any]) -> tuple[Rows, Rows]:
    """States and logits of every exit from the plain network, sentence by sentence."""
    states: dict[int, list[Tensor]] = {layer: [] for layer in model.settings.exit_layers}
    for sentence in sentences:
        ids = torch.tensor([list(sentence.input_ids)])
        found = model.network(ids, output_hidden_states=True).hidden_states
        first = [rows[0] for rows in sentence.word_rows]
        for layer, kept in states.items():
            kept.append(found[layer][0, first])
    rows = {layer: torch.cat(kept) for layer, kept in states.items()}
    logits, past = {}, []
    for layer, hidden in rows.items():
        head = model.heads.at(layer) if layer < max(rows) else None
        reads = head is not None and head.reads_past and past
        logits[layer] = (
            model.backbone.classify(hidden) if head is None
            else head(hidden, torch.stack(past, dim=1)) if reads
            else head(hidden)
        )  # fmt: skip
        past.append(hidden)
    return rows, logits


def entropies(logits: Tensor, target: Tensor, smooth: float) -> Tensor:
    """Cross-entropy of labelled words, ``[K]``, smoothed."""
    known = target != -100
    log_p = logits[known].log_softmax(-1)
    gold = log_p[torch.arange(len(log_p)), target[known]]
    return -(1 - smooth) * gold - smooth * log_p.mean(-1)


def kl(first: Tensor, second: Tensor, heat: float = 1.0) -> Tensor:
    """``KL(first || second)`` of two exits' logits, ``[N]``."""
    p, q = (first / heat).softmax(-1), (second / heat).softmax(-1)
    return (p * (p.log() - q.log())).sum(-1)


def frozen(model, states, logits, target, smooth):
    # Every word teaches, labelled or not, and labels are not looked at.
    return (kl(logits[1], logits[3].detach()) + kl(logits[2], logits[3].detach())).sum() / 2


def guided(model, states, logits, target, smooth):
    known, top = target != -100, logits[3]
    total = entropies(top, target, smooth).sum()
    for layer in (1, 2):
        soft = kl(top.detach()[known], logits[layer][known], 3.0).sum()
        total = total + 0.1 * entropies(logits[layer], target, smooth).sum() + 0.9 * 9 * soft
    return total / 3


def mutual(weights: Tensor) -> Hand:
    def loss(model, states, logits, target, smooth):
        known, total = target != -100, torch.zeros(())
        for i in (1, 2, 3):
            labels = entropies(logits[i], target, smooth).sum()
            others = [kl(logits[j][known].detach(), logits[i][known], 1.5) for j in (1, 2, 3)]
            taught = sum(gap.sum() for j, gap in enumerate(others, 1) if j != i) / 2
            share = 0.7 * 1.5**2 * taught
            total = total + weights[0, i - 1] * labels + weights[1, i - 1] * share
        return total / 3

    return loss


def weighted(model, states, logits, target, smooth):
    low = RAW[0, :2].sigmoid()
    weights = [*low, 3 * 0.9 - low.sum()]
    terms = zip(weights, logits.values(), strict=True)
    return sum(w * entropies(said, target, smooth).sum() for w, said in terms) / 3


def diverse(model, states, logits, target, smooth):
    known, total = target != -100, torch.zeros(())
    for layer, weight in ((1, 1 / 6), (2, 2 / 6), (3, 3 / 6)):
        total = total + weight * entropies(logits[layer], target, smooth).sum()
        here, gaps = logits[layer][known].softmax(-1), []
        for other in range(1, layer):
            there = logits[other][known].softmax(-1).detach()
            middle = (here + there) / 2
            gap = (here * (here / middle).log() + there * (there / middle).log()).sum(-1)
            gaps.append(gap / 2 / math.log(2))
        if gaps:  # a reward, of the nearest alone
            total = total - 0.3 * weight * torch.stack(gaps).min(0).values.sum()
    return total


def ranked(model, states, logits, target, smooth):
    known, total, met = target != -100, torch.zeros(()), 0
    for said in logits.values():
        sure, best = said[known].softmax(-1).max(-1)
        easy = [c for c, b, t in zip(sure, best, target[known], strict=True) if b == t]
        hard = [c for c, b, t in zip(sure, best, target[known], strict=True) if b != t]
        gaps = [torch.relu(0.4 - (c - d)) for c in easy for d in hard]
        met += sum(bool(gap > 0) for gap in gaps)
        ranking = torch.stack(gaps).mean() * len(sure)
        total = total + (entropies(said, target, smooth).sum() + 0.6 * ranking) / 3
    assert met > 3
    return total


def mixed(model, states, logits, target, smooth):
    known, go_on, answer, ponder = target != -100, torch.ones(()), torch.zeros(()), []
    for layer, said in logits.items():
        answer = go_on * said[known].softmax(-1) + (1 - go_on) * answer
        if layer < 3:
            unit = model.heads.gate.units[str(layer)]
            go_on = go_on * torch.sigmoid(states[layer][known] @ unit.weight.T + unit.bias)
            ponder.append(go_on.sum())
    exits = sum(entropies(said, target, smooth).sum() for said in logits.values()) / 3
    final = entropies(answer.log(), target[known], smooth).sum()
    return 0.4 * exits + 0.6 * (final + 0.2 * sum(ponder))


def pondered(model, states, logits, target, smooth):
    known, gate = target != -100, model.heads.gate
    before, left, shares = torch.zeros_like(states[1]), torch.ones(int(known.sum())), []
    for layer in (1, 2):
        hidden = states[layer]
        found = before @ gate.before.weight.T + gate.now(hidden) + gate.depth.weight[layer]
        found = gate.project(gate.last(gate.middle(found.tanh()).tanh()).tanh())
        leave = found.sigmoid()[known, 0]
        shares.append(left * leave)
        left, before = left * (1 - leave), hidden
    shares.append(left)
    assert torch.allclose(torch.stack(shares).sum(0), torch.ones(()).double())
    prior = torch.tensor([0.3, 0.7 * 0.3, 0.7**2])
    pairs = zip(shares, logits.values(), strict=True)
    exits = sum((q * entropies(said, target, smooth)).sum() for q, said in pairs)
    gap = sum((p * (p.log() - q.log())).sum() for p, q in zip(prior, shares, strict=True))
    return exits + 0.8 * gap


def routed(model, states, logits, target, smooth):
    known, units = target != -100, model.heads.gate.units
    left = torch.ones(int(known.sum()))
    here, total, used = left > 0, torch.zeros(()), torch.zeros(())
    for layer in (1, 2, 3):
        on = units[str(layer)](states[layer])[known, 0].sigmoid() if layer < 3 else 0 * left
        share = left * (1 - on)
        paid = entropies(logits[layer], target, smooth) + 0.4 * layer / 3
        total = total + (share * paid).sum()
        used = used + (here & (on <= 0.5)).float().mean() * share.mean()
        left, here = left * on, here & (on > 0.5)
    return total + 0.2 * 3 * used * known.sum()


def imitated(model, states, logits, target, smooth):
    known, gaps = target != -100, []
    for layer, later in ((1, (2, 3)), (2, (3,))):
        guesses = model.heads.at(layer).imitators(states[layer][known]).tanh().chunk(len(later), -1)
        for guess, other in zip(guesses, later, strict=True):
            state = states[other][known].detach()
            angle = (guess * state).sum(-1) / guess.norm(dim=-1) / state.norm(dim=-1)
            gaps.append((1 - angle).sum())
    exits = sum(layer / 6 * entropies(said, target, smooth).sum() for layer, said in logits.items())
    return 0.75 * exits + 0.25 * sum(gaps) / 3


def joint(model, states, logits, target, smooth):
    return sum(entropies(said, target, smooth).sum() for said in logits.values()) / 3


def top_alone(model, states, logits, target, smooth):
    return entropies(logits[3], target, smooth).sum()


CASES: dict[str, tuple[dict[str, Any], Hand]] = {
    "frozen_distillation": ({}, frozen),
    "gradient_projection": ({}, guided),
    "mutual_distillation": ({"share": 0.7, "temperature": 1.5}, mutual(torch.ones(2, 3))),
    "mutual_distillation learned": (
        {"mode": "learned", "share": 0.7, "temperature": 1.5},
        mutual(RAW.flatten().softmax(0).view(2, 3) * 6),
    ),
    "learned_weights": ({"total": 0.9}, weighted),
    "diversity": ({"share": 0.3}, diverse),
    "difficulty_aware": ({"share": 0.6, "margin": 0.4}, ranked),
    "dact": ({"ponder": 0.2, "exits": 0.4}, mixed),
    "palbert": ({"beta": 0.8, "prior": 0.3}, pondered),
    "routed": ({"price": 0.4, "balance": 0.2}, routed),
    "imitation": ({"share": 0.25}, imitated),
    "searched": ({}, joint),
    "frozen_distillation first": ({"split": 0.95}, top_alone),
}


@pytest.fixture
def pupil(toy):
    """A model for an objective, in double precision, and words some of which have no class."""

    def build(name: str) -> tuple[Any, list[Any]]:
        asks = OBJECTIVES.get(name).asks
        gate = {"name": asks["gate"]} if "gate" in asks else False
        model = toy.build(sharp=3.0, head=asks.get("head", "linear"), gate=gate, double=True)
        return model, toy.sentences(model, 6, unlabelled=0.3)

    return build


def set_raw(room: Any) -> None:
    """Give learned weights values that differ."""
    if room.learned is not None:
        with torch.no_grad():
            raw = room.learned.raw
            raw.copy_(RAW if raw.dim() == 2 else RAW[0, : len(raw)])


@pytest.mark.parametrize("smooth", [0.0, 0.2])
@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_are_those_of_the_formula(
    case, smooth, pupil, gradients, agree, targets_of
):
    name, (settings, hand) = case.split()[0], CASES[case]
    model, sentences = pupil(name)
    objective = from_config({"name": name, "label_smoothing": smooth, **settings})
    room = EncoderLossModule(model.train(), objective)
    set_raw(room)
    words = sum(labelled_words(sentence) for sentence in sentences)
    part = MicroBatch(sentences, list(range(len(sentences))), words)
    losses = room(part, 0, 0.9, 0)
    got = gradients(model, losses.total)
    states, logits = seen_by_exits(model, sentences)
    if case == "frozen_distillation":  # the network is frozen
        states = {layer: hidden.detach() for layer, hidden in states.items()}
        logits = {layer: model.heads.at(layer)(states[layer]) for layer in (1, 2)} | {3: logits[3]}
    wanted = hand(model, states, logits, targets_of(sentences), smooth)
    torch.testing.assert_close(losses.total.double(), wanted.double(), rtol=1e-5, atol=1e-5)
    wanted_gradients = gradients(model, wanted)
    assert max(float(g.abs().max()) for g in wanted_gradients.values() if g is not None) > 0.1
    agree(got, wanted_gradients, 1e-4)
    for layer, (noted, count) in losses.by_layer.items():  # never smoothed, never weighted
        plain = entropies(logits[layer], targets_of(sentences), 0.0)
        assert int(count) == len(plain) == words
        torch.testing.assert_close(noted.double(), plain.sum().detach().double())


def test_weights_of_exits_learn_and_sum_to_what_is_said(pupil):
    model, sentences = pupil("learned_weights")
    room = EncoderLossModule(model, from_config("learned_weights"))
    weights = room.learned
    assert isinstance(weights, RawWeights)
    optimizer = torch.optim.SGD(weights.parameters(), lr=0.05)
    part = MicroBatch(sentences, list(range(6)), 1)
    before = None
    for _ in range(5):
        losses = room(part, 0, 0.0, 0)
        low = weights()
        loss = torch.stack([value for value, _ in losses.by_layer.values()])
        top = 3 - low.sum()  # on average one an exit
        weighed = torch.cat([low, top[None]])
        torch.testing.assert_close(losses.total.double(), ((weighed * loss).sum() / 3).double())
        assert before is None or float(losses.total.detach()) < before
        before = float(losses.total.detach())
        optimizer.zero_grad()
        losses.total.backward()
        # An exit weighs less the more it costs beyond the top.
        assert weights.raw.grad is not None
        assert torch.equal(weights.raw.grad.sign(), (loss[:2] - loss[2]).sign().float())
        optimizer.step()


def test_weights_of_terms_are_one_on_average():
    weights = TermWeights(3)
    torch.testing.assert_close(weights(), torch.ones(2, 3))
    with torch.no_grad():
        weights.raw.copy_(RAW)
    assert float(weights().detach().mean()) == pytest.approx(1)
    assert (weights() > 0).all()


def test_imitations_come_nearer_to_states_that_stay(pupil):
    """With the network fixed, the cosine distance falls; only imitators are told."""
    model, sentences = pupil("imitation")
    room = EncoderLossModule(model.train(), from_config({"name": "imitation", "share": 0.99}))
    part = MicroBatch(sentences, list(range(6)), 1)
    states, _ = seen_by_exits(model, sentences)
    own = [w for n, w in model.named_parameters() if "imitators" in n]
    assert len(own) == 4

    @torch.no_grad()
    def distance() -> float:
        guesses = [model.heads.at(1).imitate(states[1]), model.heads.at(2).imitate(states[2])]
        pairs = [(guesses[0][:, 0], 2), (guesses[0][:, 1], 3), (guesses[1][:, 0], 3)]
        near = [F.cosine_similarity(guess, states[layer], dim=-1) for guess, layer in pairs]
        return 1 - float(torch.stack(near).mean())

    optimizer, before = torch.optim.Adam(own, lr=0.02), distance()
    for _ in range(30):
        optimizer.zero_grad()
        room(part, 0, 0.0, 0).total.backward()
        optimizer.step()
    assert distance() < 0.6 * before
