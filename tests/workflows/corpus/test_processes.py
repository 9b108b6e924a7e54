"""The same records in the same order by one process, two and four; and when one of them dies."""

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

from tokenexit.errors import UserError
from tokenexit.workflows.corpus import predict_corpus, taken

pytestmark = [
    pytest.mark.slow,
    pytest.mark.multiproc,
    pytest.mark.skipif(torch.cuda.is_available(), reason="processes would share the GPU"),
]

ROOT = Path(__file__).parents[3]
PATH = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
ENV = os.environ | {"PYTHONPATH": PATH, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
SEVERAL = [sys.executable, str(Path(__file__).with_name("several.py"))]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
PATIENCE = 300

DIES = '''
import os, signal
from dataclasses import dataclass
from pathlib import Path
from tokenexit.policies import POLICIES, Policy

@POLICIES.register("mortal")
@dataclass(frozen=True)
class Mortal(Policy):
    """Kills its process at the eighth decision while there is a file that says so."""

    def step(self, signals, state):
        global asked
        asked += 1
        if asked == 8 and os.environ.get("RANK") == "1" and Path({file!r}).exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return signals.logits[:, 0] > 1e9, state

asked = 0
'''


def command(config: Any) -> list[str]:
    names = {"block_size": config.block_size, "batch_size": config.batch_size}
    told = [f"--{name.replace('_', '-')}={value}" for name, value in names.items()]
    keep = [f"--keep={name}" for name in config.keep]
    return ["predict", config.model, config.data, f"--output-dir={config.output_dir}", *told, *keep]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, env=ENV, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def parts(config: Any) -> dict[str, bytes]:
    folder = Path(config.output_dir) / "parts"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_several_write_what_one_writes(asked):
    alone, together = asked("alone", keep=["id"]), asked("together", keep=["id"])
    predict_corpus(alone)
    done = run(*SEVERAL, "4", *command(together))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("23 rows; 6 of 6 parts were missing") == 1  # one of them speaks
    assert parts(together) == parts(alone)
    lines = b"".join(parts(together).values()).splitlines()
    assert [json.loads(line)["row"] for line in lines] == list(range(23))
    assert not (Path(together.output_dir) / ".running").exists()


def test_a_mistake_is_told_once(asked, corpus):
    (corpus / "1.jsonl").write_text('{"body": "a"}\n')
    done = run(*SEVERAL, "2", *command(asked()))
    assert done.returncode == 2
    assert done.stderr.count("Error: ") == 1
    assert "1.jsonl has no column 'text'; it has: body" in done.stderr
    assert not list(Path(asked().output_dir).rglob("*"))


def test_a_process_that_dies_ends_the_others_and_the_run_resumes(asked, tmp_path):
    plugin, file = tmp_path / "mortal.py", tmp_path / "now"
    plugin.write_text(DIES.format(file=str(file)))
    more = {"policy": "mortal", "plugins": [str(plugin)]}
    predict_corpus(asked("alone", **more))
    asks = [*command(asked()), "--policy=mortal", f"--plugin={plugin}"]
    file.touch()
    done = run(*TORCHRUN, "2", "-m", "tokenexit", *asks)
    assert done.returncode != 0
    assert "SIGKILL" in done.stderr
    left = parts(asked())
    assert 0 < len([name for name in left if name.startswith("part-")]) < 6
    file.unlink()
    done = run(*SEVERAL, "2", *asks)
    assert done.returncode == 0, done.stderr
    assert parts(asked()) == parts(asked("alone"))


HOLDS = """
import sys, time
from tokenexit.workflows.lock import locked
with locked(sys.argv[1], 'a run of predict'):
    print('held', flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("process", ["", ".running/3"])
def test_two_runs_into_one_folder(process, asked):
    """Refused while any process of the first is at work: its main one may be the first to end."""
    folder = Path(asked().output_dir)
    predict_corpus(asked())
    (folder / "parts" / "part-00000002.jsonl").unlink()
    program = [sys.executable, "-c", HOLDS, str(folder / process)]
    with subprocess.Popen(program, env=ENV, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        try:
            told = rf"being written by a run of predict \(process {other.pid}\).* another folder"
            with pytest.raises(UserError, match=told):
                predict_corpus(asked())
        finally:
            other.send_signal(signal.SIGKILL)
    assert predict_corpus(asked()).missing == 1
    assert not (folder / ".running").exists()


def test_what_keeps_others_out_is_what_a_run_holds(asked):
    folder = Path(asked().output_dir)
    with taken(folder), pytest.raises(UserError, match="being written by a run of predict"):
        predict_corpus(asked())
    assert not folder.exists()


def test_killed_anywhere_a_run_resumes(asked):
    """Without a word, by whoever is short of memory."""
    predict_corpus(asked("whole", batch_size=1))
    folder = Path(asked().output_dir)
    asks = command(asked(batch_size=1))
    with subprocess.Popen([sys.executable, "-m", "tokenexit", *asks], env=ENV) as process:
        deadline = time.monotonic() + PATIENCE
        while len(list(folder.glob("parts/part-*"))) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    predict_corpus(asked(batch_size=1))
    assert parts(asked()) == parts(asked("whole"))
