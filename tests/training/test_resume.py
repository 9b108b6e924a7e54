"""A training that was cut off goes on as if nothing had happened."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tokenexit.errors import UserError
from tokenexit.training import loop
from tokenexit.training.checkpoint import complete
from tokenexit.training.tracking import read_log

pytestmark = pytest.mark.slow


def entries(folder: Path) -> list[dict[str, Any]]:
    """The log without what a clock wrote."""
    return [
        {key: value for key, value in entry.items() if key != "seconds"}
        for entry in read_log(folder / "train_log.jsonl")
    ]


@pytest.fixture
def interrupt(monkeypatch) -> Callable[[int], None]:
    """Raise at the start of a step, once."""

    def at(number: int) -> None:
        step = loop.one_step

        def counted(plan, *rest):
            if plan.number == number:
                monkeypatch.setattr(loop, "one_step", step)
                raise KeyboardInterrupt
            return step(plan, *rest)

        monkeypatch.setattr(loop, "one_step", counted)

    return at


@pytest.mark.parametrize("stop", [0, 4, 5])
def test_an_interrupted_training_ends_the_same(stop, toy, tmp_path, interrupt, same_bits):
    def fit(folder, *, resume=False, seed=0):
        model = toy.build(dropout=0.2, seed=seed)
        graded = []

        def evaluate(model):
            # Depends on the weights, so that it cannot be right by chance.
            graded.append(float(model.heads.at(1).project.weight.detach().abs().sum()))
            return {"quality": graded[-1]}

        state = toy.fit(
            model,
            toy.sentences(model, 12),
            tmp_path / folder,
            resume=resume,
            epochs=3,
            checkpoint_every=2,
            objective={"name": "halt_and_copy", "warmup": 0.2},
            evaluate=evaluate,
        )
        return toy.weights(model), state

    wanted, state = fit("whole")
    interrupt(stop)
    with pytest.raises(KeyboardInterrupt):
        fit("broken")
    assert len(complete(tmp_path / "broken" / "checkpoints")) == min(1, stop // 2)
    got, ended = fit("broken", resume=True, seed=0 if stop < 2 else 7)  # weights are loaded
    assert ended == state
    assert same_bits(got, wanted)
    assert entries(tmp_path / "broken") == entries(tmp_path / "whole")


@pytest.mark.parametrize("stop", [3, 5, 7])
def test_an_interrupted_training_stops_early_where_the_whole_does(
    stop, toy, tmp_path, interrupt, same_bits
):
    told = {2: 0.5, 4: 0.7, 6: 0.6, 8: 0.7, 10: 0.9, 12: 0.9}

    def fit(folder, **more):
        model, path = toy.build(dropout=0.2), tmp_path / folder

        def evaluate(_):
            return {"quality": told[entries(path)[-1]["step"]]}

        settings = {"epochs": 6, "checkpoint_every": 1, "patience": 2, **more}
        state = toy.fit(model, toy.sentences(model, 8), path, evaluate=evaluate, **settings)
        return toy.weights(model), state

    wanted, state = fit("whole")
    assert (state.step, state.best_step, state.stopped) == (8, 4, True)
    interrupt(stop)
    with pytest.raises(KeyboardInterrupt):
        fit("broken")
    for _ in range(2):  # and what has stopped stays so
        got, ended = fit("broken", resume=True)
        assert ended == state
        assert same_bits(got, wanted)
        assert entries(tmp_path / "broken") == entries(tmp_path / "whole")
    _, further = fit("broken", resume=True, patience=3)
    assert (further.step, further.best_step) == (12, 10)


def test_resuming_what_is_finished_changes_nothing(toy, tmp_path, same_bits):
    model = toy.build(dropout=0.2)
    sentences = toy.sentences(model, 8)
    quality = iter([0.3, 0.9, 0.1])
    state = toy.fit(model, sentences, tmp_path, evaluate=lambda m: {"quality": next(quality)})
    log = entries(tmp_path)
    other = toy.build(seed=3)
    again = toy.fit(other, sentences, tmp_path, resume=True, evaluate=lambda m: {"quality": 1.0})
    assert again == state
    assert same_bits(toy.weights(other), toy.weights(model))
    assert entries(tmp_path) == log


def test_more_epochs_go_on_from_the_end(toy, tmp_path):
    model = toy.build()
    sentences = toy.sentences(model, 8)
    toy.fit(model, sentences, tmp_path, epochs=1)
    state = toy.fit(model, sentences, tmp_path, epochs=2, resume=True)
    assert state.step == 4
    assert [entry["step"] for entry in entries(tmp_path)] == [1, 2, 3, 4]
    assert entries(tmp_path)[-1]["lr"] > 0


def test_half_a_checkpoint_does_not_count(toy, tmp_path, interrupt, same_bits):
    def fit(folder, **more):
        model = toy.build(dropout=0.2)
        toy.fit(model, toy.sentences(model, 8), tmp_path / folder, checkpoint_every=2, **more)
        return toy.weights(model)

    wanted = fit("whole")
    interrupt(4)
    with pytest.raises(KeyboardInterrupt):
        fit("cut")
    checkpoints = tmp_path / "cut" / "checkpoints"
    half = checkpoints / ".step-00000006.partial"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    (half / "trainer_state.json").write_text('{"step": 6}', encoding="utf-8")
    without_state = checkpoints / "step-00000005"
    without_state.mkdir()
    assert [path.name for path in complete(checkpoints)] == ["step-00000004"]
    assert same_bits(fit("cut", resume=True), wanted)
    assert not half.exists()


def test_a_new_training_does_not_meet_an_old_one(toy, tmp_path, same_bits):
    """Checkpoints of a longer run in the same folder are not taken for this one's."""
    model = toy.build()
    sentences = toy.sentences(model, 8)
    toy.fit(model, sentences, tmp_path, epochs=4, evaluate=lambda m: {"quality": 1.0})
    second = toy.build(dropout=0.2, seed=1)
    toy.fit(second, sentences, tmp_path, epochs=2)
    checkpoints = tmp_path / "checkpoints"
    assert [path.name for path in checkpoints.iterdir()] == ["step-00000004"]
    third = toy.build(seed=2)
    assert toy.fit(third, sentences, tmp_path, epochs=2, resume=True).step == 4
    assert same_bits(toy.weights(third), toy.weights(second))


