"""Heads that look at a split once more after training: class means and temperatures."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.heads.linear import LinearHead
from tokenexit.heads.prototype import SAMPLE, PrototypeHead
from tokenexit.heads.temperature import Temperature, best_temperature
from tokenexit.models.words.token_classification import ExitModelForTokenClassification
from tokenexit.signals import Signals
from tokenexit.training.fit import _Watching, fit_heads

FITTED = {"mixed": "validation", "prototype": "train"}  # those whose numbers are known here
every_fitted = pytest.mark.parametrize("name", FITTED)


def rows(hidden: Tensor, target: list[int]) -> Signals:
    """Labelled rows at an exit."""
    place = torch.arange(len(hidden))
    return Signals(
        layer=1,
        num_layers=2,
        hidden=hidden,
        sequence=torch.zeros_like(place),
        position=place,
        item_id=place,
        num_sequences=1,
        extent=len(hidden),
        head=lambda states: states,
        target=torch.tensor(target),
    )


def test_prototypes_are_class_means():
    torch.manual_seed(0)
    head, hidden = PrototypeHead(3, 4), torch.randn(7, 3) + 2
    target = [0, 1, 0, 3, -100, 1, 0]  # nobody is of the third class
    assert not head(hidden).any()  # it knows nothing yet
    head.observe(rows(hidden[:3], target[:3]))
    head.observe(rows(hidden[3:], target[3:]))
    head.finalize()
    means = torch.stack([hidden[[0, 2, 6]].mean(0), hidden[[1, 5]].mean(0), hidden[3]])
    gold = [0, 1, 0, 2, 1, 0]
    seen = hidden[[0, 1, 2, 3, 5, 6]]
    spread = (seen - means[gold]).square().sum(-1).mean() / 3**0.5
    heat = best_temperature(-torch.cdist(seen, means).square() / (2 * spread), torch.tensor(gold))
    new = torch.randn(5, 3)
    distances = (new[:, None] - means).square().sum(-1)
    wanted = (-distances / (2 * spread * heat)).softmax(-1)
    got = head(new).softmax(-1)
    torch.testing.assert_close(got[:, [0, 1, 3]], wanted, rtol=1e-3, atol=1e-6)
    assert not got[:, 2].any()
    assert torch.equal(head(new).argmax(-1), torch.tensor([0, 1, 3])[distances.argmin(-1)])
    before = head(new)
    head.finalize()  # without having seen anything since
    assert torch.equal(head(new), before)


def test_prototypes_are_sure_of_wide_states_and_many_classes():
    torch.manual_seed(0)
    head, centres = PrototypeHead(256, 60), torch.randn(60, 256)
    target = torch.arange(60).repeat_interleave(50)  # in order, more than are kept
    states = centres[target] + torch.randn(len(target), 256)
    for start in range(0, len(target), 500):
        head.observe(rows(states[start : start + 500], target[start : start + 500].tolist()))
    assert len(head._sample[0][1]) == SAMPLE < len(target)
    assert len(head._sample[0][1].unique()) == 60
    head.finalize()
    new = centres[target] + torch.randn(len(target), 256)
    probabilities = head(new).softmax(-1)
    assert (probabilities.argmax(-1) == target).double().mean() > 0.99
    assert (probabilities.amax(-1) > 0.9).double().mean() > 0.9


def examples(scale: float) -> tuple[Tensor, Tensor]:
    """Logits and classes of which they are too sure, or not sure enough."""
    draw = torch.Generator().manual_seed(0)
    honest = torch.randn(400, 5, generator=draw) * 2
    gold = torch.multinomial(honest.softmax(-1), 1, generator=draw).squeeze(-1)
    return honest * scale, gold


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_no_temperature_on_a_grid_is_better(scale):
    logits, gold = examples(scale)
    found = best_temperature(logits, gold)
    least = F.cross_entropy(logits / found, gold)
    grid = torch.linspace(0.06, 19, 2000)
    losses = torch.stack([F.cross_entropy(logits / value, gold) for value in grid])
    assert float(least) <= float(losses.min()) + 1e-6
    assert found == pytest.approx(float(grid[losses.argmin()]), abs=0.02)
    assert found == pytest.approx(scale, rel=0.15)


def test_extreme_temperatures_have_an_end():
    _, gold = examples(1.0)
    assert best_temperature(F.one_hot(gold, 5).float(), gold) == pytest.approx(0.05, rel=1e-3)
    wrong = F.one_hot((gold + 1) % 5, 5).float()
    assert best_temperature(wrong, gold) == pytest.approx(20, rel=1e-3)


def test_a_temperature_is_fitted_to_labelled_rows_and_changes_no_answer():
    temperature = Temperature()
    logits, gold = examples(4.0)
    assert torch.equal(temperature(logits), logits)
    hidden = gold.clone()
    hidden[::3] = -100
    for part in (slice(0, 150), slice(150, 400)):
        temperature.observe(temperature(logits[part]), hidden[part])
    temperature.finalize()
    known = hidden != -100
    wanted = best_temperature(logits[known], gold[known])
    assert float(temperature.value) == pytest.approx(wanted, rel=1e-4)
    assert torch.equal(temperature(logits).argmax(-1), logits.argmax(-1))
    torch.testing.assert_close(temperature(logits), logits / wanted, rtol=1e-4, atol=1e-4)
    # What is shown next is scaled already, and the answer is the same.
    value = temperature.value.clone()
    temperature.observe(temperature(logits), hidden)
    temperature.finalize()
    torch.testing.assert_close(temperature.value, value, rtol=1e-5, atol=0)
    temperature.observe(temperature(logits[:1]), torch.tensor([-100]))
    temperature.finalize()  # nothing to go by
    assert float(temperature.value) == pytest.approx(wanted, rel=1e-4)


def settled(model: Any) -> dict[str, Tensor]:
    kinds = ("temperature.value", "means", "bias")
    named = model.heads.exits.named_buffers()
    return {name: value.clone() for name, value in named if name.endswith(kinds)}


@pytest.fixture
def model(request, toy):
    """A tagger whose heads want to be fitted."""
    name = request.param
    if name == "mixed":
        made = toy.build(head="mixed", sharp=6.0, dropout=0.3)
        with torch.no_grad():
            made.heads.at(2).mixture.copy_(torch.tensor([0.8, -0.5]))
        return made
    network = toy.build(dropout=0.3).network
    return ExitModelForTokenClassification.from_transformers(
        network, toy.tokenizer(), toy.LABELS, heads={"name": "prototype"}
    )


fitted_model = pytest.mark.parametrize("model", FITTED, indirect=True)


@fitted_model
def test_fitting_twice_is_fitting_once(model, toy, tmp_path):
    splits: dict[str, Any] = {}
    for number, name in enumerate(("validation", "train")):
        splits[name] = toy.sentences(model, 9, seed=number)
    fresh = settled(model)
    assert fresh
    model.train()
    assert fit_heads(model, splits, batch_size=4)
    assert model.training
    first = settled(model)
    assert all(not value.equal(fresh[name]) for name, value in first.items())
    assert fit_heads(model, splits, batch_size=9)
    for name, value in settled(model).items():
        torch.testing.assert_close(value, first[name], rtol=1e-5, atol=1e-6)
    # It is the split that the head asks for, and it alone.
    own = FITTED["mixed" if hasattr(model.heads.at(1), "temperature") else "prototype"]
    fit_heads(model, {**splits, own: toy.sentences(model, 9, seed=7)})
    assert any(not value.allclose(first[name], rtol=1e-3) for name, value in settled(model).items())
    other = next(name for name in splits if name != own)
    fit_heads(model, {own: splits[own], other: []})
    for name, value in settled(model).items():
        torch.testing.assert_close(value, first[name], rtol=1e-5, atol=1e-6)


@fitted_model
def test_what_was_fitted_is_saved(model, toy, tmp_path):
    split = toy.sentences(model, 9)
    fit_heads(model, {"train": split, "validation": split})
    model.eval().save_pretrained(tmp_path)
    again = ExitModelForTokenClassification.from_pretrained(tmp_path)
    found = settled(again)
    assert found.keys() == settled(model).keys()
    assert all(torch.equal(value, found[name]) for name, value in settled(model).items())
    words = [["ax", "by", "cz"], ["bw"]]
    both = [one.exit_table(words) for one in (model, again)]
    assert torch.equal(both[0].logits, both[1].logits)


@fitted_model
def test_states_are_those_of_inference(model, toy, monkeypatch):
    """Without dropout, at full depth, after whatever the family does before its heads."""
    words = [["ax", "by", "cz"], ["bw", "bzwx"]]
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {"fit": [], "tag": []}
    key = "fit"
    for layer in (1, 2):
        model.heads.at(layer).register_forward_hook(
            lambda head, given, out: seen[key].append((given[0].clone(), out.clone()))
        )
    arrive = _Watching.arrive

    def asked(self, signals, rows):
        if signals.layer < signals.num_layers:
            _ = signals.logits
        arrive(self, signals, rows)

    monkeypatch.setattr(_Watching, "arrive", asked)
    monkeypatch.setattr(Temperature, "finalize", lambda self: None)
    monkeypatch.setattr(PrototypeHead, "finalize", lambda self: None)
    windows = model.encoder.encode(words, [[0, 1, 2], [1, 1]])
    model.train()
    split = [window.sentence for window in windows]
    fit_heads(model, {"train": split, "validation": split})
    key = "tag"
    model.eval().tag(words, policy={"name": "entropy", "threshold": 0.0})
    assert len(seen["fit"]) == len(seen["tag"]) == 2
    for one, other in zip(seen["fit"], seen["tag"], strict=True):
        torch.testing.assert_close(one, other)


def test_nothing_to_fit(toy):
    model = toy.build().train()
    assert not fit_heads(model, {})
    assert model.training


def test_a_head_may_still_call_it_settle():
    with pytest.warns(DeprecationWarning, match=r"Mine\.settle is called finalize now"):

        class Mine(LinearHead):
            settled = False

            def settle(self) -> None:
                with pytest.warns(DeprecationWarning, match=r"Fitted\.settle"):
                    super().settle()
                self.settled = True

    head = Mine(4, 2)
    head.finalize()
    assert head.settled
