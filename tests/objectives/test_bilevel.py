"""The upper level: its gradient is the exact one, and what it sets is set by nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from tokenexit.errors import UserError
from tokenexit.heads.searched import FORMS, SearchedHead
from tokenexit.models.words.token_classification import ExitModelForTokenClassification
from tokenexit.objectives import from_config
from tokenexit.training import loop
from tokenexit.training import step as step_module
from tokenexit.training.batches import MicroBatch
from tokenexit.training.bilevel import set_gradients, upper_gradients, upper_parameters
from tokenexit.training.encoder_loss import EncoderLossModule

LEARNED = {"name": "mutual_distillation", "mode": "learned"}


@dataclass
class Point:
    """One example with one word."""

    x: Tensor
    y: float
    targets: tuple[int, ...] = (0,)


class Tiny(nn.Module):
    """Two kinds of error of a curved function, weighed by the upper level."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(0.3 * torch.randn(5, dtype=torch.double))
        self.learned = nn.ParameterList([nn.Parameter(torch.randn(2, dtype=torch.double))])
        self.dropout = dropout

    def loss(self, part: Any, weight: Tensor, upper: Tensor, outer: bool) -> Tensor:
        x = torch.stack([point.x for point in part.sentences])
        y = torch.tensor([point.y for point in part.sentences], dtype=torch.double)
        said = (F.dropout(x, self.dropout) @ weight).tanh()
        if outer:
            return (said - y).square().sum() + 0.1 * upper.sum() ** 2
        shares = upper.softmax(0)
        return shares[0] * (said - y).square().sum() + shares[1] * (said + y).cosh().sum()

    def forward(self, part: Any, step: int, progress: float, seed: int, outer: bool = False) -> Any:
        return SimpleNamespace(total=self.loss(part, self.weight, self.learned[0], outer))


def points(count: int) -> MicroBatch:
    draw = torch.Generator().manual_seed(1)
    xs = torch.randn(count, 5, generator=draw, dtype=torch.double)
    return MicroBatch([Point(x, float(x[0] > 0)) for x in xs], list(range(count)), count)


def halves(part: MicroBatch) -> tuple[MicroBatch, MicroBatch]:
    """Those that judge, and those that are learned from."""
    return tuple(
        MicroBatch(part.sentences[k::2], part.places[k::2], len(part.sentences[k::2]))
        for k in (0, 1)
    )  # type: ignore[return-value]


def test_the_gradient_through_one_step():
    lessons, part, rate = Tiny(), points(7), 1e-4
    (got,) = upper_gradients(lessons, part, 0, 0.0, 0, rate)
    held, used = halves(part)
    weight, upper = lessons.weight, lessons.learned[0]
    inner = lessons.loss(used, weight, upper, False) / 3
    (slope,) = torch.autograd.grad(inner, weight, create_graph=True)

    def judged(weight: Tensor, upper: Tensor) -> Tensor:
        return lessons.loss(held, weight, upper, True) / 4

    (exact,) = torch.autograd.grad(judged(weight - rate * slope, upper), upper)
    (direct,) = torch.autograd.grad(judged(weight, upper), upper)
    assert (exact - direct).abs().max() > 1e-6  # the step itself has a say
    torch.testing.assert_close(got - direct, exact - direct, rtol=2e-3, atol=0)