def test_resuming_without_a_checkpoint_starts_anew(toy, tmp_path, same_bits):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "train_log.jsonl").write_text('{"step": 1, "loss": 9}\n', encoding="utf-8")
    found = []
    for name, resume in (("a", True), ("b", False)):
        model = toy.build(dropout=0.2)
        toy.fit(model, toy.sentences(model, 8), tmp_path / name, resume=resume)
        found.append(toy.weights(model))
    assert same_bits(*found)
    assert entries(tmp_path / "a") == entries(tmp_path / "b")


def test_only_the_newest_checkpoint_is_kept(toy, tmp_path):
    model = toy.build()
    toy.fit(model, toy.sentences(model, 8), tmp_path, epochs=3)
    left = list((tmp_path / "checkpoints").iterdir())
    assert [path.name for path in left] == ["step-00000006"]


def test_another_number_of_processes_is_refused(toy, tmp_path):
    model = toy.build()
    sentences = toy.sentences(model, 8)
    toy.fit(model, sentences, tmp_path, epochs=1)
    path = tmp_path / "checkpoints" / "step-00000002" / "trainer_state.json"
    state = json.loads(path.read_text(encoding="utf-8"))
    assert state["processes"] == 1
    path.write_text(json.dumps({**state, "processes": 2}), encoding="utf-8")
    with pytest.raises(UserError, match=r"written by 2 process\(es\), and 1 would go on"):
        toy.fit(model, sentences, tmp_path, resume=True)


def run_until(mode: str, folder: Path, ready: Callable[[], bool]) -> None:
    """Start a training as a process, and kill it with SIGKILL when ``ready`` says so."""
    script = Path(__file__).with_name("worker.py")
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, str(script), mode, str(folder)], stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 300
        while process.poll() is None and not ready():
            assert time.monotonic() < deadline, "the training does not get anywhere"
            time.sleep(0.001)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    if process.returncode == 0:
        pytest.skip("this machine is too busy: the training ended before it could be killed")
    assert process.returncode == -signal.SIGKILL, (folder / "output.txt").read_text()


@pytest.fixture(scope="module")
def uninterrupted(worker, tmp_path_factory) -> tuple[dict[str, torch.Tensor], list[Any]]:
    folder = tmp_path_factory.mktemp("whole")
    model = worker.long_run(folder)
    return {k: v.clone() for k, v in model.state_dict().items()}, entries(folder)


def test_killed_while_a_checkpoint_is_written(worker, uninterrupted, toy, tmp_path, same_bits):
    checkpoints = tmp_path / "checkpoints"
    half = checkpoints / f".step-{worker.STALL_AT:08d}.partial" / "model.safetensors"
    run_until("stall", tmp_path, lambda: half.is_file() and half.stat().st_size == 4)
    assert half.is_file()
    assert [path.name for path in complete(checkpoints)] == [f"step-{worker.STALL_AT - 1:08d}"]
    resumed = toy.weights(worker.long_run(tmp_path, resume=True))
    assert same_bits(resumed, uninterrupted[0])
    assert entries(tmp_path) == uninterrupted[1]
    assert not half.parent.exists()


def test_killed_at_any_moment(worker, uninterrupted, toy, tmp_path, same_bits):
    checkpoints = tmp_path / "checkpoints"
    step = random.randint(2, 8)
    moment = random.random() * 0.05

    def ready() -> bool:
        if any(int(path.name[-8:]) >= step for path in complete(checkpoints)):
            time.sleep(moment)
            return True
        return False

    run_until("long", tmp_path, ready)
    assert int(complete(checkpoints)[-1].name[-8:]) >= step
    resumed = toy.weights(worker.long_run(tmp_path, resume=True))
    assert same_bits(resumed, uninterrupted[0]), f"killed {moment} s after step {step}"
    assert entries(tmp_path) == uninterrupted[1]
