"""Halt-and-copy done right, held against the dense reference.

Words halt as the model being trained lets them; a layer's loss is taken on the words still
there, and on no others; their neighbours are the copied states of those that left.
"""

from __future__ import annotations

from collections import Counter
from math import exp, log
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.errors import UserError
from tokenexit.halting import PolicyVisitor, Sentence, encode, encode_dense, pack
from tokenexit.objectives import BatchInfo, BatchLoss, Objective, from_config
from tokenexit.objectives.halt_and_copy import HaltAndCopy
from tokenexit.objectives.weights import layer_weights
from tokenexit.policies import Entropy, MaxProb, Patience, Policy, Window

NEVER = 99
POLICIES = [
    {"policy": "entropy"},
    {"policy": {"name": "window", "policy": {"name": "max_prob"}}},
    {"policy": "patience", "strict": 3, "loose": 1},
]


class Spy(Objective):
    """Notes the exit of every word, and keeps the lesson with its draws."""

    def __init__(self, inner: Objective) -> None:
        self.inner = inner
        self.lesson: Any = None
        self.exits = torch.empty(0)

    def start(self, occasion: BatchInfo) -> BatchLoss:
        lesson: Any = self.inner.start(occasion)
        arrive, self.lesson = lesson.arrive, lesson
        self.exits = torch.full((occasion.num_words,), NEVER)

        def noted(signals, words):
            halt = arrive(signals, words)
            if halt is not None:
                self.exits[words[halt]] = signals.layer
            return halt

        lesson.arrive = noted
        return lesson

    @property
    def settings(self) -> list[Policy]:
        return self.lesson._policies

    @property
    def choice(self) -> Tensor:
        """Which setting each packed sentence got, -1 for none."""
        return self.lesson._choice

    def by_sentence(self, sentences: list[Sentence]) -> list[list[int]]:
        """Exits of the words of each sentence, in the order given."""
        batch = pack(sentences)
        parts = [self.exits[batch.word_sequence == i].tolist() for i in range(len(sentences))]
        return [parts[list(batch.order).index(i)] for i in range(len(sentences))]


class Given:
    """A visitor that lets words out at exits known beforehand."""

    def __init__(self, exits: Tensor) -> None:
        self.exits = exits

    def arrive(self, signals, words):
        return self.exits[words] == signals.layer

    def leave(self, halted, staying):
        pass


def expected_exits(model: Any, sentences: list[Sentence], spy: Spy) -> list[list[int]]:
    """Exits by ``PolicyVisitor``: each sentence alone, under the setting it drew."""
    order = list(pack(sentences).order)
    found = []
    for number, sentence in enumerate(sentences):
        setting = int(spy.choice[order.index(number)])
        if setting < 0:
            found.append([NEVER] * len(sentence.word_rows))
            continue
        visitor = PolicyVisitor(spy.settings[setting], len(sentence.word_rows), "cpu")
        with torch.no_grad():
            encode(model.backbone, model.heads, pack([sentence]), visitor, classes=model.labels)
        layers = visitor.decisions().exit_layers
        found.append(layers.where(layers < model.backbone.num_layers, NEVER).tolist())
    return found


def dense_loss(
    model: Any, sentences: list[Sentence], exits: list[list[int]], weights: Any
) -> Tensor:
    """The loss in plain code: a sentence at a time, full width, masks by given exits."""
    total, backbone = torch.zeros((), dtype=torch.float64), model.backbone
    for sentence, leaving in zip(sentences, exits, strict=True):
        ids = torch.tensor([list(sentence.input_ids)])
        hidden = backbone.embed(ids, torch.arange(ids.shape[1])[None])
        row_exit = torch.full((ids.shape[1],), NEVER)
        for rows, layer in zip(sentence.word_rows, leaving, strict=True):
            row_exit[list(rows)] = layer
        first = [rows[0] for rows in sentence.word_rows]
        for layer in range(1, backbone.num_layers + 1):
            context = backbone.context(hidden, torch.ones_like(ids))
            new = backbone.layer(layer - 1, hidden, context)
            hidden = torch.where((row_exit < layer)[:, None], hidden, new)
            if layer not in weights:
                continue
            rows = backbone.finish(hidden[0, first])
            top = layer == backbone.num_layers
            logits = backbone.classify(rows) if top else model.heads.at(layer)(rows)
            here = torch.tensor(leaving) >= layer
            targets = torch.tensor(sentence.targets).where(here, -100)
            each = F.cross_entropy(logits, targets, ignore_index=-100, reduction="sum")
            total = total + weights[layer] * each
    return total


