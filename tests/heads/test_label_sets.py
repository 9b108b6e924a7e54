"""Classes that are sets of labels: their softmax is a sigmoid for each label."""

from __future__ import annotations

import copy

import pytest
import torch
from sklearn.metrics import f1_score
from torch import nn
from torch.nn import functional as F

from tokenexit import scores as scoring
from tokenexit.errors import UserError
from tokenexit.heads import build_head
from tokenexit.heads.label_sets import LabelSetsOutput, SetScores, subsets
from tokenexit.heads.thresholds import best_shift
from tokenexit.policies.best_of_two import BestOfTwo
from tokenexit.signals import Signals

LABELS, SETS = 4, 16


@pytest.fixture
def z() -> torch.Tensor:
    torch.manual_seed(0)
    return 3 * torch.randn(50, LABELS)


def signals(logits: torch.Tensor, target: torch.Tensor | None = None) -> Signals:
    rows = torch.arange(len(logits))
    return Signals(
        1, 2, logits, rows, 0 * rows, rows, len(rows), 1, head=lambda hidden: hidden, target=target
    )


def test_all_sets_are_so_many_sigmoids(z):
    sets = SetScores(LABELS, SETS)
    logits, target = sets(z), torch.randint(SETS, (50,))
    gold = sets.members[target].float()
    binary = F.binary_cross_entropy_with_logits(z, gold, reduction="none").sum(dim=-1)
    torch.testing.assert_close(F.cross_entropy(logits, target, reduction="none"), binary)
    assert torch.equal(sets.members[logits.argmax(dim=-1)], z > 0)
    p = z.sigmoid()
    entropy = -(p * p.log() + (1 - p) * (1 - p).log()).sum(dim=-1) / torch.tensor(SETS).log()
    torch.testing.assert_close(scoring.entropy(logits), entropy)
    slowest = z.abs().amin(dim=-1).sigmoid()
    torch.testing.assert_close(BestOfTwo().score(signals(logits)), slowest)


def test_thresholds_are_those_of_the_best_f1(z):
    gold = (z + 2 * torch.randn_like(z) > 1.5)[:, 0]
    shift = best_shift(z[:, 0], gold)
    best = max(f1_score(gold, z[:, 0] > cut) for cut in (z[:, 0] + 1e-6).tolist() if abs(cut) < 3)
    assert f1_score(gold, z[:, 0] > shift) == pytest.approx(best)
    assert shift != 0
    assert best_shift(z[:, 0], z[:, 0] > 0) == 0
    assert best_shift(z[:, 0], torch.zeros(50, dtype=torch.bool)) == 0
    assert best_shift(z[:0, 0], gold[:0]) == 0


def test_a_head_settles_where_its_labels_are_best():
    torch.manual_seed(0)
    head = build_head({"name": "label_sets", "sets": LABELS}, 8, SETS).eval()
    hidden = torch.randn(200, 8)
    z = head.project(hidden)
    target = (z > 0.4).long() @ (2 ** torch.arange(LABELS))
    order = [sum(2**label for label in one) for one in subsets(LABELS)]
    target = torch.tensor([order.index(int(code)) for code in target])
    head.observe(signals(head(hidden).detach(), target))
    head.finalize()
    assert (head(hidden).argmax(dim=-1) == target).float().mean() > 0.95


def test_the_top_is_a_plain_layer_that_says_the_same():
    torch.manual_seed(0)
    plain = nn.Linear(8, SETS)
    top, hidden = LabelSetsOutput(plain, LABELS), torch.randn(5, 8)
    saved = nn.Linear(8, SETS)
    saved.load_state_dict(copy.deepcopy(top.state_dict()))
    torch.testing.assert_close(saved(hidden), top(hidden))
    again = LabelSetsOutput(saved, LABELS)
    torch.testing.assert_close(again(hidden), top(hidden))
    top(hidden).sum().backward()
    assert top.weight.grad is not None


def test_some_sets_and_mistakes():
    sets = SetScores([[], [0], [1], [0, 1], [2]], 5)
    torch.testing.assert_close(
        sets(torch.tensor([[1.0, 2.0, 4.0]])), torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0]])
    )
    with pytest.raises(UserError, match="5 classes, and 4 sets"):
        SetScores(2, 5)
