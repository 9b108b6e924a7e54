"""TR-BERT: policies of rows that learn by REINFORCE."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tokenexit.errors import UserError
from tokenexit.halting import encode, pack
from tokenexit.objectives import BatchInfo, from_config
from tokenexit.objectives.reinforce import Reinforce, _Copy, _Tried, reinforced
from tokenexit.objectives.sampled_rows import SampledRows
from tokenexit.reducers import Rows
from tokenexit.testing.tagger import tiny_sentences, tiny_tagger
from tokenexit.training.batches import MicroBatch
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.loss_module import Beside

SCORERS = {"name": "mlp", "inner": 4, "layers": [2, 3]}


def slope(kept: list[bool], rewards: list[float], baseline: bool = True) -> float:
    """Of the loss of copies of one row with probability one half, by its logit."""
    logit = torch.zeros(1, requires_grad=True)
    likely = torch.stack([F.logsigmoid(logit if keep else -logit) for keep in kept])
    rewards_, one = torch.tensor(rewards)[:, None], torch.ones(1)
    loss = reinforced(rewards_, likely, one)
    if not baseline:
        loss = -(rewards_ * likely).mean()
    loss.backward()
    assert logit.grad is not None
    return float(logit.grad)


def test_what_all_copies_did_teaches_nothing():
    assert slope([True, True], [-1.0, -2.0]) == 0
    assert abs(slope([True, True], [-1.0, -2.0], baseline=False)) == 0.75
    assert slope([True, False], [-1.0, -2.0]) == -0.25  # keeps more


def judged(score: list[float]) -> Rows:
    number = torch.arange(len(score))
    return Rows(
        layer=1, num_layers=2, text=number * 0, lengths=torch.tensor([len(score)]),
        position=number, item_id=number, pinned=number == 0,
        hidden=torch.zeros(len(score), 1), score=torch.tensor(score),
    )  # fmt: skip


def test_chances_of_what_was_drawn():
    """The first row is kept without being drawn; the others by their probabilities."""
    rows, drawn = judged([-9.0, 0.0, 2.0, 0.0]), torch.tensor([0.5, 0.4, 0.9, 0.6])
    sampled = SampledRows("restore", lambda rows: drawn)
    keep, _ = sampled.keep(rows, None)
    assert keep.tolist() == [True, True, False, False]
    assert sampled.kept[0].tolist() == [0.5]
    wanted = (0.5 * torch.tensor(0.5).log() * 4 + F.logsigmoid(torch.tensor(-2.0))) / 3
    assert float(sampled.likely[0]) == pytest.approx(float(wanted))


def test_a_guide_names_as_many_rows_as_were_expected():
    """Of three rows that count on 1.9, the two that matter most, whatever their scores."""
    rows = judged([-9.0, 0.0, 2.0, 0.0])
    salient = torch.tensor([[0.0], [5.0], [1.0], [4.0]])
    sampled = SampledRows("restore", lambda rows: torch.zeros(4), salient)
    keep, state = sampled.keep(rows, sampled.init(4))
    assert state is salient
    assert keep.tolist() == [True, True, False, True]


def tagger() -> Any:
    return tiny_tagger(sharp=4.0, scorers=SCORERS, double=True)


class Top:
    def arrive(self, signals, words):
        self.logits = signals.logits

    def leave(self, halted, staying):
        pass


def logits_of(model: Any, batch: Any, reducer: Any) -> Any:
    top = Top()
    encode(model.backbone, model.heads, batch, top, reducer=reducer)
    return top.logits


def written_out(model: Any, sentences: Any, objective: Reinforce) -> Any:
    """The loss of one step, each text's copies one by one."""
    total = torch.zeros((), dtype=torch.float64)
    for place, sentence in enumerate(sentences):
        batch, known = pack([sentence]), torch.tensor(sentence.targets) != -100
        info = BatchInfo(3, 0.9, 0, (3,), 1, torch.tensor([place]))
        rewards, likely = [], []
        for number in range(objective.copies):
            before: Any = [None] * number
            rows = _Copy(objective, info, _Tried(3, before))._rows
            cost = F.cross_entropy(logits_of(model, batch, rows)[known], batch.word_target[known])
            length = (rows.kept[0] + rows.kept[1]) / 2
            rewards.append((-cost - objective.alpha * length).detach())
            likely.append(rows.likely[0] + rows.likely[1])
        gain = torch.stack(rewards) - torch.stack(rewards).mean()
        total = total - known.sum() * (gain * torch.stack(likely)).mean()
    return total


def test_loss_and_gradients_are_those_of_each_text_alone(teach, gradients, agree):
    model = tagger()
    sentences = tiny_sentences(model, 5, unlabelled=0.3)
    objective = Reinforce(copies=3, alpha=0.7)
    taught = teach(model, objective, sentences, step=3)
    wanted = written_out(model, sentences, objective)
    torch.testing.assert_close(taught.loss.double(), wanted, rtol=1e-4, atol=1e-4)
    found = gradients(model, wanted)
    agree(taught.gradients, found, 1e-4)
    assert all(taught.reached(f"scorers.scorers.{layer}") for layer in (2, 3))
    assert not taught.reached("classifier")


def test_a_teacher_s_probabilities_teach_every_copy(teach):
    """Beside the policies: the mean over copies of the cross-entropy with them."""
    model, sentences = tagger(), tiny_sentences(tagger(), 4, unlabelled=0.3)
    objective = Reinforce(copies=2, guide_rate=0.0, distil=True)
    module = EncoderLossModule(model.train(), objective)
    other = tiny_tagger(seed=1, sharp=4.0, double=True).requires_grad_(False)
    module.beside = Beside(EncoderLossModule(other, from_config("single")).eval())
    laid = module.lay(MicroBatch(sentences, [0, 1, 2, 3], 1))
    found = module(MicroBatch(sentences, [0, 1, 2, 3], 1), 3, 0.9, 0).total
    alone = teach(model, Reinforce(copies=2), sentences, step=3).loss
    known, wanted = laid.batch.word_target != -100, torch.zeros(())
    probabilities = logits_of(other, laid.batch, None).softmax(dim=-1)[known]
    for number in range(2):
        before: Any = [None] * number
        info = BatchInfo(3, 0.9, 0, (3,), 1, laid.texts)
        rows = _Copy(Reinforce(copies=2), info, _Tried(2, before))._rows
        told = logits_of(model, laid.batch, rows).log_softmax(dim=-1)[known]
        wanted = wanted - (probabilities * told).sum() / 2
    torch.testing.assert_close((found - alone).double(), wanted.double(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"alpha": -1}, "Reinforce.alpha"),
        ({"copies": 1}, "from 2 to 64"),
        ({"guide_rate": 2}, "from 0 to 1"),
        ({"fate": "gone"}, "reinforce.fate"),
    ],
)
def test_bad_settings(settings, told):
    with pytest.raises(UserError, match=told):
        from_config({"name": "reinforce", **settings})


def test_without_scorers_it_is_refused(teach):
    with pytest.raises(UserError, match="trains scorers of rows"):
        teach(tiny_tagger(), "reinforce", [])