def reference_loss(model: Any, sentences: list[Sentence], exits: Tensor, weights: Any) -> float:
    """The same value from the engine's reference, in packed order."""
    batch = pack(sentences)
    with torch.no_grad():
        states = encode_dense(model.backbone, model.heads, batch, Given(exits), halted="copy")
        first, targets, total = torch.from_numpy(batch.first_row), batch.word_target, 0.0
        assert targets is not None
        for layer, weight in weights.items():
            rows = model.backbone.finish(states[layer - 1][first])
            top = layer == model.backbone.num_layers
            logits = model.backbone.classify(rows) if top else model.heads.at(layer)(rows)
            here = targets.where(exits >= layer, -100)
            total += weight * float(F.cross_entropy(logits, here, reduction="sum"))
    return total


@pytest.fixture
def sharp(toy):
    """A model some of whose words are sure early, and sentences for it."""
    model = toy.build(layers=4, sharp=6.0, double=True)
    return model, toy.sentences(model, 16, unlabelled=0.2)


@pytest.mark.parametrize("policy", POLICIES, ids=["entropy", "window", "patience"])
def test_words_leave_where_inference_would_let_them(policy, sharp, teach):
    model, sentences = sharp
    spy = Spy(HaltAndCopy(**policy, warmup=0, full=0.2))
    for step in range(3):
        teach(model, spy, sentences, step=step)
        assert spy.by_sentence(sentences) == expected_exits(model, sentences, spy)
        assert {-1, 0} <= set(spy.choice.tolist())
        assert len(set(spy.exits.tolist())) > 2


def test_exits_follow_the_model_as_it_changes(sharp, teach):
    model, sentences = sharp
    spy = Spy(HaltAndCopy(policy="entropy", warmup=0))
    teach(model, spy, sentences)
    before = spy.by_sentence(sentences)
    with torch.no_grad():
        for head in model.heads.exits.values():
            head.project.weight.mul_(0.2)
    teach(model, spy, sentences)
    assert spy.by_sentence(sentences) == expected_exits(model, sentences, spy)
    assert spy.by_sentence(sentences) != before


@pytest.mark.parametrize("rule", ["depth", "uniform"])
@pytest.mark.parametrize("exit_layers", [None, (1, 3)], ids=["all", "some"])
def test_loss_and_gradients_are_those_of_the_dense_reference(
    rule, exit_layers, toy, teach, gradients, agree
):
    model = toy.build(layers=4, sharp=6.0, exit_layers=exit_layers, double=True)
    sentences = toy.sentences(model, 16, unlabelled=0.2)
    spy = Spy(HaltAndCopy(policy="entropy", warmup=0, full=0.2, weights=rule))
    taught = teach(model, spy, sentences)
    halted = spy.exits < NEVER
    assert halted.any()
    assert not halted.all()

    weights = layer_weights(rule, model.settings.exit_layers)
    expected = dense_loss(model, sentences, spy.by_sentence(sentences), weights)
    torch.testing.assert_close(taught.loss.double(), expected, rtol=1e-6, atol=0)
    agree(taught.gradients, gradients(model, expected))
    again = reference_loss(model, sentences, spy.exits, weights)
    assert float(expected.detach()) == pytest.approx(again, rel=1e-6)

    # The defect of the published code, every head trained on all words, is something else.
    known = pack(sentences).word_target
    assert known is not None
    for layer, (_, count) in taught.by_layer.items():
        assert int(count) == int(((spy.exits >= layer) & (known != -100)).sum())
    everybody = teach(model, {"name": "joint", "weights": rule}, sentences)
    assert float(taught.loss.detach()) < 0.95 * float(everybody.loss.detach())


