"""What a model folder says of itself, without a model being built of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from tokenexit.errors import UserError
from tokenexit.files import to_json
from tokenexit.models.cascades import folder as cascades
from tokenexit.models.folders import CASCADE, CONFIG, is_cascade, read_json, read_settings
from tokenexit.models.folders.contents import FILES, fingerprint
from tokenexit.models.folders.names import CARD, MARKERS, of_a_model
from tokenexit.models.settings import ExitSettings
from tokenexit.precision import precision_of

APART = ("task", "labels", "policy")
"""Settings that a certificate has in places of their own."""

UNCERTIFIED = ("calibration", "training", "results", "format_version", FILES)
"""Entries of a model's settings on which no answer depends: they say what was done to it. All
others are certified, so that one that is added later is as well."""


def files_of(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of weights, network and tokenizer, of all stages of a cascade."""
    found: dict[str, str] = {}
    for name, place in _networks(folder).items():
        noted = read_json(place / CONFIG).get(FILES) or ()  # of what it was saved with
        for path in sorted(place.iterdir()):
            ours = of_a_model(path.name) or path.name in noted
            if path.is_file() and ours and path.name not in (*MARKERS, CARD):
                found[f"{name}{path.name}"] = fingerprint(path)
    return found


def said_by(folder: Path) -> dict[str, Any]:
    """Its task, labels, policy, precision and other settings."""
    if is_cascade(folder):
        said = asdict(cascades.read_record(folder / CASCADE))
        stages = {name: read_settings(folder / name) for name in said["stages"]}
        said |= {"task": stages[said["stages"][-1]].task}
        settings = _of_a_cascade(said, stages)
    else:
        said = asdict(read_settings(folder))
        settings = _certified(said)
    precisions = [_precision(place) for place in _networks(folder).values()]
    several = len(set(precisions)) > 1
    return {
        "task": said["task"],
        "labels": list(said["labels"] or ()),
        "policy": dict(said["policy"] or {}),
        "precision": "+".join(precisions) if several else precisions[0],
        "settings": settings,
    }


def settings_of(model: Any) -> dict[str, Any]:
    """All settings of a loaded model that its answers may depend on, as plain data."""
    if not hasattr(model, "stages"):
        return _certified(asdict(model.settings))
    said = cascades.said(model)
    stages = {n: one.settings for n, one in zip(said["stages"], model.stages, strict=True)}
    return _of_a_cascade(said, stages)


def _of_a_cascade(said: Mapping[str, Any], stages: Mapping[str, ExitSettings]) -> dict[str, Any]:
    return _certified(said) | {name: _certified(asdict(one)) for name, one in stages.items()}


def _certified(settings: Mapping[str, Any]) -> dict[str, Any]:
    kept = {n: value for n, value in settings.items() if n not in (*APART, *UNCERTIFIED)}
    plain: dict[str, Any] = json.loads(to_json(kept))
    return plain


def _networks(folder: Path) -> dict[str, Path]:
    """Folders of networks, by what stands before the names of their files."""
    if not is_cascade(folder):
        return {"": folder}
    stages = [str(name) for name in read_json(folder / CASCADE).get("stages") or ()]
    if not stages or not all((folder / name / CONFIG).is_file() for name in stages):
        raise UserError(f"{folder / CASCADE} names no whole stages. Copy the folder again.")
    return {f"{name}/": folder / name for name in stages}


def _precision(place: Path) -> str:
    config = read_json(place / "config.json")
    name = config.get("dtype") or config.get("torch_dtype") or "float32"
    return precision_of(getattr(torch, str(name).removeprefix("torch."), torch.float32))
