"""The loop in one process."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from tokenexit.errors import UserError
from tokenexit.training.tracking import read_log

OBJECTIVES = ["joint", "single", "two_stage", "alternating", "self_distillation", "halt_and_copy"]


def accuracy(model: Any, sentences: list[Any]) -> float:
    """Share of words the top gets right."""
    from tokenexit.halting import PolicyVisitor, encode, pack
    from tokenexit.policies import Never

    batch = pack(sentences)
    visitor = PolicyVisitor(Never(), batch.num_words, "cpu")
    with torch.no_grad():
        encode(model.backbone, model.heads, batch, visitor)
    assert batch.word_target is not None
    right = visitor.decisions().logits.argmax(-1) == batch.word_target
    return float(right.float().mean())


def losses_of(folder: Any) -> list[float]:
    return [entry["loss"] for entry in read_log(folder / "train_log.jsonl")]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_learns(objective, toy, tmp_path):
    model = toy.build(dropout=0.1)
    sentences = toy.sentences(model, 24)
    before = accuracy(model.eval(), sentences)
    state = toy.fit(model, sentences, tmp_path, objective={"name": objective}, epochs=6)
    assert (state.step, state.best_step) == (36, 0)
    assert before < 0.75
    assert accuracy(model, sentences) > 0.9
    assert not model.training
    if objective not in ("alternating", "two_stage"):
        losses = losses_of(tmp_path)
        assert sum(losses[-6:]) < 0.5 * sum(losses[:6])


@pytest.mark.parametrize("objective", ["halt_and_copy", "single", "two_stage"])
@pytest.mark.parametrize("equilibrium", [False, True], ids=["", "equilibrium"])
def test_micro_batches_do_not_change_the_weights(
    objective, equilibrium, toy, tmp_path, largest_gap
):
    # 9 sentences by 4: the last step of an epoch has one sentence for three parts.
    found = {}
    for parts in (1, 3):
        model = toy.build(sharp=4.0, double=True, gate=objective == "halt_and_copy")
        toy.fit(
            model,
            toy.sentences(model, 9, unlabelled=0.3),
            tmp_path / str(parts),
            accumulation=parts,
            objective={"name": objective},
            epochs=3,
            weight_decay=0.1,
            gradient_equilibrium=equilibrium,
        )
        found[parts] = toy.weights(model), read_log(tmp_path / str(parts) / "train_log.jsonl")
    assert largest_gap(found[1][0], found[3][0]) < 1e-6
    for one, three in zip(found[1][1], found[3][1], strict=True):
        assert one["loss_by_exit"] == pytest.approx(three["loss_by_exit"], abs=2e-5)
        assert one["reached"] == three["reached"]


def test_exit_heads_stay_as_they_are_under_single(toy, tmp_path, same_bits):
    # Also where a part has no sentence: a gradient of zero would let the decay at them.
    model = toy.build()
    before = {k: v for k, v in toy.weights(model).items() if k.startswith("heads.")}
    toy.fit(
        model,
        toy.sentences(model, 5),
        tmp_path,
        objective={"name": "single"},
        accumulation=3,
        weight_decay=0.5,
    )
    after = {k: v for k, v in toy.weights(model).items() if k.startswith("heads.")}
    assert same_bits(before, after)


@pytest.fixture
def optimizer_steps(monkeypatch) -> list[dict[int, torch.Tensor]]:
    """Gradients that each optimizer step met, by the id of the weight."""
    met: list[dict[int, torch.Tensor]] = []
    step = torch.optim.AdamW.step

    def noted(self, *args, **kwargs):
        weights = [weight for group in self.param_groups for weight in group["params"]]
        met.append({id(w): w.grad.clone() for w in weights if w.grad is not None})
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    return met


def test_the_first_step_by_hand(toy, tmp_path, optimizer_steps):
    # The gradient is that of the mean over words, and AdamW's first step is known.
    model = toy.build(double=True)
    sentence = next(s for s in toy.sentences(model, 9) if len(s.word_rows) > 2)
    before = toy.weights(model)
    logits = model.network(torch.tensor([sentence.input_ids])).logits[0]
    first = [rows[0] for rows in sentence.word_rows]
    loss = torch.nn.functional.cross_entropy(logits[first], torch.tensor(sentence.targets))
    loss.backward()
    gradient = model.network.classifier.weight.grad.clone()
    model.zero_grad(set_to_none=True)
    toy.fit(
        model,
        [sentence],
        tmp_path,
        objective={"name": "single"},
        max_steps=1,
        head_lr=0.01,
        weight_decay=0.1,
        clip=0,
    )
    (met,) = optimizer_steps
    torch.testing.assert_close(
        met[id(model.network.classifier.weight)], gradient, rtol=1e-5, atol=1e-8
    )
    old = before["network.classifier.weight"]
    moved = old * (1 - 0.01 * 0.1) - 0.01 * gradient / (gradient.abs() + 1e-8)
    torch.testing.assert_close(
        model.network.classifier.weight.detach(), moved, rtol=1e-5, atol=1e-7
    )
    assert losses_of(tmp_path) == pytest.approx([float(loss.detach())], rel=1e-6)


def test_gradients_are_clipped(toy, tmp_path, optimizer_steps):
    def norms(clip):
        optimizer_steps.clear()
        model = toy.build(sharp=4.0)
        toy.fit(model, toy.sentences(model, 4), tmp_path, max_steps=3, clip=clip)
        return [float(torch.cat([g.flatten() for g in s.values()]).norm()) for s in optimizer_steps]

    assert norms(0.01) == pytest.approx([0.01] * 3, rel=1e-3)
    assert min(norms(0)) > 0.05


def test_the_log(toy, tmp_path):
    model = toy.build(sharp=4.0)
    sentences = toy.sentences(model, 10, unlabelled=0.5)
    halting = {"name": "halt_and_copy", "policy": "entropy", "warmup": 0.5, "full": 0.0}
    toy.fit(
        model,
        sentences,
        tmp_path,
        objective=halting,
        epochs=4,
        log_every=3,
        evaluate=lambda model: {"quality": 0.5, "other": 2},
    )
    log = read_log(tmp_path / "train_log.jsonl")
    train = [entry for entry in log if "loss" in entry]
    assert [entry["step"] for entry in train] == [3, 6, 9, 12]
    assert [entry["epoch"] for entry in train] == [0, 1, 2, 3]
    for entry in train:
        assert set(entry) == {"step", "epoch", "loss", "loss_by_exit", "reached", "lr", "seconds"}
        assert len(entry["loss_by_exit"]) == len(entry["reached"]) == 3
        assert entry["reached"][0] == 1.0  # unlabelled words do not count
        assert entry["reached"] == sorted(entry["reached"], reverse=True)
        assert entry["lr"] > 0
    assert train[0]["reached"] == [1, 1, 1]
    assert train[-1]["reached"][-1] < 1
    checks = [entry for entry in log if "validation_quality" in entry]
    assert [entry["step"] for entry in checks] == [3, 6, 9, 12]
    assert checks[0] == {"step": 3, "validation_quality": 0.5, "validation_other": 2}


def test_a_cut_line_ends_the_log(tmp_path):
    path = tmp_path / "train_log.jsonl"
    assert read_log(path) == []
    path.write_text('{"step": 1}\n{"step": 2}\n{"ste', encoding="utf-8")
    assert read_log(path) == [{"step": 1}, {"step": 2}]


@pytest.mark.parametrize(
    "line", [b"null", b"[1]", b"{}", b"3", b'{"step": "one"}', b"\xff\x00", b"[" * 100_000]
)
def test_a_damaged_line_is_told_and_nothing_behind_it_is_lost(line, tmp_path):
    path = tmp_path / "train_log.jsonl"
    content = b'{"step": 1}\n' + line + b'\n{"step": 2}\n'
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"train_log\.jsonl, line 2, is damaged"):
        read_log(path)
    assert path.read_bytes() == content


def test_max_steps_counts_steps_not_epochs(toy, tmp_path):
    model = toy.build()
    sentences = toy.sentences(model, 10)
    seen = []

    def evaluate(model):
        seen.append(model)
        return {"quality": 0.0}

    for steps, evaluations in ((2, 1), (7, 3)):
        seen.clear()
        state = toy.fit(
            model, sentences, tmp_path / str(steps), epochs=1, max_steps=steps, evaluate=evaluate
        )
        assert state.step == steps
        assert len(seen) == evaluations  # after each epoch of three steps, and at the end
        assert seen[0] is model
        assert len(losses_of_training(tmp_path / str(steps))) == steps


def losses_of_training(folder: Any) -> list[float]:
    return [e["loss"] for e in read_log(folder / "train_log.jsonl") if "loss" in e]


@pytest.mark.parametrize("qualities", [(0.2, 0.9, 0.3), (0.9, 0.9, 0.1), (0.1, 0.2, 0.3)])
def test_the_best_weights_come_back(qualities, toy, tmp_path, same_bits):
    model, snapshots = toy.build(dropout=0.1), []

    def evaluate(model):
        snapshots.append(toy.weights(model))
        return {"quality": qualities[len(snapshots) - 1]}

    state = toy.fit(model, toy.sentences(model, 8), tmp_path, epochs=3, evaluate=evaluate)
    best = qualities.index(max(qualities))  # the first of equals
    assert (state.best_step, state.best_quality) == (2 * (best + 1), max(qualities))
    assert same_bits(toy.weights(model), snapshots[best])
    assert not same_bits(snapshots[0], snapshots[2])
    assert model.settings.exit_layers == (1, 2, 3)


def test_training_is_done_in_training_mode(toy, tmp_path):
    model, modes = toy.build(dropout=0.1).eval(), []
    hook = model.network.dropout.register_forward_hook(lambda *a: modes.append(a[0].training))

    def evaluate(model):
        model.eval()
        return {"quality": 0.0}

    toy.fit(model, toy.sentences(model, 8), tmp_path, epochs=2, evaluate=evaluate)
    hook.remove()
    assert modes == [True] * 4


def test_without_an_evaluation_the_last_weights_stay(toy, tmp_path, same_bits):
    first, second = toy.build(), toy.build()
    sentences = toy.sentences(first, 8)
    toy.fit(first, sentences, tmp_path / "a")
    toy.fit(second, sentences, tmp_path / "b", evaluate=lambda model: {"quality": float("nan")})
    assert same_bits(toy.weights(first), toy.weights(second))


def test_nothing_to_train_on(toy, tmp_path):
    model = toy.build()
    unlabelled = [type(s)(s.input_ids, s.word_rows) for s in toy.sentences(model, 3)]
    silent = [type(s)(s.input_ids, s.word_rows, [-100] * len(s.word_rows)) for s in unlabelled]
    for sentences in ([], unlabelled, silent):
        with pytest.raises(UserError, match="no labelled word"):
            toy.fit(model, sentences, tmp_path)


def test_sentences_without_labels_are_left_out(toy, tmp_path, same_bits):
    first, second = toy.build(), toy.build()
    sentences = toy.sentences(first, 6)
    mixed = [type(s)(s.input_ids, s.word_rows) for s in sentences[:3]] + sentences
    toy.fit(first, sentences, tmp_path / "a")
    toy.fit(second, mixed, tmp_path / "b")
    assert same_bits(toy.weights(first), toy.weights(second))


def test_the_seed_decides(toy, tmp_path, same_bits):
    def run(name, seed):
        model = toy.build(dropout=0.2)
        torch.manual_seed(len(name))  # whatever happened before
        toy.fit(model, toy.sentences(model, 8), tmp_path / name, seed=seed, epochs=2)
        return toy.weights(model)

    first = run("a", 1)
    assert same_bits(first, run("bcd", 1))
    assert not same_bits(first, run("e", 2))


@pytest.mark.parametrize("objective", ["halt_and_copy", "self_distillation"])
def test_bfloat16(objective, toy, tmp_path):
    model = toy.build(gate=True)
    sentences = toy.sentences(model, 24)
    kinds = []
    hook = model.heads.at(1).register_forward_hook(lambda *a: kinds.append(a[2].dtype))
    toy.fit(model, sentences, tmp_path, precision="bf16", epochs=4, objective={"name": objective})
    hook.remove()
    assert set(kinds) == {torch.bfloat16}
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert accuracy(model, sentences) > 0.9


def test_one_accelerator_serves_two_trainings(toy, tmp_path, same_bits):
    from tokenexit.training import TrainConfig, make_accelerator

    accelerator = make_accelerator(TrainConfig(), tmp_path)
    found = []
    for name in ("a", "b"):
        model = toy.build(dropout=0.1)
        sentences = toy.sentences(model, 8)
        toy.fit(model, sentences, tmp_path / name, accelerator=accelerator)
        toy.fit(model, sentences, tmp_path / name, accelerator=accelerator, resume=True)
        found.append(toy.weights(model))
    assert same_bits(*found)
    (last,) = (tmp_path / "b" / "checkpoints").glob("step-*")
    assert [path.name for path in last.glob("*.safetensors")] == ["model.safetensors"]


def test_tensorboard(toy, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = toy.build()
    toy.fit(
        model,
        toy.sentences(model, 8),
        tmp_path,
        trackers=["tensorboard"],
        evaluate=lambda model: {"quality": 0.25},
    )
    (events,) = tmp_path.rglob("events.out.tfevents.*")
    read = EventAccumulator(str(events.parent))
    read.Reload()
    losses = read.Scalars("loss")
    assert [event.step for event in losses] == [1, 2, 3, 4, 5, 6]
    logged = losses_of_training(tmp_path)
    assert [event.value for event in losses] == pytest.approx(logged, rel=1e-5)
    assert read.Scalars("validation_quality")[0].value == 0.25


def test_the_log_is_strict_json(toy, tmp_path):
    model = toy.build()
    toy.fit(model, toy.sentences(model, 4), tmp_path, objective={"name": "single"}, max_steps=2)

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    for line in (tmp_path / "train_log.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line, parse_constant=refuse)
        assert entry["loss_by_exit"][:2] == [0, 0]
        assert entry["reached"] == [0, 0, 1]


QUALITIES = [0.5, 0.7, 0.6, 0.7, 0.65, 0.9]


def graded(qualities):
    """One quality an evaluation; those that are asked too often fail."""
    told = iter(qualities)
    return lambda model: {"quality": next(told)}


@pytest.mark.parametrize(
    ("patience", "evaluations", "best"), [(1, 3, 2), (2, 4, 2), (3, 5, 2), (4, 6, 6), (None, 6, 6)]
)
def test_patience_stops_after_so_many_evaluations_without_a_better_one(
    toy, tmp_path, patience, evaluations, best
):
    model = toy.build()
    sentences = toy.sentences(model, 8)
    state = toy.fit(
        model, sentences, tmp_path, epochs=6, evaluate=graded(QUALITIES), patience=patience
    )
    per_epoch = state.step // evaluations
    assert state.best_step == best * per_epoch
    assert state.stopped == (patience is not None and patience < 4)
    log = read_log(tmp_path / "train_log.jsonl")
    assert sum("validation_quality" in entry for entry in log) == evaluations
    assert sum("stopped" in entry for entry in log) == state.stopped


def test_a_quality_that_is_no_number_is_no_better(toy, tmp_path):
    model = toy.build()
    nothing = graded([float("nan")] * 3)
    state = toy.fit(
        model, toy.sentences(model, 8), tmp_path, epochs=6, evaluate=nothing, patience=3
    )
    assert (state.stopped, state.best_step, state.waited) == (True, 0, 3)


def test_the_last_weights_are_kept_where_that_is_asked(toy, tmp_path, same_bits):
    def fit(name, **settings):
        model = toy.build()
        state = toy.fit(
            model, toy.sentences(model, 8), tmp_path / name, epochs=3, **settings,
            evaluate=graded([0.9, 0.5, 0.1]),
        )  # fmt: skip
        return toy.weights(model), state

    last, state = fit("last", keep_best=False)
    best, _ = fit("best")
    assert state.best_step == state.step // 3
    assert not (tmp_path / "last" / "checkpoints" / "best.safetensors").exists()
    assert not same_bits(last, best)


@pytest.mark.parametrize("name", ["two_stage", "frozen_distillation"])
def test_patience_is_refused_where_training_has_stages(toy, tmp_path, name):
    model = toy.build()
    with pytest.raises(UserError, match=r"train\.patience cannot stop .* in stages"):
        toy.fit(
            model, toy.sentences(model, 8), tmp_path, objective={"name": name}, patience=2,
            evaluate=graded(QUALITIES),
        )  # fmt: skip


def test_patience_is_refused_without_evaluations(toy, tmp_path):
    model = toy.build()
    with pytest.raises(UserError, match=r"train\.patience counts evaluations"):
        toy.fit(model, toy.sentences(model, 8), tmp_path, patience=2)


LIKE = [(None, True, True), (None, False, False), (True, False, True), (False, True, False)]


@pytest.mark.parametrize(("asked", "usual", "made"), LIKE)
def test_steps_of_like_length_where_asked(asked, usual, made, toy, tmp_path, monkeypatch):
    from accelerate.state import AcceleratorState

    from tokenexit.training import TrainConfig, loop, make_accelerator, train

    told = []
    plan = loop.steps
    monkeypatch.setattr(loop, "steps", lambda *a, **k: told.append(k["bucket"]) or plan(*a, **k))
    AcceleratorState._reset_state(True)
    config = TrainConfig(objective={"name": "joint"}, max_steps=1, bucket=asked)
    model = toy.build()
    made_here = make_accelerator(config, tmp_path)
    examples = toy.sentences(model, 4)
    train(model, examples, config, accelerator=made_here, folder=tmp_path, bucket=usual)
    assert told == [made]