def test_a_word_that_left_weighs_nothing_above_its_exit(sharp, teach):
    model, sentences = sharp
    spy = Spy(HaltAndCopy(policy="entropy", warmup=0, full=0.0, loose=0.5))
    weights = layer_weights("top", model.settings.exit_layers)
    whole = teach(model, spy, sentences)
    # Without its class, a word that left at once takes away its first loss and nothing else.
    number, word = next(
        (i, j)
        for i, exits in enumerate(spy.by_sentence(sentences))
        for j, layer in enumerate(exits)
        if layer == 1 and (sentences[i].targets or [])[j] != -100
    )
    changed = list(sentences[number].targets or [])
    changed[word] = -100
    others = list(sentences)
    others[number] = Sentence(sentences[number].input_ids, sentences[number].word_rows, changed)
    without = teach(model, spy, others)
    gap = weights[1] * (whole.by_layer[1][0] - without.by_layer[1][0])
    assert float(gap) > 0
    torch.testing.assert_close((whole.loss - without.loss).detach(), gap, rtol=1e-3, atol=1e-6)
    assert max(whole.by_layer) > 1
    assert whole.by_layer.keys() == without.by_layer.keys()
    for layer in whole.by_layer.keys() - {1}:
        for first, second in zip(whole.by_layer[layer], without.by_layer[layer], strict=True):
            assert torch.equal(first, second)


def test_neighbours_are_copied_states(sharp, teach, plain_logits, targets_of, agree):
    model, sentences = sharp
    spy = Spy(HaltAndCopy(policy="entropy", warmup=0, full=0.0))
    taught = teach(model, spy, sentences)
    exits = torch.tensor([layer for part in spy.by_sentence(sentences) for layer in part])
    logits, targets = plain_logits(model, sentences), targets_of(sentences)
    weights = layer_weights("top", model.settings.exit_layers)
    # The same words at the same layers, but in a network that nobody has left.
    untouched = sum(
        weight
        * F.cross_entropy(
            logits[layer], targets.where(exits >= layer, -100), ignore_index=-100, reduction="sum"
        )
        for layer, weight in weights.items()
    )
    assert isinstance(untouched, Tensor)
    gap = abs(float(taught.loss.detach()) - float(untouched.detach()))
    assert gap > 1e-3 * float(untouched.detach())

    strict = {"policy": "entropy", "strict": 1e-300, "loose": 1e-299, "warmup": 0, "full": 0}
    for objective in (HaltAndCopy(**strict), HaltAndCopy(warmup=0, full=1)):
        nobody = teach(model, objective, sentences)
        joint = teach(model, {"name": "joint", "weights": "top"}, sentences)
        torch.testing.assert_close(nobody.loss, joint.loss)
        agree(nobody.gradients, joint.gradients)


def occasion(sentence: Tensor, **changes: Any) -> BatchInfo:
    facts: dict[str, Any] = {
        "step": 0,
        "progress": 0.9,
        "seed": 0,
        "exit_layers": (1, 2),
        "num_words": 1,
    }
    return BatchInfo(sentence=sentence, **{**facts, **changes})


def start(objective: HaltAndCopy, count: int = 2000, **changes: Any) -> Any:
    return objective.start(occasion(torch.arange(count), **changes))


def test_a_sandwich_of_full_depth_loosest_and_between():
    lesson = start(HaltAndCopy(policy="entropy", draws=4, full=0.25, strict=1e-3, loose=0.5))
    shares = Counter(lesson._choice.tolist())
    assert set(shares) == {-1, 0, 1, 2, 3}
    assert shares[-1] / 2000 == pytest.approx(0.25, abs=0.04)
    for number in range(4):
        assert shares[number] / 2000 == pytest.approx(0.75 / 4, abs=0.04)
    assert lesson._policies[0] == Entropy(0.5)
    for policy in lesson._policies[1:]:
        assert 1e-3 <= policy.threshold < 0.5


def test_settings_spread_over_the_whole_range():
    def values(objective, read):
        return [read(p) for s in range(200) for p in start(objective, 4, step=s)._policies[1:]]

    logs = values(HaltAndCopy(policy="entropy", strict=1e-4, loose=0.9), lambda p: log(p.threshold))
    low, high = log(1e-4), log(0.9)
    assert min(logs) < low + 0.05 * (high - low)
    assert max(logs) > low + 0.95 * (high - low)
    assert sum(logs) / len(logs) == pytest.approx((low + high) / 2, abs=0.5)

    plain = values(HaltAndCopy(policy="max_prob", strict=0.9, loose=0.5), lambda p: p.threshold)
    assert 0.5 < min(plain) < 0.52
    assert 0.88 < max(plain) < 0.9
    assert sum(plain) / len(plain) == pytest.approx(0.7, abs=0.02)

    whole = values(HaltAndCopy(policy="patience", strict=6, loose=1), lambda p: p.patience)
    assert set(whole) == {1, 2, 3, 4, 5, 6}


