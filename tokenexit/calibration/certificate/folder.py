"""What a model folder says of itself, without a model being built of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tokenexit.errors import UserError
from tokenexit.models.folders import CASCADE, CONFIG, is_cascade, read_json, read_settings
from tokenexit.models.folders.contents import fingerprint
from tokenexit.models.folders.names import CARD, MARKERS, of_a_model
from tokenexit.models.settings import ExitSettings
from tokenexit.precision import precision_of

HOW = ("halted", "decode", "reducer", "widths", "embeddings", "encoder_policy", "pending")
"""Settings that change answers beside the policy."""


def files_of(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of weights, network and tokenizer, of all stages of a cascade."""
    found: dict[str, str] = {}
    for name, place in _networks(folder).items():
        for path in sorted(place.iterdir()):
            ours = of_a_model(path.name) and path.name not in (*MARKERS, CARD)
            if path.is_file() and ours:
                found[f"{name}{path.name}"] = fingerprint(path)
    return found


def said_by(folder: Path) -> dict[str, Any]:
    """Its task, labels and policy, and how it runs where nothing else is told."""
    if is_cascade(folder):
        said = read_json(folder / CASCADE)
        task, how = "classification", {"stages": list(said.get("stages") or ())}
        policy, labels = said.get("policy"), said.get("labels")
    else:
        settings = read_settings(folder)
        task, policy, labels = settings.task, settings.policy, settings.labels
        how = how_of(settings)
    precisions = [_precision(place) for place in _networks(folder).values()]
    several = len(set(precisions)) > 1
    return {
        "task": task,
        "labels": list(labels or ()),
        "policy": dict(policy or {}),
        "run": {"precision": "+".join(precisions) if several else precisions[0], **how},
    }


def how_of(settings: ExitSettings) -> dict[str, Any]:
    """Settings that change answers, as plain data."""
    return {name: _plain(getattr(settings, name)) for name in HOW}


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


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
