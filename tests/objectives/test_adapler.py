"""AdapLeR: shares like the saliency, bars that learn alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tokenexit.errors import UserError
from tokenexit.halting import encode, pack
from tokenexit.objectives import from_config
from tokenexit.objectives.soft_shares import SoftShares, removal
from tokenexit.reducers import Rows, Scored
from tokenexit.testing.tagger import tiny_sentences, tiny_tagger

SCORERS = {"name": "mlp", "inner": 4, "bar": 0.9}


def judged(share: Any, bar: Any, lengths: Any) -> Rows:
    text = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    place = torch.cat([torch.arange(n) for n in lengths])
    return Rows(
        layer=1, num_layers=2, text=text, lengths=torch.tensor(lengths), position=place,
        item_id=place, pinned=place == 0, hidden=torch.zeros(len(text), 1), score=share.log(),
        bar=bar,
    )  # fmt: skip


def test_the_slope_meets_itself_at_the_bar():
    share, bar = torch.tensor([0.1, 0.2, 1.0, 0.0]), torch.tensor(0.2)
    found = removal(share, bar, 10.0)
    assert found.tolist() == pytest.approx([-5.01, -0.01, 0.0, -10.01])
    assert removal(share, bar, 1e6)[3] == -10_000


def test_steep_it_is_the_rule_that_serves():
    """Ten rows and a bar of .25: a share of .02 goes, .03 stays."""
    share = torch.tensor([0.03, 0.02, *[0.95 / 8] * 8, 0.1, 0.9])
    rows = judged(share, torch.tensor(0.25), [10, 2])
    soft = SoftShares("restore", 1e5, torch.ones(2), torch.ones(12))
    weights, _ = soft.weigh(rows, torch.ones(12), soft.init(12))
    assert weights.round().tolist() == [1, 0, *[1] * 10]
    assert (weights - weights.round()).abs().max() < 1e-5
    keep, _ = Scored(1.0, "share").keep(rows, None)
    assert torch.equal(weights.round().bool(), keep | rows.pinned)


def test_rows_are_shared_out_like_the_saliency_of_those_that_are_left():
    share, salient = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([2.0, 1.0, 7.0])
    rows = judged(share, torch.tensor(0.1), [3])
    soft = SoftShares("restore", 10.0, torch.tensor([2.0]), salient)
    soft.weigh(rows, torch.tensor([1.0, 1.0, 0.0]), (salient, torch.ones(3)))
    wanted, told = torch.tensor([0.8, 0.2]), torch.tensor([0.5, 0.3]) / 0.8
    gap = (wanted * (wanted / told).log()).sum()  # of first rows twice, for its number is 2
    assert float(soft.gaps[1]) == pytest.approx(float(gap), rel=1e-5)


def tagger() -> Any:
    model = tiny_tagger(sharp=4.0, scorers=SCORERS, double=True)
    with torch.no_grad():
        for layer in (1, 2, 3):
            model.heads.scorers.at(layer).project.weight.mul_(10)
    return model


class Top:
    def arrive(self, signals, words):
        self.logits = signals.logits

    def leave(self, halted, staying):
        pass


def through(model: Any, batch: Any, **how: Any) -> Any:
    top = Top()
    encode(model.backbone, model.heads, batch, top, **how)
    return top.logits


def salient(batch: Any) -> Any:
    return torch.rand(len(batch.row_word), generator=torch.Generator().manual_seed(0)).double()


def test_the_length_teaches_bars_and_first_rows_alone():
    model = tagger()
    batch, firsts = pack(tiny_sentences(model, 5)), torch.ones(3, requires_grad=True)
    soft = SoftShares("restore", 10.0, firsts, salient(batch))
    through(model, batch, weights=soft)
    torch.stack(soft.lengths).sum().backward()
    reached = {n for n, w in model.named_parameters() if w.grad is not None and w.grad.any()}
    assert reached == {"heads.scorers.bars"}
    assert model.heads.scorers.bars.grad.max() < 0  # a higher bar, fewer rows
    assert firsts.grad is not None
    assert firsts.grad.max() < 0


def test_steep_the_engine_computes_what_it_will_serve():
    model = tagger().eval()
    batch = pack(tiny_sentences(model, 6))
    with torch.no_grad():
        soft = SoftShares("restore", 1e6, torch.ones(3), salient(batch))
        found = through(model, batch, weights=soft)
        wanted = through(model, batch, reducer=Scored(1.0, "share", fate="restore"))
        full = through(model, batch)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert (wanted - full).abs().max() > 0.01


def test_without_bars_it_is_refused_before_the_first_phase(tmp_path, toy):
    model = tiny_tagger(scorers={"name": "mlp"})
    told = {"name": "adapler"}
    phases = [{"objective": {"name": "single"}}, {"prepare": [{"name": "gold_saliency"}]}]
    with pytest.raises(UserError, match="trains bars of scorers"):
        toy.fit(model, toy.sentences(model, 3), tmp_path, objective=told, phases=phases)
    assert not (tmp_path / "train_log.jsonl").exists()


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"gamma": -1}, "AdapLeR.gamma"), ({"steps": 0}, "from 1 to 6"), ({"fate": "x"}, "fate")],
)
def test_bad_settings(settings, told):
    with pytest.raises(UserError, match=told):
        from_config({"name": "adapler", **settings})