def test_that_of_the_weights_of_terms(toy):
    """LeeBERT on a real network: steps are made in earnest, each with weights of terms moved."""
    model = toy.build(sharp=2.0, double=True).train()
    sentences, rate, reach = toy.sentences(model, 6), 5e-4, 0.05
    room: Any = EncoderLossModule(model, from_config(LEARNED)).double()
    upper, before = room.learned.raw, toy.weights(model)
    part = MicroBatch(sentences, list(range(6)), 1)
    (got,) = upper_gradients(room, part, 0, 0.0, 0, rate)
    assert all(torch.equal(value, before[name]) for name, value in toy.weights(model).items())
    assert all(weight.grad is None for weight in room.parameters())
    held, used = (MicroBatch(sentences[k::2], part.places[k::2], 1) for k in (0, 1))
    words = [sum(len(s.word_rows) for s in half.sentences) for half in (held, used)]

    def after_a_step(moved: Tensor) -> float:
        with torch.no_grad():
            upper.copy_(moved)
        model.zero_grad()
        (room(used, 0, 0.0, 0).total / words[1]).backward()
        with torch.no_grad():
            for weight in model.parameters():
                weight.sub_(rate * weight.grad if weight.grad is not None else 0.0)
            judged = float(room(held, 0, 0.0, 0, outer=True).total) / words[0]
        model.load_state_dict(before)
        return judged

    wanted = torch.zeros(6, dtype=torch.double)
    for place in range(6):
        move = reach * F.one_hot(torch.tensor(place), 6).double()
        both = [after_a_step((sign * move).view(2, 3)) for sign in (1, -1)]
        wanted[place] = (both[0] - both[1]) / (2 * reach)
    torch.testing.assert_close(got.flatten() / rate, wanted / rate, rtol=0.02, atol=0.05)
    assert got.abs().max() > rate


def test_one_text_cannot_be_cut_in_two():
    lessons = Tiny()
    (got,) = upper_gradients(lessons, points(1), 0, 0.0, 0, 0.1)
    assert not got.any()


def test_half_precision_is_refused():
    with pytest.raises(UserError, match="two levels"):
        set_gradients([], [], SimpleNamespace(mixed_precision="fp16"))  # type: ignore[arg-type]


@pytest.fixture
def watch(toy, tmp_path, monkeypatch):
    """Train, and copy what the upper level sets before every step and at the end."""

    def run(model: Any, objective: dict[str, Any], judged: bool = True) -> list[dict[str, Tensor]]:
        rooms: list[Any] = []
        seen: list[dict[str, Tensor]] = []
        step = loop.one_step

        def look(room: Any) -> None:
            values = room.state_dict().items()
            names = ("learned.", ".architecture", ".derived")
            seen.append({n: v.clone() for n, v in values if any(part in n for part in names)})

        def watched(plan, wrapped, *rest):
            rooms[:] = [wrapped]
            look(wrapped)
            return step(plan, wrapped, *rest)

        def nothing(room, *rest):
            return [torch.zeros_like(weight) for weight in upper_parameters(room)]

        with monkeypatch.context() as patch:
            patch.setattr(loop, "one_step", watched)
            if not judged:
                patch.setattr(step_module, "upper_gradients", nothing)
            toy.fit(model, toy.sentences(model, 12), tmp_path, objective=objective, max_steps=10)
        look(rooms[0])
        return seen

    return run


def moves(seen: list[dict[str, Tensor]], part: str) -> list[bool]:
    """Whether anything of that name moved in each step."""
    return [
        any(not after[n].equal(v) for n, v in before.items() if part in n)
        for before, after in pairwise(seen)
    ]


def test_weights_of_terms_move_by_the_upper_level_alone(watch, toy, teach):
    seen = watch(toy.build(), LEARNED)
    assert moves(seen, "learned.") == [n % 4 == 0 for n in range(10)]
    # Without it they stay, although the loss of the network depends on them.
    assert not any(moves(watch(toy.build(), LEARNED, judged=False), "learned."))
    model = toy.build()
    room: Any = EncoderLossModule(model, from_config(LEARNED))
    part = MicroBatch(toy.sentences(model, 4), [0, 1, 2, 3], 9)
    assert torch.autograd.grad(room(part, 0, 0.0, 0).total, room.learned.raw)[0].any()


SEARCH = {"name": "searched", "split": 0.45}


def test_forms_are_searched_derived_and_kept(watch, toy, tmp_path):
    model = toy.build(head="searched")
    seen = watch(model, SEARCH)
    # The form is fixed at the first step at or after the split, the sixth here.
    assert moves(seen, ".architecture") == [n % 2 == 0 and n < 5 for n in range(10)]
    assert moves(seen, ".derived") == [n == 5 for n in range(10)]
    for layer in (1, 2):
        name = f"model.heads.exits.{layer}"
        best = int(seen[5][f"{name}.architecture"].argmax())
        assert [int(one[f"{name}.derived"]) for one in seen] == [-1] * 6 + [best] * 5
    still = watch(toy.build(head="searched"), SEARCH, judged=False)
    assert not any(moves(still, ".architecture"))


