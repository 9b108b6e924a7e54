"""The search of PoWER-BERT: weights on ranks, their price, and the numbers that they end in."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tokenexit import reducers
from tokenexit.errors import UserError
from tokenexit.halting import encode, pack
from tokenexit.objectives import BatchInfo, from_config
from tokenexit.objectives.base import check_heads
from tokenexit.objectives.retention import RankWeights, Retention, counts_of
from tokenexit.testing import check_objective
from tokenexit.training.batches import MicroBatch, labelled_words
from tokenexit.training.encoder_loss import EncoderLossModule

SEARCHED = {"name": "significance", "ratio": 1.0, "own": False, "fate": "restore", "least": 1}


def test_masses_become_numbers_that_never_rise():
    masses = torch.tensor([40.7, 43.2, 12.9, 0.3])
    weights = torch.zeros(4, 64)
    for layer, mass in enumerate(masses.tolist()):
        weights[layer, : int(mass)] = 1.0
        weights[layer, int(mass)] = mass % 1
    assert counts_of(weights) == (40, 40, 12, 1)
    assert counts_of(torch.full((2, 10), 0.1)) == (1, 1)


def module_of(model, objective):
    model.train()
    return EncoderLossModule(model, objective)


def losses_of(module, sentences):
    words = sum(labelled_words(sentence) for sentence in sentences)
    return module(MicroBatch(sentences, list(range(len(sentences))), words), 0, 0.5, 0)


def test_at_first_it_is_the_plain_network_and_the_price_of_all_ranks(toy, teach):
    model = toy.build(sharp=4.0, double=True)
    sentences = toy.sentences(model, 6, unlabelled=0.3)
    words = sum(labelled_words(sentence) for sentence in sentences)
    plain = teach(model, "single", sentences)
    module = module_of(model, Retention(price=0.01, longest=7))
    losses = losses_of(module, sentences)
    torch.testing.assert_close(losses.total, plain.loss + words * 0.01 * (1 + 2 + 3) * 7)
    losses.total.backward()
    slopes = module.learned.weight.grad / words
    assert (slopes[:, 6] != slopes[:, 5]).any()
    # The last rank that no text has feels the price alone.
    wide = module_of(model, Retention(price=0.01, longest=40))
    losses_of(wide, sentences).total.backward()
    torch.testing.assert_close(wide.learned.weight.grad[:, -1] / words, 0.01 * torch.arange(1.0, 4))


class Top:
    """Keeps what the top says."""

    def arrive(self, signals, words):
        if signals.layer == signals.num_layers:
            self.logits, self.target = signals.logits, signals.target

    def leave(self, halted, staying):
        pass


def test_states_of_ranks_are_multiplied_between_the_blocks(toy):
    """One text, one layer, written out: no row is pinned, and the diagonal has no part."""
    model = toy.build(sharp=4.0, double=True, layers=1)
    (sentence,) = toy.sentences(model, 1)
    module = module_of(model, Retention(longest=30))
    with torch.no_grad():
        module.learned.weight.copy_(torch.linspace(1, 0, 30)[None])
    backbone, batch, top = model.backbone, pack([sentence]), Top()
    info = BatchInfo(0, 0.5, 0, (1,), 1, torch.zeros(1, dtype=torch.long), module.learned)
    encode(backbone, model.heads, batch, top, weights=module.objective.start(info).part.weights)
    hidden = backbone.embed(batch.input_ids[None], batch.positions[None])[0]
    query, key, value = (
        part.view(len(hidden), backbone.num_heads, -1).transpose(0, 1)
        for part in backbone.queries_keys_values(0, hidden, batch.positions)
    )
    shares = (query @ key.mT * backbone.scaling(0)).softmax(-1)
    mean = shares.mean(0)
    score = mean.sum(0) - mean.diagonal()
    rank = score.argsort(descending=True).argsort()
    read = (shares @ value).transpose(0, 1).flatten(1)
    weights = module.learned.weight[0][rank][:, None]
    made = backbone.feed_forward(0, weights * backbone.after_attention(0, hidden, read))
    wanted = backbone.classify(made[batch.first])
    torch.testing.assert_close(top.logits, wanted)
    assert not torch.allclose(
        top.logits, backbone.classify(backbone.combine(0, hidden, read)[batch.first])
    )


def test_a_search_ends_with_a_reducer(toy, tmp_path, monkeypatch):
    """Its weights fall at the rate of heads and are counted; the next phase has those rows."""
    model = toy.build(sharp=4.0)
    model.use_reducer(SEARCHED)
    sentences = toy.sentences(model, 12)
    search = {"objective": {"name": "retention", "price": 0.05, "longest": 12}, "epochs": 6}
    phases = [{**search, "head_lr": 0.1}, {"objective": {"name": "single"}, "epochs": 1}]
    asked, use = [], type(model).use_reducer
    monkeypatch.setattr(
        type(model), "use_reducer", lambda own, told: asked.append(told) or use(own, told)
    )
    toy.fit(model, sentences, tmp_path, phases=phases)
    assert asked == [model.reducer]
    counts = model.reducer.counts
    assert len(counts) == 3
    assert all(1 <= count < 12 for count in counts)
    assert model.reducer == dataclasses.replace(reducers.from_config(SEARCHED), counts=counts)
    assert list(counts) == sorted(counts, reverse=True)


def test_weights_are_clipped_and_other_reducers_refused(toy):
    learned = RankWeights(2, 3)
    with torch.no_grad():
        learned.weight.copy_(torch.tensor([[1.2, 0.5, -0.1]] * 2))
    Retention().stepped(learned)
    assert learned.weight[0].tolist() == [1.0, 0.5, 0.0]
    for given in (reducers.CoreSet(0.5), reducers.ByPolicy()):
        with pytest.raises(UserError, match="counts of the reducer significance"):
            Retention().finished(learned, given)
    found = Retention().finished(learned, None)
    assert (found.counts, found.own, found.ratio) == ((1, 1), False, 1.0)


def test_promises():
    check_objective("retention", longest=9)
    for settings in ({"price": 0}, {"longest": 0}, {"longest": 2.5}):
        with pytest.raises(UserError, match="retention"):
            from_config({"name": "retention", **settings})
    with pytest.raises(UserError, match="text generators have not"):
        check_heads(Retention(), None)
