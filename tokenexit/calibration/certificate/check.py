"""Derive a certificate again from what is on disk, and say what differs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenexit.calibration.certificate.certificate import CERTIFICATE, read_certificate
from tokenexit.calibration.certificate.evidence import Evidence
from tokenexit.calibration.certificate.folder import files_of, said_by
from tokenexit.calibration.certificate.trace import TRACE, read_trace
from tokenexit.calibration.certificate.verdict import verdict
from tokenexit.errors import UserError
from tokenexit.models.folders.contents import fingerprint
from tokenexit.policies import from_config

CLOSE = 1e-9
"""Numbers may differ by so much, relative to themselves, between machines."""


def check_certificate(folder: Path, **told: str | None) -> tuple[dict[str, Any], Evidence]:
    """Test everything that a certificate says, without running the model.

    Args:
        folder: The model's.
        told: How the model is to run, ``precision``, ``device`` and ``runtime``; None for what the
            folder says, if it does.

    Returns:
        The certificate, and its evidence.

    Raises:
        UserError: Names the first field that is not as it says.
    """
    certificate = read_certificate(folder)
    try:
        return certificate, _checked(folder, certificate, told)
    except UserError:
        raise
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise UserError(
            f"{folder / CERTIFICATE} is damaged ({type(error).__name__}: {error}). Certify again."
        ) from error


def _checked(
    folder: Path, certificate: Mapping[str, Any], told: Mapping[str, str | None]
) -> Evidence:
    model, run, said = certificate["model"], certificate["run"], said_by(folder)
    same("model.files", model["files"], files_of(folder))
    for name in ("task", "labels"):
        same(f"model.{name}", model[name], said[name])
    same("settings", certificate["settings"], said["settings"])
    here = {name: value for name, value in told.items() if value is not None}
    for name, value in ({"precision": said["precision"]} | here).items():
        same(f"run.{name}", run.get(name), value)
    trace = folder / TRACE
    same("trace.file", certificate["trace"]["file"], TRACE)
    if not trace.is_file():
        raise UserError(f"The certificate does not hold: its trace {trace} is missing.")
    same("trace.sha256", certificate["trace"]["sha256"], fingerprint(trace))
    evidence = read_trace(trace)
    found = verdict(evidence)
    same("data.sha256", certificate["data"]["sha256"], found.pop("texts_sha256"))
    same("data.texts", certificate["data"]["texts"], len(evidence.texts))
    for name, value in found.items():
        same(name, certificate[name], value)
    own = from_config(said["policy"])
    if own != from_config(certificate["policy"]):
        raise UserError(
            f"The certificate does not hold: policy is {from_config(certificate['policy'])} in it "
            f"and {own} in the model."
        )
    return evidence


def same(field: str, told: Any, found: Any) -> None:
    """Compare plain data, and name what differs.

    Args:
        field: Where it stands.
        told: What the certificate says.
        found: What is there.

    Raises:
        UserError: They differ.
    """
    if isinstance(told, Mapping) and isinstance(found, Mapping):
        for name in dict.fromkeys([*told, *found]):
            same(f"{field}.{name}", told.get(name), found.get(name))
    elif isinstance(told, list | tuple) and isinstance(found, list | tuple):
        if len(told) != len(found):
            raise _differs(f"the length of {field}", len(told), len(found))
        for number, (one, other) in enumerate(zip(told, found, strict=True), 1):
            same(f"{field}.{number}", one, other)
    elif not _equal(told, found):
        raise _differs(field, told, found)


def _equal(told: Any, found: Any) -> bool:
    if isinstance(found, float) and not math.isfinite(found):
        found = None  # as JSON has it
    if isinstance(told, bool) or isinstance(found, bool):
        return told is found
    if isinstance(told, int | float) and isinstance(found, int | float):
        return math.isclose(told, found, rel_tol=CLOSE, abs_tol=1e-12)
    return bool(told == found)


def _differs(field: str, told: Any, found: Any) -> UserError:
    return UserError(
        f"The certificate does not hold: {field} is {_short(told)} in it and {_short(found)} here."
    )


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:24]}...{text[-8:]}"