def test_a_derived_form_is_saved_and_costs_what_it_is(toy, tmp_path):
    model = toy.build(head="searched").eval()
    for layer, form in ((1, 0), (2, 2)):
        head = model.heads.at(layer)
        with torch.no_grad():
            head.architecture[form] = 9.0
            for dense in head.dense:
                dense.weight.add_(torch.randn_like(dense.weight))
        head.derive()
        with torch.no_grad():
            head.architecture.zero_()
            head.architecture[1] = 9.0  # what comes later changes nothing
        head.derive()
    model.save_pretrained(tmp_path)
    again = ExitModelForTokenClassification.from_pretrained(tmp_path).eval()
    rows = torch.randn(5, 16)
    for layer, form in ((1, 0), (2, 2)):
        head, loaded = model.heads.at(layer), again.heads.at(layer)
        assert loaded.form == form
        assert torch.equal(loaded(rows), head(rows))
        read = rows if form == 0 else F.gelu(head.dense[form - 1](rows))
        torch.testing.assert_close(head.train()(rows), head.project(read))
        with FlopCounterMode(display=False) as counter:
            loaded(rows)
        assert counter.get_total_flops() == 2 * 5 * loaded.macs
        assert loaded.macs == 16 * 3 + (256 if form else 0)


def test_while_searching_a_head_reads_the_mixture():
    torch.manual_seed(0)
    head, rows = SearchedHead(4, 3, dropout=0.0).train(), torch.randn(6, 4)
    with torch.no_grad():
        head.architecture.copy_(torch.tensor([0.3, 1.0, -0.5, 0.2]))
    shares = head.architecture.softmax(0)
    tanh, gelu, relu = (dense(rows) for dense in head.dense)
    read = shares[0] * rows + shares[1] * tanh.tanh() + shares[2] * F.gelu(gelu)
    torch.testing.assert_close(head(rows), head.project(read + shares[3] * relu.relu()))
    torch.testing.assert_close(head.eval()(rows), head.project(tanh.tanh()))


class TwoExits(nn.Module):
    """One exit whose classes lie to both sides of a line, one whose classes cross over."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.heads = nn.ModuleList(SearchedHead(2, 2, dropout=0.0).double() for _ in range(2))
        # The first exit's dense layers are dead: all that it can use is the plain projection.
        first: Any = self.heads[0]
        for weight in first.dense.parameters():
            weight.requires_grad_(False).zero_()

    def forward(self, part: Any, step: int, progress: float, seed: int, outer: bool = False) -> Any:
        x = torch.stack([point.x[:2] for point in part.sentences])
        sides, crossed = (x[:, 0] > 0).long(), (x[:, 0] * x[:, 1] > 0).long()
        gold = zip(self.heads, (sides, crossed), strict=True)
        loss = [F.cross_entropy(head(x), y, reduction="sum") for head, y in gold]
        return SimpleNamespace(total=torch.stack(loss).sum())


def test_exits_that_need_different_forms_find_them():
    lessons, part = TwoExits().train(), points(60)
    upper = upper_parameters(lessons)
    assert len(upper) == 2
    above = {id(weight) for weight in upper}
    lower = [p for p in lessons.parameters() if p.requires_grad and id(p) not in above]
    weights, forms = torch.optim.Adam(lower, lr=0.05), torch.optim.Adam(upper, lr=0.05)
    for step in range(100):
        weights.zero_grad()
        lessons(part, step, 0.0, 0).total.backward()
        weights.step()
        for weight, found in zip(
            upper, upper_gradients(lessons, part, step, 0.0, 0, 0.02), strict=True
        ):
            weight.grad = found
        forms.step()
    heads: Any = lessons.heads
    first, second = heads
    assert first.architecture.softmax(0).max() > 0.5  # not by a hair
    first.derive()
    second.derive()
    assert FORMS[first.form][0] == "linear"
    assert FORMS[second.form][0] != "linear"
    assert not upper_parameters(lessons)
