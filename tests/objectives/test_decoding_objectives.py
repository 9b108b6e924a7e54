"""Objectives made for decoders, on a tiny T5 and, where they apply, on a tiny BERT."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForSeq2SeqLM

from tokenexit.decoders import DECODERS
from tokenexit.decoding.teacher_forcing import Pair, PairBatch
from tokenexit.decoding.teacher_forcing import teacher_forcing as run_decoder
from tokenexit.errors import UserError
from tokenexit.halting import PolicyVisitor, encode, pack
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.objectives import OBJECTIVES, BatchInfo, from_config, joint
from tokenexit.objectives.base import BatchLoss
from tokenexit.objectives.joint import Joint, sample_exits
from tokenexit.objectives.layer_skip import LayerSkip
from tokenexit.objectives.mixed_depth import MixedDepth
from tokenexit.objectives.shallow_deep import ShallowDeep
from tokenexit.objectives.weights import layer_weights
from tokenexit.policies.never import Never
from tokenexit.signals import Signals
from tokenexit.training import TrainConfig
from tokenexit.training.batches import MicroBatch, labelled_words
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.seq2seq_loss import Seq2SeqLossModule

DROPPED = {"name": "layer_skip", "dropout": 0.7}
LOTS: list[dict[str, Any]] = [
    {"name": "joint", "sampled": 1},
    DROPPED,
    {**DROPPED, "curriculum": "gradual", "sampled": 1},
    {"name": "mixed_depth"},
    {"name": "mixed_depth", "per": "sequence", "weights": "depth"},
]
ALL = LOTS + [{"name": "shallow_deep", "mapping": m} for m in ("last", "nearest", "uniform")]


def named(config: dict[str, Any]) -> str:
    return "-".join(str(value) for value in config.values())


@pytest.fixture
def t5():
    """A generator of four decoder layers in double precision, without dropout."""

    def build(**settings: Any) -> ExitModelForSeq2SeqLM:
        torch.manual_seed(0)
        config = DECODERS.get("t5").example_config("t5")
        config.dropout_rate = 0.0
        network = AutoModelForSeq2SeqLM.from_config(config)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight), alpha=0.1)
        return ExitModelForSeq2SeqLM.from_transformers(network, **settings).double().train()

    return build


def pairs(count: int = 7) -> list[Pair]:
    """Sources and targets of different lengths; a token here and there is not learned."""
    random = torch.Generator().manual_seed(1)
    made = []
    for number in range(count):
        source = torch.randint(5, 90, (3 + number % 4,), generator=random).tolist()
        target = torch.randint(5, 90, (2 + number * 3 % 7,), generator=random).tolist()
        hidden = [-100 if place == 1 and number % 2 else t for place, t in enumerate(target)]
        made.append(Pair(source, hidden, [0, *target[:-1]]))
    return made


@pytest.fixture(params=["t5", "bert"])
def case(request, toy, t5):
    """A model and examples for it."""
    if request.param == "t5":
        return t5(), pairs()
    model = toy.build(layers=4, double=True).train()
    return model, toy.sentences(model, 7, unlabelled=0.2)


@pytest.fixture
def learn(gradients):
    """One batch under an objective: loss, losses by exit, gradients."""

    def run(
        model: Any,
        objective: Any,
        examples: list[Any],
        *,
        step: int = 0,
        progress: float = 0.9,
        seed: int = 0,
        places: list[int] | None = None,
    ) -> tuple[Tensor, dict[int, tuple[Tensor, Tensor]], dict[str, Tensor | None]]:
        if isinstance(objective, (str, dict)):
            objective = from_config(objective)
        part = MicroBatch(
            examples, places or list(range(len(examples))), sum(map(labelled_words, examples))
        )
        room = Seq2SeqLossModule if isinstance(model, ExitModelForSeq2SeqLM) else EncoderLossModule
        losses = room(model, objective)(part, step, progress, seed)
        return losses.total.detach(), losses.by_layer, gradients(model, losses.total)

    return run


def occasion(count: int = 1, **changes: Any) -> BatchInfo:
    made = BatchInfo(0, 0.9, 0, (1, 2, 3, 4), 1, torch.arange(count))
    return replace(made, **changes)


def gap(first: dict[str, Tensor | None], second: dict[str, Tensor | None]) -> float:
    """Largest difference of gradients; none is as good as zero."""
    assert first.keys() == second.keys()
    none = torch.zeros(())
    return max(
        float(((none if a is None else a) - (none if b is None else b)).abs().max())
        for a, b in zip(first.values(), second.values(), strict=True)
    )


def added(*parts: dict[str, Tensor | None]) -> dict[str, Tensor | None]:
    zero = torch.zeros(())
    return {name: sum((p[name] for p in parts if p[name] is not None), zero) for name in parts[0]}


# --- what all of them share ------------------------------------------------------------------


@pytest.mark.parametrize("config", ALL, ids=named)
def test_seed_and_step_decide_and_nothing_else(config, case, learn):
    model, examples = case
    first = learn(model, config, examples, step=3, seed=1)
    torch.manual_seed(99)
    again = learn(model, config, examples, step=3, seed=1)
    assert torch.equal(first[0], again[0])
    assert gap(first[2], again[2]) == 0
    if config in LOTS:
        others = [learn(model, config, examples, step=s, seed=1)[0] for s in range(4, 9)]
        assert any(float((other - first[0]).abs()) > 1e-3 for other in others)
        others = [learn(model, config, examples, step=3, seed=s)[0] for s in range(2, 9)]
        assert any(float((other - first[0]).abs()) > 1e-3 for other in others)


@pytest.mark.parametrize("config", ALL, ids=named)
def test_how_a_step_is_cut_does_not_matter(config, case, learn):
    model, examples = case
    whole = learn(model, config, examples, step=5)
    cut = [list(range(start, 7, 3)) for start in range(3)]
    parts = [
        learn(model, config, [examples[i] for i in places], step=5, places=places) for places in cut
    ]
    torch.testing.assert_close(sum(part[0] for part in parts), whole[0], rtol=1e-5, atol=0)
    largest = max(float(g.abs().max()) for g in whole[2].values() if g is not None)
    assert gap(added(*(part[2] for part in parts)), whole[2]) < 1e-5 * largest


@pytest.mark.parametrize("config", ALL, ids=named)
def test_a_borrowed_example_weighs_nothing(config, case, learn):
    model, examples = case
    _, _, real = learn(model, config, examples[:1])
    loss, by_layer, idle = learn(model, config, [examples[0].unlabelled()])
    assert float(loss) == 0
    assert all(int(count) == 0 for _, count in by_layer.values())
    for name, gradient in idle.items():
        assert (gradient is None) == (real[name] is None), name
        assert gradient is None or not gradient.any(), name


@pytest.mark.parametrize("config", ALL, ids=named)
def test_a_network_with_no_exit_below_the_top(config, t5, learn):
    model = t5(exit_layers=(4,))
    plain, _, wanted = learn(model, "single", pairs())
    if config["name"] == "layer_skip":
        config = {**config, "dropout": 0}
    loss, _, got = learn(model, config, pairs())
    torch.testing.assert_close(loss, plain)
    assert gap(got, wanted) < 1e-9


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"name": "joint", "sampled": 0}, "joint.sampled must be a whole number from 1"),
        ({"name": "joint", "sampled": 1.5}, "not 1.5"),
        ({"name": "joint", "label_smoothing": 1}, "joint.label_smoothing must be from 0 to below"),
        ({"name": "layer_skip", "dropout": 1}, "dropout must be from 0 to below 1, not 1"),
        ({"name": "layer_skip", "scale": 0}, "scale must be above 0"),
        ({"name": "layer_skip", "curriculum": "rotat"}, "Did you mean 'rotate'"),
        ({"name": "layer_skip", "every": 0}, "layer_skip.every must be a whole number"),
        ({"name": "layer_skip", "every": 2, "curriculum": "all"}, "leave one of them out"),
        ({"name": "layer_skip", "sampled": True}, "layer_skip.sampled"),
        ({"name": "shallow_deep", "mapping": "nearst"}, "Did you mean 'nearest'"),
        ({"name": "shallow_deep", "alpha": -1}, "alpha must be 0 or more"),
        ({"name": "mixed_depth", "per": "tokens"}, "Did you mean 'token'"),
        ({"name": "mixed_depth", "weights": "even"}, "rule for loss weights"),
    ],
)
def test_mistakes_are_explained(config, said):
    with pytest.raises(UserError, match=said):
        from_config(config)


# --- joint, with sampled exits ---------------------------------------------------------------


@pytest.mark.parametrize("rule", ["depth", "uniform", "top", 0.8])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_sampled_weights_are_right_on_average(rule, count, monkeypatch):
    exits = (1, 2, 4, 5, 7, 8)
    weights = layer_weights(rule, exits)
    below = sum(weights[layer] for layer in exits[:-1])
    seen = dict.fromkeys(exits, 0.0)
    points = 400  # the mean over them is exact but for one point at each end
    for point in range(points):
        monkeypatch.setattr(
            joint, "draw", lambda *a, p=point, **k: torch.tensor([(p + 0.5) / points])
        )
        drawn = sample_exits(weights, occasion(exit_layers=exits), count)
        assert len(drawn) <= count + 1
        assert drawn[8] == weights[8]
        assert sum(drawn.values()) == pytest.approx(below + weights[8])
        for layer, weight in drawn.items():
            seen[layer] += weight / points
    assert seen == pytest.approx(weights, abs=2 / points)


def test_sampled_weights_by_real_draws():
    weights, seen = layer_weights("depth", (1, 2, 3, 4)), dict.fromkeys((1, 2, 3, 4), 0.0)
    for step in range(4000):
        for layer, weight in sample_exits(weights, occasion(step=step), 1).items():
            seen[layer] += weight / 4000
    assert seen == pytest.approx(weights, abs=0.02)
    assert (
        sample_exits(weights, occasion(), None) == sample_exits(weights, occasion(), 3) == weights
    )


def test_the_expected_gradient_is_that_of_all_exits(t5, learn, monkeypatch):
    model, examples = t5(), pairs(3)
    _, _, wanted = learn(model, {"name": "joint", "weights": "uniform"}, examples)
    few = {"name": "joint", "weights": "uniform", "sampled": 1}
    parts = []
    for point in (1 / 6, 1 / 2, 5 / 6):
        monkeypatch.setattr(joint, "draw", lambda *a, p=point, **k: torch.tensor([p]))
        parts.append(learn(model, few, examples)[2])
    largest = max(float(g.abs().max()) for g in wanted.values() if g is not None)
    mean = {name: value / 3 for name, value in added(*parts).items()}
    assert gap(mean, wanted) < 1e-6 * largest
    assert gap(parts[0], wanted) > 1e-2 * largest


@pytest.mark.parametrize(
    ("objective", "exits"),
    [(Joint(), 4), (Joint(sampled=1), 2), (LayerSkip(every=3), 2), (ShallowDeep(), 2)],
)
@pytest.mark.parametrize("gate", [False, True])
def test_exits_left_out_are_not_scored(objective, exits, gate, t5, learn):
    model = t5(gate=gate)
    scored = []
    head = model.network.get_output_embeddings()
    head.register_forward_hook(lambda module, args, out: scored.append(len(args[0])))
    _, by_layer, gradients = learn(model, objective, pairs())
    assert len(by_layer) == exits
    assert scored == [sum(len(pair.targets) for pair in pairs())] * exits
    if gate:
        assert gradients["gate.project.weight"].any()


# --- layer_skip ------------------------------------------------------------------------------


def test_layer_dropout_rates_grow_exponentially():
    rates = LayerSkip(dropout=0.2).rates(5, 0.3)
    assert rates == pytest.approx([0.2 * (2 ** (i / 4) - 1) for i in range(5)])
    assert rates[0] == 0
    assert rates[-1] == pytest.approx(0.2)
    growing = LayerSkip(dropout=0.2, from_scratch=True)
    assert growing.rates(5, 0.0) == [0] * 5
    assert growing.rates(5, 0.5)[-1] == pytest.approx(0.2 * (math.sqrt(2) - 1))
    assert growing.rates(5, 1.0) == pytest.approx(rates)
    assert LayerSkip().rates(1, 0.5) == [0]


def test_sentences_leave_out_layers_at_these_rates():
    objective = LayerSkip(dropout=0.6)
    lesson = objective.start(occasion(5000))
    assert lesson.skip(1) is None
    masks = []
    for layer in (2, 3, 4):
        mask = lesson.skip(layer)
        assert mask is not None
        masks.append(mask.double())
        rate = objective.rates(4, 0)[layer - 1]
        assert float(masks[-1].mean()) == pytest.approx(rate, abs=0.025)
    # Layers are drawn apart from each other.
    together = float((masks[1] * masks[2]).mean())
    assert together == pytest.approx(float(masks[1].mean() * masks[2].mean()), abs=0.02)
    part = objective.start(occasion(sentence=torch.tensor([17, 4]))).skip(4)
    assert part is not None
    assert part.tolist() == masks[2][[17, 4]].bool().tolist()


def test_exits_of_a_step_and_their_weights():
    # With scale 0.5: 0.5, 1.5, 3 below the top, and 4 + 0.5 * 6 there.
    turns = LayerSkip(scale=0.5, every=2)
    assert turns.weights(occasion(step=0)) == pytest.approx(
        {1: 0.5 / 10.5, 3: 3 / 10.5, 4: 7 / 10.5}
    )
    assert turns.weights(occasion(step=1)) == pytest.approx({2: 1.5 / 8.5, 4: 7 / 8.5})
    assert turns.weights(occasion(step=2)) == turns.weights(occasion(step=0))
    whole = LayerSkip(curriculum="all").weights(occasion())
    assert whole == pytest.approx({layer: layer * (layer + 1) / 40 for layer in (1, 2, 3, 4)})
    seen = {
        exits for step in range(9) for exits in [tuple(LayerSkip().weights(occasion(step=step)))]
    }
    assert seen == {(1, 3, 4), (2, 4)}


def test_exits_come_gradually_from_the_top():
    gradual = LayerSkip(curriculum="gradual")
    for progress, exits in [
        (0.0, [4]),
        (0.124, [4]),
        (0.125, [3, 4]),
        (0.25, [2, 3, 4]),
        (0.374, [2, 3, 4]),
        (0.375, [1, 2, 3, 4]),
        (1.0, [1, 2, 3, 4]),
    ]:
        assert list(gradual.weights(occasion(progress=progress))) == exits
    few = gradual.start(occasion()), replace(gradual, sampled=1).start(occasion())
    assert [len(lesson.scored or ()) for lesson in few] == [4, 2]


def test_layer_dropout_and_scale_reach_the_gradients(case, learn):
    model, examples = case
    base = {"name": "layer_skip", "dropout": 0.0, "curriculum": "all"}
    _, _, whole = learn(model, base, examples)
    assert gap(learn(model, {**base, "dropout": 0.9}, examples)[2], whole) > 1e-2
    assert gap(learn(model, {**base, "scale": 0.2}, examples)[2], whole) > 1e-2
    assert gap(learn(model, {**base, "curriculum": "rotate"}, examples)[2], whole) > 1e-2


class Look:
    """Halts nobody."""

    def arrive(self, signals, words):
        return None

    def leave(self, halted, staying):
        pass


def test_a_layer_left_out_is_as_if_it_were_not_there(case):
    model, examples = case
    mask = torch.tensor([n % 3 == 0 for n in range(7)])

    def states(skip):
        if isinstance(model, ExitModelForSeq2SeqLM):
            batch = PairBatch.of(examples, 0, "cpu")
            exits = model.exits(model.decoder)
            found = run_decoder(model.decoder, exits, batch, Look(), skip=skip)
            return found, mask.repeat_interleave(batch.reading.shape[1])
        found = []
        batch = pack(examples)
        encode(model.backbone, model.heads, batch, Look(), skip=skip, states=found)
        return found, mask[torch.from_numpy(batch.row_sequence)]

    with torch.no_grad():
        plain, _ = states(None)
        same, _ = states(lambda layer: None)
        other, out = states(lambda layer: mask if layer == 2 else None)
    for first, second in zip(plain, same, strict=True):
        assert torch.equal(first, second)
    torch.testing.assert_close(other[0], plain[0])
    assert torch.equal(other[1][out], other[0][out])
    for layer in range(4):
        torch.testing.assert_close(other[layer][~out], plain[layer][~out])
        assert layer == 0 or not torch.allclose(other[layer][out], plain[layer][out])


def test_a_tagger_drops_layers_as_dense_code_would(toy, learn, gradients, agree):
    model = toy.build(layers=4, double=True).train()
    sentences = toy.sentences(model, 8, unlabelled=0.2)
    objective = LayerSkip(dropout=0.8, curriculum="all")
    loss, _, got = learn(model, objective, sentences, step=2)
    facts = occasion(8, step=2)
    lesson, weights = objective.start(facts), objective.weights(facts)
    total, dropped = torch.zeros((), dtype=torch.float64), 0
    for number, sentence in enumerate(sentences):
        ids = torch.tensor([list(sentence.input_ids)])
        hidden = model.backbone.embed(ids, torch.arange(ids.shape[1])[None])
        for layer in range(1, 5):
            skips = lesson.skip(layer)
            if skips is not None and skips[number]:
                dropped += 1
            else:
                context = model.backbone.context(hidden, torch.ones_like(ids))
                hidden = model.backbone.layer(layer - 1, hidden, context)
            rows = model.backbone.finish(hidden[0, [rows[0] for rows in sentence.word_rows]])
            logits = model.backbone.classify(rows) if layer == 4 else model.heads.at(layer)(rows)
            target = torch.tensor(sentence.targets)
            total = total + weights[layer] * F.cross_entropy(logits, target, reduction="sum")
    assert dropped
    torch.testing.assert_close(loss.double(), total.detach(), rtol=1e-6, atol=0)
    agree(got, gradients(model, total))


def test_inference_leaves_nothing_out(toy):
    model = toy.build(layers=3).eval()
    batch = pack(toy.sentences(model, 3))
    visitor = PolicyVisitor(Never(), batch.num_words, "cpu")
    with torch.no_grad():
        work = encode(model.backbone, model.heads, batch, visitor)
    assert [layer.calls for layer in work] == [1, 1, 1]


# --- shallow_deep ----------------------------------------------------------------------------


def signals(layer: int, hidden: Tensor, logits: Tensor, target: list[int], top: int) -> Signals:
    place = torch.arange(len(hidden))
    return Signals(
        layer=layer,
        num_layers=top,
        hidden=hidden,
        sequence=torch.zeros_like(place),
        position=place,
        item_id=place,
        num_sequences=1,
        extent=len(hidden),
        head=lambda states: logits,
        target=torch.tensor(target),
    )


def lesson_of(
    objective: ShallowDeep, states: list[Tensor], target: list[int], low=None
) -> BatchLoss:
    """A lesson that has seen every exit; logits are even, except ``low``."""
    exits = tuple(range(1, len(states) + 1))
    lesson = objective.start(occasion(exit_layers=exits))
    for layer, hidden in enumerate(states, start=1):
        logits = torch.zeros(len(hidden), 2) if low is None or layer > 1 else low
        arrived = signals(layer, hidden, logits, target, len(states))
        assert lesson.arrive(arrived, torch.arange(len(hidden))) is None
    return lesson


@pytest.mark.parametrize("mapping", ["last", "nearest", "uniform"])
def test_a_distance_worked_out_by_hand(mapping):
    # (3, 4) and (8, 6) at unit root mean square differ by (1, 1) / sqrt(12.5).
    low = torch.tensor([[3.0, 4.0], [5.0, 1.0]], requires_grad=True)
    top = torch.tensor([[8.0, 6.0], [1.0, 9.0]], requires_grad=True)
    logits = torch.tensor([[math.log(3), 0.0], [7.0, 7.0]])
    lesson = lesson_of(ShallowDeep(1, 0.25, mapping), [low, top], [0, -100], logits)
    entropy = (1 * math.log(4 / 3) + 2 * math.log(2)) / 3  # weights 1 : 2
    lesson.loss().backward()
    value = float(lesson.loss().detach())
    assert value == pytest.approx(entropy + 0.25 * 0.08, rel=1e-5)
    assert top.grad is None  # a teacher does not move towards its student
    assert low.grad is not None
    assert low.grad[0].any()
    assert not low.grad[1].any()
    bare = lesson_of(ShallowDeep(1, 0.0), [low, top], [0, 1])
    assert float(bare.loss()) == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize(
    ("depth", "shallow", "teachers"),
    [
        (24, 12, list(range(2, 25, 2))),
        (24, 8, [3, 6, 9, 12, 15, 18, 21, 24]),
        (24, 6, [4, 8, 12, 16, 20, 24]),
        (24, 4, [6, 12, 18, 24]),
        (12, 3, [4, 8, 12]),
        (6, 4, [2, 3, 5, 6]),
    ],
)
def test_teachers_are_those_of_the_released_code(depth, shallow, teachers):
    lesson: Any = ShallowDeep(shallow).start(occasion(exit_layers=tuple(range(1, depth + 1))))
    assert lesson._students == list(range(1, shallow + 1))
    assert lesson._teachers == teachers
    lesson = ShallowDeep(shallow, mapping="last").start(
        occasion(exit_layers=tuple(range(1, depth + 1)))
    )
    assert (lesson._students, lesson._teachers) == ([shallow], [depth])


def test_teachers_among_a_few_exits():
    for exits, shallow, students, teachers in [
        ((2, 6), 2, [2], [6]),
        ((2, 4, 5, 12), 5, [2, 4, 5], [4, 5, 12]),
        ((6, 12, 24), None, [6], [24]),
        ((1, 2, 24), None, [1, 2], [2, 24]),
    ]:
        lesson: Any = ShallowDeep(shallow).start(occasion(exit_layers=exits))
        assert (lesson._students, lesson._teachers) == (students, teachers)
    with pytest.raises(UserError, match=r"shallow=3 is no exit below the top.*\[1, 2\]"):
        ShallowDeep(3).start(occasion(exit_layers=(1, 2, 4)))
    with pytest.raises(UserError, match="shallow=4 is no exit"):
        ShallowDeep(4).start(occasion(exit_layers=(1, 2, 4)))


def at(*degrees: float) -> Tensor:
    """Directions of words in the plane."""
    angle = torch.tensor(degrees).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def test_each_word_picks_its_nearest_layer_in_order():
    # Of 6 layers, 3 are shallow; 2, 4 and 6 teach. Word by word:
    # 0: the top picks layer 3, layer 4 then 2 (3 is taken), layer 2 then 1.
    # 1: the top picks layer 1; the others have none left and teach it again.
    low = [at(0.0, 40.0), at(20.0, 0.0), at(50.0, 10.0)]
    high = [at(50.0, 90.0), at(0.0, 0.0), at(60.0, 45.0)]
    shallow = [*low, high[0], high[1], high[2]]
    lesson = lesson_of(ShallowDeep(3, 1.0, "nearest"), shallow, [0, 0])

    def apart(first: float, second: float) -> float:
        return 2 - 2 * math.cos(math.radians(first - second))  # of vectors of length sqrt(2), / 2

    wanted = apart(50, 60) + apart(20, 50) + apart(0, 20)
    wanted += apart(40, 45) + apart(40, 90) + apart(40, 0)
    assert float(lesson.loss()) == pytest.approx(2 * math.log(2) + wanted / 3, rel=1e-4)


@pytest.mark.parametrize("mapping", ["last", "nearest", "uniform"])
def test_distillation_moves_shallow_layers_only(mapping, t5, learn):
    model = t5()
    plain, by_layer, without = learn(model, ShallowDeep(2, 0.0, mapping), pairs())
    loss, again, got = learn(model, ShallowDeep(2, 0.5, mapping), pairs())
    assert by_layer == again
    assert sorted(by_layer) == [2, 4]
    expected = (2 * by_layer[2][0] + 4 * by_layer[4][0]) / 6
    torch.testing.assert_close(plain.float(), expected)
    assert float(loss) > float(plain)
    moved = {
        name
        for name, gradient in got.items()
        if gradient is not None
        and "decoder.block" in name
        and not torch.allclose(gradient, without[name])  # type: ignore[arg-type]
    }
    assert any(".block.1." in name for name in moved)
    assert not any(f".block.{deep}." in name for name in moved for deep in (2, 3))


# --- mixed_depth -----------------------------------------------------------------------------


class Given:
    """Halts tokens at exits known beforehand and keeps the scores they left with."""

    def __init__(self, exits: Tensor) -> None:
        self.exits = exits
        self.loss = torch.zeros(())

    def arrive(self, signals, words):
        halt = self.exits[words] == signals.layer
        target = signals.target[halt]
        self.loss = self.loss + F.cross_entropy(signals.logits[halt], target, reduction="sum")
        return halt

    def leave(self, halted, staying):
        pass


def drawn(objective: MixedDepth, sizes: list[int], **changes: Any) -> Tensor:
    lesson: Any = objective.start(occasion(len(sizes), **changes))
    table = lesson._draw(max(sizes))
    return torch.cat([row[:size] for row, size in zip(table, sizes, strict=True)])


@pytest.mark.parametrize("per", ["token", "sequence"])
def test_a_token_is_scored_where_it_was_drawn_to_leave(per, t5, learn, gradients):
    model, examples = t5(), pairs()
    sizes = [len(pair.targets) for pair in examples]
    objective = MixedDepth(per)
    loss, by_layer, got = learn(model, objective, examples, step=4)
    exits = drawn(objective, sizes, step=4)
    known = torch.tensor([t != -100 for pair in examples for t in pair.targets])
    counts = {layer: int(count) for layer, (_, count) in by_layer.items()}
    assert counts == {layer: int((known & (exits == layer)).sum()) for layer in (1, 2, 3, 4)}
    assert sum(counts.values()) == int(known.sum())

    given = Given(exits)
    batch = PairBatch.of(examples, 0, "cpu")
    run_decoder(model.decoder, model.exits(model.decoder), batch, given)
    torch.testing.assert_close(loss.double(), given.loss.double().detach(), rtol=1e-6, atol=0)
    wanted = gradients(model, given.loss)
    largest = max(float(g.abs().max()) for g in wanted.values() if g is not None)
    assert gap(got, wanted) < 1e-5 * largest


@pytest.mark.parametrize("per", ["token", "sequence"])
def test_deeper_tokens_read_copied_states(per, t5, learn):
    """The same losses in a decoder that nobody leaves, unless all of a sentence leave at once."""

    class Staying(Given):
        def arrive(self, signals, words):
            super().arrive(signals, words)

    model, examples = t5(), pairs()
    exits = drawn(MixedDepth(per), [len(pair.targets) for pair in examples])
    loss, _, _ = learn(model, MixedDepth(per), examples)
    staying = Staying(exits)
    run_decoder(
        model.decoder, model.exits(model.decoder), PairBatch.of(examples, 0, "cpu"), staying
    )
    apart = abs(float(loss) - float(staying.loss.detach())) / float(loss)
    assert apart > 1e-4 if per == "token" else apart < 1e-6


def test_exits_are_drawn_evenly_or_as_weighed():
    exits = drawn(MixedDepth(), [50] * 200)
    shares = torch.bincount(exits, minlength=5) / len(exits)
    assert shares.tolist() == pytest.approx([0, 0.25, 0.25, 0.25, 0.25], abs=0.02)
    by_place = exits.view(200, 50)
    for line in (by_place[0], by_place[:, 0], by_place[:, 30]):
        assert set(line.tolist()) == {1, 2, 3, 4}
    shares = torch.bincount(drawn(MixedDepth(weights="depth"), [50] * 200)) / 10_000
    assert shares.tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=0.02)
    whole = drawn(MixedDepth("sequence"), [5] * 2000).view(2000, 5)
    assert (whole == whole[:, :1]).all()
    shares = torch.bincount(whole[:, 0]) / 2000
    assert shares.tolist() == pytest.approx([0, 0.25, 0.25, 0.25, 0.25], abs=0.04)


def test_a_longer_neighbour_changes_no_draw():
    short, long = drawn(MixedDepth(), [3, 4]), drawn(MixedDepth(), [3, 60])
    assert short.tolist() == long[:7].tolist()


# --- label smoothing -------------------------------------------------------------------------


SMOOTHED = [
    name
    for name, cls in OBJECTIVES.items()
    if not (cls.asks or cls.own_heads or cls.reads_teacher or cls.reads_columns or cls.reduces)
    and not from_config(name).trains
]


@pytest.mark.parametrize("name", SMOOTHED)
def test_label_smoothing_reaches_every_objective(name, case, learn):
    model, examples = case
    _, plain, before = learn(model, name, examples, step=1)
    _, by_layer, after = learn(model, {"name": name, "label_smoothing": 0.2}, examples, step=1)
    assert by_layer == plain  # what is logged is not smoothed
    assert gap(before, after) > 1e-3


def test_label_smoothing_is_that_of_torch(case, learn):
    model, examples = case
    logits: dict[int, Tensor] = {}

    class Keep(Joint):
        def start(self, occasion):
            lesson = super().start(occasion)
            arrive = lesson.arrive

            def kept(signals, words):
                logits[signals.layer] = (signals.logits.detach(), signals.target)
                return arrive(signals, words)

            lesson.arrive = kept
            return lesson

    loss, _, _ = learn(model, Keep(weights="uniform", label_smoothing=0.1), examples)
    parts = [
        F.cross_entropy(scores, target, label_smoothing=0.1, reduction="sum")
        for scores, target in logits.values()
    ]
    torch.testing.assert_close(loss.double(), sum(parts) / 4, rtol=1e-5, atol=0)


def test_label_smoothing_comes_from_the_training_settings():
    assert TrainConfig(objective={"name": "joint"}).objective == {"name": "joint"}
    config = TrainConfig(objective={"name": "joint"}, label_smoothing=0.1)
    assert from_config(config.objective) == Joint(label_smoothing=0.1)
    assert replace(config, label_smoothing=0.3).objective["label_smoothing"] == 0.3
    for value in (1.0, -0.1, float("nan")):
        with pytest.raises(UserError, match=r"train\.label_smoothing must be from 0 to below 1"):
            TrainConfig(label_smoothing=value)
