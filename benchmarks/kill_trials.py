"""Kill a run again and again, go on with it, and compare it with one that nobody disturbed.

    python benchmarks/kill_trials.py --trials 20                # all kinds in turn
    python benchmarks/kill_trials.py --trials 5 --seed 1 --task translation
    python benchmarks/kill_trials.py --kind overwrite

Every trial is a process of its own that ends by SIGKILL: at a random moment, or just before a
chosen operation on a file (a rename, a removal), which are where a folder may be half of one thing
and half of another. Afterwards the folder must load as a whole model or be refused, and the run
must end, after ``resume=true``, with the bytes of the run that was left alone. Kinds:

    train       killed at a random moment of training, calibration, evaluation or report
    files       killed just before the n-th operation on a file, anywhere in the run
    overwrite   the same with overwrite=true over a finished run with another seed
    save        a model saved over another model, killed just before the n-th operation

Exit code 1 if any trial failed; the folders of failed trials stay.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("train", "files", "overwrite", "save")
TASKS = ("ner", "pos", "classification", "translation", "data_to_text")
EXACT = ("model.safetensors", "exit_heads.safetensors", "exit_config.json", "config.json",
         "README.md", "metrics.json", "calibration.json", "pareto.csv")  # fmt: skip
"""Files that must come out byte for byte."""

BERT = {"model_type": "bert", "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
        "intermediate_size": 24, "max_position_embeddings": 64}  # fmt: skip
T5 = {"model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 16, "num_heads": 2, "num_layers": 3,
      "num_decoder_layers": 3, "vocab_size": 300}  # fmt: skip
WORDS = ("Ada", "Bo", "met", "saw", "in", "Paris", "Rome", "today", "twice", "again")


def write_data(folder: Path, task: str) -> None:
    """A few rows for a task."""
    draw = random.Random(0)
    folder.mkdir(parents=True)
    for name, count in (("train", 40), ("validation", 10), ("test", 10)):
        rows = []
        for _ in range(count):
            words = [draw.choice(WORDS) for _ in range(draw.randint(2, 7))]
            tags = ["B-PER" if word in WORDS[:2] else "O" for word in words]
            rows.append(
                {
                    "tokens": words,
                    "ner_tags": tags,
                    "pos_tags": [tag[0] for tag in tags],
                    "sentence": " ".join(words),
                    "label": "named" if "B-PER" in tags else "bare",
                    "source": " ".join(words),
                    "target": " ".join(reversed(words)).lower(),
                }
            )
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")


def arguments(task: str, data: Path, run: Path, seed: int = 0) -> list[str]:
    """What the recipe of a task is told."""
    model = T5 if task in ("translation", "data_to_text") else BERT
    told = [f"data={data}", f"model={json.dumps(model)}", f"output_dir={run}", f"seed={seed}",
            "train.max_steps=12", "train.checkpoint_every=3", "train.log_every=2",
            "train.batch_size=8", "calibrate.grid=4", "calibrate.verify=1"]  # fmt: skip
    if model is T5:
        told += ["generation={max_new_tokens: 6}", "validate_on=4", "calibrate.limit=5"]
    return told


class Trials:
    """Trials of one task.

    Args:
        task: Which recipe runs.
        home: Folder in which everything happens.
        draw: Random numbers.
    """

    def __init__(self, task: str, home: Path, draw: random.Random) -> None:
        self.task, self.home, self.draw = task, home, draw
        self.data = home / "data"
        write_data(self.data, task)
        self.whole = home / "whole"
        began = time.monotonic()
        self.operations = self._run(self.whole, count=True)
        self.seconds = time.monotonic() - began
        self.other = home / "other"
        self._run(self.other, seed=7)
        self.over = self._run(self._copy("counted"), "overwrite=true", count=True)
        self.saving = self._save(self._copy("saved"), count=True)

    def trial(self, kind: str, number: int) -> str:
        """One trial; returns what went wrong, or nothing."""
        name = f"{kind}-{number}"
        run = self._copy(name) if kind in ("overwrite", "save") else self.home / name
        if kind == "save":
            self._save(run, at=self.draw.randint(1, self.saving))
            return self._loads(run, self.other, self.whole)
        if kind == "train":
            killed = self._run(run, after=self.draw.uniform(0.4, 1.0) * self.seconds)
            old = None
        elif kind == "files":
            killed = self._run(run, at=self.draw.randint(1, self.operations))
            old = None
        else:
            killed = self._run(run, "overwrite=true", at=self.draw.randint(1, self.over))
            old = self.other
        wrong = self._loads(run, old, self.whole) if killed else ""
        if wrong:
            return wrong
        # Killed before anything was done: the same command again.
        untouched = old is not None and _same(run, old, "exit_config.json")
        self._run(run, "overwrite=true" if untouched else "resume=true")
        return self._differs(run)

    def _copy(self, name: str) -> Path:
        """A finished run with another seed, to be written over."""
        return Path(shutil.copytree(self.other, self.home / name))

    def _run(self, run: Path, *more: str, seed: int = 0, count: bool = False, at: int = 0,
             after: float = 0.0) -> int:  # fmt: skip
        """Run the recipe; how many operations on files it took, or whether it was killed."""
        told = arguments(self.task, self.data, run, seed)
        script = str(ROOT / "recipes" / f"{self.task}.py")
        return self._process("recipe", [script, *told, *more], run.name, count, at, after)

    def _save(self, run: Path, count: bool = False, at: int = 0) -> int:
        """Save the undisturbed run's model over what a folder has."""
        return self._process("save", [str(self.whole), str(run)], run.name, count, at, 0.0)

    def _process(
        self, what: str, rest: list[str], name: str, count: bool, at: int, after: float
    ) -> int:
        total = self.home / f"{name}.count"
        log = self.home / f"{name}.log"
        command = [sys.executable, __file__, "--inside", what, str(at), str(total), *rest]
        with log.open("a", encoding="utf-8") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=environment())
            try:
                process.wait(timeout=after or None)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
        if process.returncode not in (0, -signal.SIGKILL):
            raise SystemExit(f"It failed by itself; see {log}.")
        return int(total.read_text()) if count else int(process.returncode != 0)

    def _loads(self, run: Path, *models: Path | None) -> str:
        """Whether the folder holds one of some models, whole, or is refused."""
        from tokenexit.errors import UserError
        from tokenexit.workflows.commands import open_model

        try:
            open_model(str(run))
        except UserError:
            return ""
        names = ("model.safetensors", "exit_heads.safetensors")
        for model in models:
            if model is not None and all(_same(run, model, name) for name in names):
                return ""
        return f"{run} loads, and is neither of the models that it could be"

    def _differs(self, run: Path) -> str:
        for name in EXACT:
            if not (run / name).is_file():
                if (self.whole / name).is_file():
                    return f"{run / name} is missing"
            elif not _same(run, self.whole, name):
                return f"{run / name} differs from {self.whole / name}"
        if log_of(run) != log_of(self.whole):
            return f"{run / 'train_log.jsonl'} differs"
        left = [str(p) for p in run.rglob(".*") if p.name != ".gitignore"]
        return f"{', '.join(left)} left behind" if left else ""


