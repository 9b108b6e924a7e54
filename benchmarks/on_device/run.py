"""The cases of a device, each in a process of its own, written as they come."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from kept import ROOT, Results

from on_device.cases import ROWS, DeviceCase, device_cases
from on_device.measure import device_name
from tokenexit.errors import UserError

MOST = 180.0
"""Seconds after which a case is given up."""

GUESS = {False: 20.0, True: 10.0}
"""Seconds a case is taken for until one has been measured; the second for tiny shapes."""

INSTEAD = "--device cpu --small runs the same from end to end with tiny shapes."


def chosen_device(name: str, small: bool) -> torch.device:
    """The device, if it is there.

    Raises:
        UserError: Says what to do instead.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device is cuda, cuda:1 or cpu, not {name!r}.") from error
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if not count:
            raise UserError(f"There is no CUDA device here (torch {torch.__version__}). {INSTEAD}")
        if (device.index or 0) >= count:
            raise UserError(f"There are {count} CUDA devices, counted from 0, not {name}.")
    elif device.type != "cpu":
        raise UserError(f"--device is cuda, cuda:1 or cpu, not {name!r}.")
    elif not small:
        raise UserError(f"BERT-base and T5-base at batch 128 are for a GPU. {INSTEAD}")
    return device


def machine_of(device: torch.device) -> dict[str, Any]:
    """What must be the same in one file."""
    return {
        "device": device_name(device),
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "system": f"{platform.system()} {platform.machine()}",
    }


def run_on_device(
    name: str, small: bool, only: str, minutes: float, out: Path | None, commit: str, show: bool
) -> int:
    """Measure what is missing; 1 if a process ended without an answer.

    Args:
        name: Of the device.
        small: Tiny shapes.
        only: Cases with this in their names.
        minutes: Time to spend.
        out: File of results, gone on with if it exists.
        commit: What is measured.
        show: Name the cases and stop.

    Raises:
        UserError: No such device or case, or no place for the results.
    """
    every = list(device_cases(small))
    chosen = [case for case in every if only in case.name]
    if not chosen:
        raise UserError(f"No case has {only!r} in its name; --list names them.")
    if show:
        print("\n".join(case.name for case in chosen))
        return 0
    device = chosen_device(name, small)
    if out is None:
        raise UserError("Give --out, the file of results.")
    order = [case.name for case in every]
    results = Results(out, machine_of(device), commit, order, GUESS[small])
    end, failed = time.monotonic() + 60 * minutes, False
    for case in chosen:
        left = end - time.monotonic()
        if results.has(case):
            said = "already measured"
        elif results.expected() > left:
            said = f"left for another time: --minutes {minutes:g} are over"
        else:
            said, crashed = measured(case, name, results, left)
            failed = failed or crashed
        print(f"{case.name}: {said}", flush=True)
    return int(failed)


def measured(case: DeviceCase, device: str, results: Results, left: float) -> tuple[str, bool]:
    """Run a case and keep what came of it; that in words, and whether the process failed."""
    settings = json.dumps(asdict(case))
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        command = ["--case", settings, "--device", device, "--out", str(out)]
        code, said = _process([sys.executable, "-m", "on_device.measure", *command], left)
        found = json.loads(out.read_text(encoding="utf-8")) if code == 0 else {}
    seconds = time.monotonic() - start
    if code is None and left < MOST:
        return "left for another time: it would take longer than there is", False
    if code is None:
        found = {"reason": f"given up after {MOST:.0f} s"}
    elif code:
        last = (said.strip() or "nothing said").splitlines()[-1]
        found = {"reason": f"its process ended with code {code}: {last}"}
    shown = ["python benchmarks/run.py --device", device, *(["--small"] if case.small else [])]
    results.add(case, [*shown, "--only", repr(case.name)], seconds, found)
    return f"{_words(case, found)} ({seconds:.0f} s)", bool(code)


def _process(command: Sequence[str], left: float) -> tuple[int | None, str]:
    """Exit code, None if it took too long, and what was said. Whatever it started ends with it."""
    paths = [str(ROOT), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    child = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, said = child.communicate(timeout=min(MOST, left))
        return child.returncode, said
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _words(case: DeviceCase, found: dict[str, Any]) -> str:
    told = []
    if "value_median" in found:
        unit = {"ratio": "x", "ms": " ms", "busy": " busy", "tokens": " tokens/s"}
        told.append(f"{found['value_median']:.2f}{unit[ROWS[case.row].unit]}")
    if "reason" in found:
        told.append(f"not measured: {found['reason']}")
    if "refused" in found:
        told.append(f"eager, because {found['refused']}")
    return "; ".join(told)
