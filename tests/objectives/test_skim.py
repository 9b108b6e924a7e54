"""Transkimmer: what its scorers cost, learn and take out."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from tokenexit import reducers
from tokenexit.errors import UserError
from tokenexit.halting import encode, pack
from tokenexit.objectives import BatchInfo, from_config
from tokenexit.objectives.skim import Skim
from tokenexit.testing import check_objective
from tokenexit.training.batches import labelled_words

SKIM = {"name": "skim"}


def undecided(toy, **settings):
    """A tagger whose scorers are of different minds about rows."""
    model = toy.build(sharp=4.0, double=True, scorers=SKIM, **settings)
    with torch.no_grad():
        for layer in model.heads.scorers.layers:
            scorer = model.heads.scorers.at(layer)
            scorer.project.weight.mul_(4)
            scorer.project.bias.copy_(torch.tensor([0.2, -0.2]))
    return model.use_reducer({"name": "scored", "fate": "restore"})


def test_who_keeps_all_pays_the_whole_price(toy, teach):
    """Scorers start so sure that nobody is left out, and the loss is CE + price."""
    model = toy.build(sharp=4.0, double=True, scorers=SKIM)
    model.use_reducer({"name": "scored", "fate": "restore"})
    sentences = toy.sentences(model, 6, unlabelled=0.3)
    words = sum(labelled_words(sentence) for sentence in sentences)
    plain = teach(model, "single", sentences).loss
    for mode in ("sampled", "straight"):
        taught = teach(model, Skim(0.3, mode), sentences)
        assert taught.loss.item() == pytest.approx(plain.item() + 0.3 * words, abs=1e-5)
        assert taught.reached("scorers")


class Top:
    """Keeps what the top says, and the share of rows asked at each layer."""

    def arrive(self, signals, words):
        if signals.layer == signals.num_layers:
            self.logits, self.target = signals.logits, signals.target

    def leave(self, halted, staying):
        pass


def test_trained_straight_through_it_is_the_hard_engine(toy, teach):
    """The loss is that of the rows that stay, and the price that of their number."""
    model, fewest = undecided(toy), 1.0
    for sentence in toy.sentences(model, 4):
        top, batch = Top(), pack([sentence])
        given = {"reducer": model.reducer, "states": []}  # so that the top computes all rows
        work = encode(model.backbone, model.heads, batch, top, **given)
        share = sum(layer.active for layer in work) / 3 / len(sentence.input_ids)
        loss = F.cross_entropy(top.logits, top.target, reduction="sum").item()
        taught = teach(model, Skim(0.7, "straight"), [sentence])
        assert taught.loss.item() == pytest.approx(loss + 0.7 * share * batch.num_words, abs=1e-5)
        fewest = min(fewest, share)
    assert fewest < 0.9


def test_a_row_left_out_returns_to_no_layer_and_its_price_is_paid_no_more(toy):
    model = undecided(toy)
    batch = pack(toy.sentences(model, 3))
    info = BatchInfo(0, 0.5, 0, (3,), 1, torch.arange(3), reducer=model.reducer)
    rows, seen = Skim(mode="straight").start(info).part.weights, []
    weigh = rows.weigh

    def look(shown, before, state):
        weights, state = weigh(shown, before, state)
        seen.append((weights.detach(), shown.lengths))
        return weights, state

    rows.weigh = look
    states: list[torch.Tensor] = []
    encode(model.backbone, model.heads, batch, Top(), weights=rows, states=states)
    for (one, _), (other, _) in pairwise(seen):
        assert (other <= one).all()
    gone = seen[0][0] == 0
    assert 0 < gone.sum() < len(gone)
    start = model.backbone.embed(batch.input_ids[None], batch.positions[None])[0]
    assert torch.equal(states[-1][gone], start[gone])
    assert not torch.equal(states[-1][~gone], start[~gone])
    for (weights, lengths), kept in zip(seen, rows.kept, strict=True):
        ends = lengths.cumsum(0)
        hand = [float(weights[e - n : e].sum() / n) for e, n in zip(ends, lengths, strict=True)]
        assert kept.tolist() == pytest.approx(hand)


def test_the_price_teaches_scorers_as_the_formula_says(toy, teach):
    """Soft, one layer: price times the mean of sigmoids of the rows but the first."""
    model = undecided(toy, layers=1)
    sentences = toy.sentences(model, 1)
    dear, free = (teach(model, Skim(p, "soft"), sentences) for p in (0.9, 0.0))
    batch = pack(sentences)
    hidden = model.backbone.embed(batch.input_ids[None], batch.positions[None])[0]
    score = model.heads.scorers(1, hidden)[0]
    share = (score[1:].sigmoid().sum() + 1) / len(score)
    torch.testing.assert_close(dear.loss - free.loss, 0.9 * share * batch.num_words)


def test_the_same_however_a_step_is_cut(toy, tmp_path, agree):
    found = []
    for parts in (1, 3):
        model = undecided(toy)
        given = {"accumulation": parts, "objective": {"name": "skim", "weights": "depth"}}
        toy.fit(model, toy.sentences(model, 9), tmp_path / str(parts), epochs=2, **given)
        found.append(toy.weights(model))
    agree(found[0], found[1], 1e-6)


def test_promises():
    for mode in ("sampled", "straight", "soft"):
        check_objective("skim", mode=mode)
    for settings in ({"price": -1}, {"mode": "hard"}, {"tau": 0}, {"weights": "deep"}):
        with pytest.raises(UserError):
            from_config({"name": "skim", **settings})


def test_what_has_no_scores_is_told(toy, teach):
    with pytest.raises(UserError, match=r"heads\.scorers"):
        teach(toy.build(), "skim", [])
    model = undecided(toy).use_reducer(reducers.Significance(0.5))
    with pytest.raises(UserError, match="no log_odds"):
        teach(model, "skim", toy.sentences(model, 2))
