"""Save over a folder again and again, each time killed one step later; tell what is left.

Run as a script: ``killed.py CLASS OLD NEW SCRATCH STRIDE [settings]``; with a
stride of 3 every third step is tried. Prints a JSON list with, for each
step, what loading gives: ``old``, ``new``, ``refused``, or something else.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenexit
from tokenexit.errors import UserError
from tokenexit.models.folders import save_settings

STEPS = ("replace", "rename", "unlink", "rmdir", "mkdir", "fsync", "open")
TEXTS = ["ada was born in london", "paris and she", "she was , and"]


def kill_at(step: int) -> None:
    """End this process, with no chance to clean up, at its ``step``-th change of files."""
    taken = itertools.count()

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*args: Any, **options: Any) -> Any:
            if next(taken) == step:
                os._exit(9)
            return real(*args, **options)

        return call

    for name in STEPS:
        setattr(os, name, counted(name))


def told(folder: Path, loads: Any, answers: dict[str, Any]) -> str:
    """What a folder gives."""
    try:
        found = [one.to_dict() for one in loads.from_pretrained(folder).predict(TEXTS)]
    except UserError:
        return "refused"
    named = [name for name, known in answers.items() if known == found]
    beside = folder / "calibration.json"
    if named and beside.exists() and json.loads(beside.read_text()) != named[0]:
        return f"{named[0]} beside {beside.read_text()}"
    return named[0] if named else "neither"


def main(kind: str, old: Path, new: Path, scratch: Path, stride: int, *settings: str) -> None:
    """See the module."""
    loads = getattr(tokenexit, kind)
    model = loads.from_pretrained(new)
    answers = {
        name: [one.to_dict() for one in loads.from_pretrained(folder).predict(TEXTS)]
        for name, folder in (("old", old), ("new", new))
    }
    outcomes = []
    for step in itertools.count(0, stride):
        folder = scratch / str(step)
        shutil.copytree(old, folder)
        if settings:
            (folder / "calibration.json").write_text('"old"')
        child = os.fork()
        if child == 0:
            kill_at(step)
            if settings:
                save_settings(model, folder, {"calibration.json": '"new"'})
            else:
                model.save_pretrained(folder)
            os._exit(0)
        killed = os.waitpid(child, 0)[1] != 0
        outcomes.append(told(folder, loads, answers))
        if not settings and step % 5 == 0:  # and what was left can be saved over
            model.save_pretrained(folder)
            assert told(folder, loads, answers) == "new"
            assert not list(folder.rglob(".*"))
        shutil.rmtree(folder)
        if not killed:
            break
    sys.stdout.write(json.dumps(outcomes))


if __name__ == "__main__":
    before, after, work = map(Path, sys.argv[2:5])
    main(sys.argv[1], before, after, work, int(sys.argv[5]), *sys.argv[6:])
