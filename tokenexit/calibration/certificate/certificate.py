"""The certificate as a file: made, written, read and taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tokenexit import files
from tokenexit.calibration.certificate.evidence import Evidence
from tokenexit.calibration.certificate.folder import files_of, said_by, settings_of
from tokenexit.calibration.certificate.trace import TRACE, save_trace
from tokenexit.calibration.certificate.verdict import verdict
from tokenexit.errors import UserError
from tokenexit.models.folders import read_json
from tokenexit.models.folders.contents import fingerprint

CERTIFICATE = "certificate.json"
"""In the folder of the model."""

FORMAT = 2
"""Of the first, settings such as those of generation were not certified."""


@dataclass(frozen=True)
class Told:
    """What a certificate says that evidence does not know.

    Attributes:
        data: The data set, as it was named.
        split: Which of its splits tested.
        list_from: Split that fixed which settings were tested, in which order; None where the
            model's own policy alone was.
        list_texts: How many of its texts.
        used_for: What the testing texts had served for before, such as choosing the epoch.
        not_known: What they may have served for besides, which nobody can tell.
        batch_size: Texts a batch.
        trained_on: How many of the testing texts stand in the training split as well; None where
            that is not known.
    """

    data: str
    split: str
    list_from: str | None = None
    list_texts: int = 0
    used_for: Sequence[str] = field(default_factory=tuple)
    not_known: Sequence[str] = field(default_factory=tuple)
    batch_size: int = 32
    trained_on: int | None = None


def write_certificate(folder: Path, model: Any, evidence: Evidence, told: Told) -> dict[str, Any]:
    """Write a certificate and its trace beside a model that was saved.

    Args:
        folder: Where the model is saved.
        model: The same as it ran: in its precision, on its device.
        evidence: What was counted.
        told: What else there is to say.

    Returns:
        The certificate.
    """
    remove_certificate(folder)  # so that none stands beside the trace of another
    save_trace(evidence, folder / TRACE)
    found = made(folder, model, evidence, told)
    files.write_json(folder / CERTIFICATE, found)
    return found


def made(folder: Path, model: Any, evidence: Evidence, told: Told) -> dict[str, Any]:
    """The certificate of evidence whose trace is written, as plain data."""
    said, found = said_by(folder), verdict(evidence)
    return {
        "format": FORMAT,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": {
            "tokenexit": import_module("tokenexit").__version__,  # which stands above
            **{name: version(name) for name in ("torch", "transformers", "numpy")},
        },
        "model": {"files": files_of(folder), "task": said["task"], "labels": said["labels"]},
        "settings": settings_of(model),  # a reducer, say, that was told is saved after this
        "run": {
            "precision": model.precision,
            "runtime": getattr(model, "runtime_used", "eager"),
            "device": model.device.type,
            "batch_size": told.batch_size,
        },
        "data": {
            "name": told.data,
            "split": told.split,
            "texts": len(evidence.texts),
            "sha256": found.pop("texts_sha256"),
            "used_for": list(told.used_for),
            "not_known": list(told.not_known),
            "trained_on": told.trained_on,
        },
        "list": {"from": told.list_from, "texts": told.list_texts},
        **found,
        "trace": {"file": TRACE, "sha256": fingerprint(folder / TRACE)},
    }


def read_certificate(folder: Path) -> dict[str, Any]:
    """What ``write_certificate`` wrote.

    Raises:
        UserError: There is none, or it is damaged or of a newer format.
    """
    path = folder / CERTIFICATE
    if not path.is_file():
        raise UserError(
            f"{folder} has no {CERTIFICATE}: nothing was promised of this model. Make one with "
            "tokenexit calibrate --promise, or tokenexit certify --promise."
        )
    found = read_json(path)
    if found.get("format") == 1:
        raise UserError(
            f"{path} was made by an older version of tokenexit, which did not certify all settings "
            "of the model. Make it again with tokenexit certify --promise, or tokenexit calibrate."
        )
    if found.get("format") != FORMAT:
        raise UserError(
            f"{path} has format {found.get('format')!r}; this version of tokenexit reads {FORMAT}."
        )
    return found


def remove_certificate(folder: Path) -> None:
    """Take a certificate away, of which another policy has made nothing."""
    for name in (CERTIFICATE, TRACE):
        (folder / name).unlink(missing_ok=True)


def summary(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """What card and report tell of it, without names of places."""
    run, data = certificate["run"], certificate["data"]
    return {
        "promise": "; ".join(one["sentence"] for one in certificate["promises"]),
        "texts": certificate["test"]["texts"],
        "unit": certificate["test"]["unit"],
        "units": certificate["test"]["units"],
        "split": data["split"],
        "used_for": list(data["used_for"]),
        "not_known": list(data["not_known"]),
        "trained_on": data.get("trained_on"),
        "tested": len(certificate["sequence"]),
        "certified": certificate["certified"],
        "policy": certificate["policy"],
        "precision": run["precision"],
        "device": run["device"],
    }
