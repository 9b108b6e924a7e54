"""Scorers: what they promise, where they stand, what they cost, and that they are saved."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tokenexit import reducers
from tokenexit.errors import UserError
from tokenexit.halting import PolicyVisitor, encode, pack
from tokenexit.halting.cost import macs
from tokenexit.models.words.token_classification import ExitModelForTokenClassification
from tokenexit.policies import Never
from tokenexit.reducers.scored import shares
from tokenexit.scorers import SCORERS, RowScorers
from tokenexit.testing import check_scorer
from tokenexit.testing.tagger import tiny_sentences, tiny_tagger
from tokenexit.training import TrainConfig
from tokenexit.training.optimizer import build_optimizer


@pytest.mark.parametrize("name", [name for name, _ in SCORERS.items()])
def test_a_scorer_keeps_its_promises(name):
    check_scorer(name)


def test_where_they_stand():
    """TR-BERT's places: before the second layer and the first of the upper half."""
    for depth, layers in ((12, (2, 7)), (6, (2, 4)), (3, (2,))):
        assert RowScorers({"layers": [2, 0.5]}, 4, depth).layers == layers
    assert RowScorers({"name": "skim"}, 4, 3).layers == (1, 2, 3)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "mlpp"}, "Did you mean 'mlp'"),
        ({"innr": 3}, "Did you mean 'inner'"),
        ({"inner": 0}, "whole number from 1"),
        ({"layers": [7]}, "layers from 1 to 6"),
        ({"layers": [True]}, "layers from 1 to 6"),
        ({"layers": 2}, "layers from 1 to 6"),
        ({"layers": []}, "layers from 1 to 6"),
        ({"bar": 0}, "above 0"),
        ("mlp", "a mapping such as"),
    ],
)
def test_bad_settings_are_told(config, message):
    with pytest.raises(UserError, match=message):
        RowScorers(config, 4, 6)


def test_a_fresh_skimmer_keeps_all():
    scorers = RowScorers({"name": "skim"}, 16, 2)
    score, bar = scorers(1, torch.randn(50, 16))
    assert score.sigmoid().min() > 0.9999
    assert bar is None


def judged(score: Any, text: Any, **bar: Any) -> reducers.Rows:
    """Rows of texts with scores."""
    text = torch.tensor(text)
    place = torch.arange(len(text))
    return reducers.Rows(
        layer=1, num_layers=2, text=text, lengths=text.bincount(), position=place, item_id=place,
        pinned=place < 0, hidden=torch.zeros(len(text), 1), score=torch.tensor(score), **bar,
    )  # fmt: skip


def test_ten_rows_and_a_quarter_of_an_equal_share():
    """AdapLeR's rule: a share of .02 goes, .03 stays."""
    share = torch.tensor([0.02, 0.03, *[0.95 / 8] * 8])
    rows = judged([*share.log(), 3.0], [0] * 10 + [1])
    assert shares(rows.scores(), rows.text).tolist() == pytest.approx([*share.tolist(), 1.0])
    wanted = [False] + [True] * 10
    assert reducers.Scored(0.25, "share").keep(rows, None)[0].tolist() == wanted
    rows = judged([*share.log(), 3.0], [0] * 10 + [1], bar=torch.tensor(0.25))
    assert reducers.Scored(1.0, "share").keep(rows, None)[0].tolist() == wanted


def test_a_probability_of_one_half_stays():
    keep, _ = reducers.Scored().keep(judged([-0.1, 0.0, 2.0], [0, 0, 0]), None)
    assert keep.tolist() == [False, True, True]


def tagger(**settings: Any) -> ExitModelForTokenClassification:
    plain = tiny_tagger()
    torch.manual_seed(1)
    return ExitModelForTokenClassification.from_transformers(
        plain.network, plain.tokenizer, labels=plain.labels,
        heads={"scorers": {"layers": [2], "inner": 4, **settings}},
    ).eval()  # fmt: skip


def test_rows_that_were_judged_are_counted():
    model = tagger()
    batch = pack(tiny_sentences(model, 5))
    with torch.no_grad():
        for reducer, judged in (("scored", True), ("scored:0", False), ("core_set", False)):
            visitor = PolicyVisitor(Never(), batch.num_words, "cpu")
            told = reducers.from_config(reducer)
            told = reducers.from_config({**told.to_config(), "fate": "restore"})
            work = encode(model.backbone, model.heads, batch, visitor, reducer=told)
            assert [layer.scored for layer in work] == [0, judged * int(batch.lengths.sum()), 0]
            plain = macs(model.backbone, model.heads, [w._replace(scored=0) for w in work])
            each = macs(model.backbone, model.heads, work) - plain
            assert each == judged * batch.lengths.sum() * (16 * 4 + 4)


def test_saved_with_the_model_and_asked_for_early(tmp_path):
    model = tagger(bar=0.5).use_reducer({"name": "scored", "fate": "restore"})
    model.save_pretrained(tmp_path / "mine")
    again = ExitModelForTokenClassification.from_pretrained(tmp_path / "mine")
    assert again.reducer == model.reducer
    state = model.heads.state_dict()
    assert sum(name.startswith("scorers.") for name in state) == 5
    assert all(torch.equal(value, state[name]) for name, value in again.heads.state_dict().items())
    with pytest.raises(UserError, match="has no scorers"):
        tiny_tagger().use_reducer({"name": "scored", "fate": "copy"})


def test_a_learning_rate_of_their_own():
    model = tagger(bar=0.5)
    mine = {id(weight) for weight in model.scorer_parameters()}
    for rate in (None, 3.0):
        optimizer = build_optimizer(model, TrainConfig(lr=1.0, head_lr=2.0, scorer_lr=rate))
        found = {id(w): g["lr"] for g in optimizer.param_groups for w in g["params"]}
        assert found.keys() == {id(weight) for weight in model.parameters()}
        assert {found[key] for key in mine} == {rate or 2.0}
