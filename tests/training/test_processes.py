"""Two processes give the weights of one, and nobody waits for somebody who never comes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tokenexit.errors import UserError
from tokenexit.training.tracking import read_log

pytestmark = [pytest.mark.multiproc, pytest.mark.slow]
PATIENCE = 300  # seconds; a deadlock takes longer


def torchrun(script: Path, *arguments: str) -> None:
    """Run a script in two processes, and end them all when they take too long."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node", "2", str(script), *arguments),
        ],
        env=os.environ | {"ACCELERATE_USE_CPU": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"two processes did not end within {PATIENCE} s: {process.communicate()[0]}")
    assert process.returncode == 0, output


def test_two_processes_are_as_good_as_one(worker, toy, tmp_path, largest_gap, same_bits):
    # All in one start of two processes, which takes longer than the trainings.
    pair, alone = tmp_path / "pair", tmp_path / "alone"
    torchrun(Path(__file__).with_name("worker.py"), "pair", str(pair))
    told = [json.loads((pair / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    assert [one["world"] for one in told] == [2, 2]

    for name, settings in worker.PAIR.items():
        model, examples = worker.pupil()
        toy.fit(model, examples, alone / name, **{"epochs": 2, **settings})
        first, second = (load_file(pair / name / f"rank{rank}.safetensors") for rank in (0, 1))
        assert same_bits(first, second), name
        assert largest_gap(first, toy.weights(model)) < 1e-5, name
        compare_logs(pair / name, alone / name, 4 * settings.get("epochs", 2))

    for name in ("uneven", "uneven_parts"):
        depths = list(zip(*(one["depths"][name] for one in told), strict=True))
        assert (1, 3) in depths, f"{name}: nobody left early on the first process alone"
        assert (3, 1) in depths, f"{name}: nobody left early on the second process alone"

    for one in told:
        assert one["best"] == [False, True, False]
        assert one["stopped"] == [12, 4]
        assert one["resumed"]

    # What two processes left is not for one to go on from.
    model, examples = worker.pupil()
    with pytest.raises(UserError, match="written by 2"):
        toy.fit(model, examples, pair / "joint", resume=True)


def compare_logs(first: Path, second: Path, steps: int) -> None:
    logs: list[list[dict[str, Any]]] = [
        read_log(folder / "train_log.jsonl") for folder in (first, second)
    ]
    assert len(logs[0]) == len(logs[1]) == steps  # one process writes, for both
    for left, right in zip(*logs, strict=True):
        assert left.keys() == right.keys()
        for key in left.keys() - {"seconds"}:
            assert left[key] == pytest.approx(right[key], abs=2e-5), key