def _same(run: Path, other: Path, name: str) -> bool:
    found = run / name
    return found.is_file() and found.read_bytes() == (other / name).read_bytes()


def log_of(run: Path) -> list[dict[str, Any]]:
    """The training log, without the clock."""
    lines = (run / "train_log.jsonl").read_text(encoding="utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def environment() -> dict[str, str]:
    """For a process that finds the package and stays on the CPU."""
    found = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    fixed = {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    return os.environ | fixed | {"PYTHONPATH": found}


@contextlib.contextmanager
def killed_at(at: int, total: Path) -> Iterator[None]:
    """Die just before the ``at``-th operation on a file, or count them all."""
    done = 0

    def dying(operation: Any) -> Any:
        def counted(*args: Any, **options: Any) -> Any:
            nonlocal done
            done += 1
            if done == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return operation(*args, **options)

        return counted

    for name in ("rename", "replace", "unlink", "rmdir", "mkdir", "fsync"):
        setattr(os, name, dying(getattr(os, name)))
    yield
    total.write_text(str(done))


def inside(what: str, at: int, total: Path, rest: list[str]) -> None:
    """The process of a trial."""
    with killed_at(at, total):
        if what == "recipe":
            import runpy

            sys.argv = rest
            sys.path.insert(0, str(Path(rest[0]).parent))
            runpy.run_path(rest[0], run_name="__main__")
        else:
            from tokenexit.workflows.commands import open_model

            open_model(rest[0]).model.save_pretrained(rest[1])


def main(argv: list[str]) -> int:
    """Run the trials that are asked for; how many failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--task", choices=TASKS, default="ner")
    parser.add_argument("--kind", choices=(*KINDS, "all"), default="all")
    parser.add_argument("--folder", type=Path, help="where to work; a new temporary one by default")
    told = parser.parse_args(argv)
    home = told.folder or Path(tempfile.mkdtemp(prefix="kill-trials-"))
    sys.path.insert(0, str(ROOT))
    trials = Trials(told.task, home, random.Random(told.seed))
    print(
        f"{told.task}: {trials.operations} operations on files in a run of {trials.seconds:.0f} s"
    )
    failed = 0
    for number in range(told.trials):
        kind = KINDS[number % len(KINDS)] if told.kind == "all" else told.kind
        wrong = trials.trial(kind, number)
        print(f"{number + 1:3d}  {kind:<10} {wrong or 'as if nothing had happened'}", flush=True)
        failed += bool(wrong)
        if not wrong:
            shutil.rmtree(home / f"{kind}-{number}", ignore_errors=True)
    print(f"{failed} of {told.trials} failed; the folder is {home}")
    return int(failed > 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:])
    else:
        raise SystemExit(main(sys.argv[1:]))
