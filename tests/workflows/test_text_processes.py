"""A text-to-text run that is killed, and one in two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tokenexit.config import load_config
from tokenexit.workflows.run import run_task
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "data_to_text.py"
PATIENCE = 300

MODEL = {
    "model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 16, "num_heads": 2, "num_layers": 3,
    "num_decoder_layers": 3, "vocab_size": 300, "dropout_rate": 0.2,
}  # fmt: skip


def environment() -> dict[str, str]:
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    return os.environ | {"PYTHONPATH": path, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: Any) -> list[str]:
    folder = tmp_path_factory.mktemp("pairs")
    for name, count in (("train", 37), ("validation", 7), ("test", 7)):
        rows = [
            {"source": f"{name} number {i}", "target": f"zahl {i} {name}"} for i in range(count)
        ]
        lines = "\n".join(json.dumps(row) for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return [
        f"data={folder}",
        f"model={json.dumps(MODEL)}",
        "generation={max_new_tokens: 6}",
        "calibrate.limit=5",
        "calibrate.loose=true",
        "validate_on=5",
        "max_target=20",
        "train.batch_size=10",
        "train.log_every=2",
    ]


def here(*arguments: str) -> Path:
    """The recipe in this process."""
    return run_task(load_config(Seq2SeqConfig, list(arguments), {"task": "data_to_text"}))


def metrics(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text())


def test_a_killed_run_resumes_as_if_nothing_had_happened(arguments, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    args = [*arguments, "train.max_steps=24", "train.checkpoint_every=2", "train.epochs=9"]
    args += ["train.objective={name: halt_and_copy, policy: margin, warmup: 0.2}"]
    args += ["train.lr=1e-3", "train.head_lr=1e-3"]
    process = subprocess.Popen(
        [sys.executable, str(RECIPE), *args, f"output_dir={broken}"],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + PATIENCE
    try:
        while process.poll() is None and time.monotonic() < end:
            saved = sorted((broken / "checkpoints").glob("step-*/trainer_state.json"))
            if saved and int(saved[-1].parent.name[-8:]) >= 4:
                break
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not (broken / "metrics.json").exists(), "killed too late to mean much"
    here(*args, f"output_dir={broken}", "resume=true")
    here(*args, f"output_dir={whole}")
    found, wanted = (load_file(run / "model.safetensors") for run in (broken, whole))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in found)
    assert metrics(broken) == metrics(whole)


@pytest.mark.multiproc
@pytest.mark.skipif(torch.cuda.is_available(), reason="one process would compute on the GPU")
def test_two_processes_give_the_metrics_of_one(arguments, tmp_path):
    # Steps too small to turn the rounding of gradients into other words.
    args = [*arguments, "train.max_steps=7", "train.lr=1e-7", "train.head_lr=1e-7"]
    args += ["train.objective.name=joint", "policy={name: hash}"]
    pair, alone = tmp_path / "pair", tmp_path / "alone"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node", "2", str(RECIPE), *args, f"output_dir={pair}"),
        ],
        env=environment() | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("report: ") == 1  # one of them speaks
    here(*args, f"output_dir={alone}")
    two, one = metrics(pair), metrics(alone)
    assert (two.pop("num_processes"), one.pop("num_processes")) == (2, 1)
    for name, wanted in one["splits"].items():
        found = two["splits"][name]
        assert found["n_sentences"] == wanted["n_sentences"] == 7
        assert found["n_rows"] == wanted["n_rows"]
        assert found["exit_histogram"] == wanted["exit_histogram"]
        assert found["quality"] == pytest.approx(wanted["quality"], abs=1e-6)
    spread = [sum(n > 0 for n in split["exit_histogram"]) for split in one["splits"].values()]
    assert max(spread) >= 2
