"""Joint, single and alternating training against the plain transformers model."""

from __future__ import annotations

import pytest
import torch

from tokenexit.objectives.weights import layer_weights


@pytest.mark.parametrize("exit_layers", [None, (2,)], ids=["all", "some"])
@pytest.mark.parametrize("rule", ["depth", "uniform"])
def test_joint_is_the_weighted_sum_over_exits(
    rule, exit_layers, toy, teach, plain_logits, targets_of, summed_loss, gradients, agree
):
    model = toy.build(exit_layers=exit_layers, double=True)
    sentences = toy.sentences(model, 6, unlabelled=0.4)
    taught = teach(model, {"name": "joint", "weights": rule}, sentences)

    logits, targets = plain_logits(model, sentences), targets_of(sentences)
    assert (targets == -100).any()
    exits = sorted(logits)
    assert exits == ([1, 2, 3] if exit_layers is None else [2, 3])
    raw = {layer: layer if rule == "depth" else 1 for layer in exits}
    parts = {layer: summed_loss(logits[layer], targets) for layer in exits}
    expected = torch.stack([raw[k] / sum(raw.values()) * parts[k] for k in exits]).sum()

    torch.testing.assert_close(taught.loss.double(), expected, rtol=1e-6, atol=0)
    agree(taught.gradients, gradients(model, expected))
    labelled = int((targets != -100).sum())
    for layer in exits:
        loss, count = taught.by_layer[layer]
        torch.testing.assert_close(loss.double(), parts[layer], rtol=1e-6, atol=0)
        assert int(count) == labelled


def test_words_without_a_class_weigh_nothing(toy, teach, agree):
    model = toy.build(double=True)
    sentence = next(s for s in toy.sentences(model, 20) if len(s.word_rows) == 4)
    cut = type(sentence)(
        sentence.input_ids, sentence.word_rows, [*(sentence.targets or [])[:3], -100]
    )
    other = type(sentence)(sentence.input_ids, sentence.word_rows[:3], sentence.targets[:3])
    for objective in ("joint", {"name": "self_distillation"}):
        first, second = teach(model, objective, [cut]), teach(model, objective, [other])
        torch.testing.assert_close(first.loss, second.loss)
        agree(first.gradients, second.gradients)


def test_single_is_ordinary_fine_tuning(toy, teach, gradients, agree):
    model = toy.build(double=True)
    sentence = toy.sentences(model, 4)[1]
    taught = teach(model, "single", [sentence])

    labels = torch.full((1, len(sentence.input_ids)), -100)
    for rows, target in zip(sentence.word_rows, sentence.targets, strict=True):
        labels[0, rows[0]] = target
    mean = model.network(torch.tensor([sentence.input_ids]), labels=labels).loss
    torch.testing.assert_close(
        taught.loss.double(), mean * len(sentence.targets), rtol=1e-6, atol=0
    )
    assert list(taught.by_layer) == [3]
    assert all(g is None for name, g in taught.gradients.items() if "heads." in name)
    agree(taught.gradients, gradients(model, mean * len(sentence.targets)))


def test_alternating_goes_by_parity(toy, teach, agree):
    model = toy.build()
    sentences = toy.sentences(model, 4)
    top, all_exits = teach(model, "single", sentences), teach(model, "joint", sentences)
    even = {"name": "joint", "weights": "uniform"}
    for step in range(4):
        taught = teach(model, "alternating", sentences, step=step)
        wanted = teach(model, even, sentences) if step % 2 else top
        times = 3 if step % 2 else 1  # a sum over exits, where joint is a mean
        torch.testing.assert_close(taught.loss, times * wanted.loss)
        scaled = {k: None if g is None else times * g for k, g in wanted.gradients.items()}
        agree(taught.gradients, scaled)
        assert taught.reached("heads.") == bool(step % 2)
    by_depth = teach(model, {"name": "alternating", "weights": "depth"}, sentences, step=1)
    torch.testing.assert_close(by_depth.loss, 3 * all_exits.loss)


def test_a_network_with_no_exit_below_the_top(toy, teach):
    model = toy.build(exit_layers=(3,))
    sentences = toy.sentences(model, 4)
    single = teach(model, "single", sentences).loss
    for name in ("joint", "two_stage", "alternating", "self_distillation", "halt_and_copy"):
        torch.testing.assert_close(teach(model, name, sentences, step=1).loss, single)
    assert layer_weights("depth", (3,)) == {3: 1.0}
