"""What a model folder holds, told without loading a weight."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenexit.models.folders import (
    CASCADE,
    CONFIG,
    is_cascade,
    read_json,
    read_settings,
    resolve,
)
from tokenexit.models.folders.contents import FILES, contents_of
from tokenexit.models.settings import task_of
from tokenexit.tasks import Task, task_named
from tokenexit.workflows.reading import remembered

_TOLD = ("results", "training", "calibration")  # about a model; its answers do not depend on them


@dataclass(frozen=True)
class Served:
    """A model as far as a corpus is concerned.

    Attributes:
        task: What it does.
        labels: Its classes.
        reading: How its run read its data.
        fingerprint: Changes with whatever its answers depend on.
    """

    task: Task
    labels: tuple[str, ...]
    reading: Mapping[str, Any]
    fingerprint: str


def look_at(source: str) -> Served:
    """Look at a model folder or a Hub id.

    Raises:
        UserError: It is none.
    """
    folder = resolve(source)
    if is_cascade(folder):
        data = read_json(folder / CASCADE)
        stages = [folder / str(name) for name in data.get("stages", ())]
        labels = read_settings(stages[-1]).labels if stages else ()
        told = data.get("training")
        task = task_named("classification", labelled=True)
    else:
        settings = read_settings(folder)
        stages, labels, told = [], settings.labels, settings.training
        task = task_of(settings)
    found = [_said(place) for place in (folder, *stages)]
    digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
    return Served(task, labels, remembered(folder, told).options, digest[:16])


def _said(folder: Path) -> dict[str, Any]:
    """The settings of a folder, with what they note of the files beside them."""
    marker = CASCADE if is_cascade(folder) else CONFIG
    data = {key: value for key, value in read_json(folder / marker).items() if key not in _TOLD}
    if data.get(FILES) is None and marker == CONFIG:  # an older folder notes nothing
        data[FILES] = contents_of(folder)
    return data