def test_shares_at_their_ends():
    assert set(start(HaltAndCopy(full=1.0))._choice.tolist()) == {-1}
    assert set(start(HaltAndCopy(full=0.0))._choice.tolist()) == {0, 1, 2}
    assert set(start(HaltAndCopy(full=0.0, draws=1))._choice.tolist()) == {0}
    only = start(HaltAndCopy(full=0.5, draws=1))._policies
    assert only == [Window().with_threshold(0.9)]


def test_nobody_halts_while_it_warms_up():
    objective = HaltAndCopy(warmup=0.3, full=0.1)
    assert set(start(objective, progress=0.29)._choice.tolist()) == {-1}
    assert set(start(objective, progress=0.3)._choice.tolist()) == {-1, 0, 1, 2}
    assert set(start(HaltAndCopy(warmup=0), progress=0.0)._choice.tolist()) == {-1, 0, 1, 2}


def test_draws_do_not_depend_on_how_a_step_is_cut(sharp, teach):
    model, sentences = sharp
    spy = Spy(HaltAndCopy(policy="entropy", warmup=0, full=0.2))
    whole = teach(model, spy, sentences, step=5)
    exits = spy.by_sentence(sentences)
    settings = list(spy.settings)
    loss = torch.zeros(())
    for first in range(3):
        places = list(range(first, 16, 3))
        part = [sentences[i] for i in places]
        loss = loss + teach(model, spy, part, step=5, places=places).loss.detach()
        assert spy.settings == settings
        assert spy.by_sentence(part) == [exits[i] for i in places]
    torch.testing.assert_close(loss, whole.loss.detach())


def test_draws_change_with_seed_and_step_only():
    objective = HaltAndCopy()
    first = start(objective, seed=1, step=1)
    torch.manual_seed(99)
    again = start(objective, seed=1, step=1, progress=0.5)
    assert again._choice.equal(first._choice)
    assert again._policies == first._policies
    for changes in ({"seed": 2, "step": 1}, {"seed": 1, "step": 2}):
        other = start(objective, **changes)
        assert not other._choice.equal(first._choice)
        assert other._policies != first._policies
        assert other._policies[0] == first._policies[0]  # the loosest is always there


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"policy": "never"}, "has none"),
        ({"policy": "entropyy"}, "Did you mean 'entropy'"),
        ({"policy": {"name": "entropy", "threshhold": 1}}, "Did you mean 'threshold'"),
        ({"policy": "entropy", "loose": 1.5}, "from 0 to 1"),
        ({"policy": "entropy", "strict": -1}, "from 0 to 1"),
        ({"policy": "entropy", "strict": 0}, "above 0"),
        ({"policy": "entropy", "strict": 0.5, "loose": 0.1}, "looser"),
        ({"policy": "max_prob", "strict": 0.5, "loose": 0.9}, "looser"),
        ({"policy": "entropy", "strict": "low"}, "cannot be built"),
        ({"draws": 0}, "1 or more"),
        ({"draws": 1.5}, "1 or more"),
        ({"full": -0.1}, "full must be from 0 to 1"),
        ({"full": 1.1}, "full must be from 0 to 1"),
        ({"warmup": 2}, "warmup must be from 0 to 1"),
        ({"windw": 1}, "Unknown setting"),
    ],
)
def test_mistakes_are_explained(settings, said):
    with pytest.raises(UserError, match=said):
        from_config({"name": "halt_and_copy", **settings})


def test_any_policy_with_a_threshold_will_do():
    for policy in (Entropy(0.3), MaxProb(0.7), Patience(2), Window(Entropy(0.2), 5)):
        assert HaltAndCopy(policy=policy).policy == policy
    given = from_config({"name": "halt_and_copy", "policy": {"name": "entropy"}, "loose": 0.5})
    assert isinstance(given, HaltAndCopy)
    assert given.policy == Entropy()
    (policy,) = start(HaltAndCopy(policy="entropy", strict=0.2, loose=0.2, draws=1))._policies
    assert policy.threshold == pytest.approx(exp(log(0.2)))
