"""Serve nothing but what is certified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenexit.calibration.certificate.check import check_certificate, same
from tokenexit.calibration.certificate.folder import settings_of
from tokenexit.errors import UserError
from tokenexit.policies import Policy, from_config


def require_certificate(
    model: Any, folder: str | Path, *, policy: Policy | None = None, **settings: Any
) -> dict[str, Any]:
    """Refuse a model of which the certificate in its folder does not speak as it is now.

    Args:
        model: Loaded from the folder; its policy, precision or settings may have been changed
            since.
        folder: Where its certificate is.
        policy: What is going to run in place of its own.
        settings: The same of other settings, such as ``decode``; None for the model's own.

    Returns:
        The certificate.

    Raises:
        UserError: There is none, it does not hold, it certifies no exit, or is of another model,
            policy, precision, device, runtime or other settings.
    """
    if not Path(folder).is_dir():
        raise UserError(f"{str(folder)!r} is no folder here; a certificate stands in one.")
    told, _ = check_certificate(
        Path(folder),
        precision=model.precision,
        device=model.device.type,
        runtime=getattr(model, "runtime_used", "eager"),
    )
    given = {name: value for name, value in settings.items() if value is not None}
    if given.get("batching") == "fixed":
        given["batching"] = None  # as it is saved
    same("settings", told["settings"], settings_of(model) | given)
    certified, runs = from_config(told["policy"]), policy or model.policy
    if not told["certified"]:
        raise UserError(
            f"The certificate of {folder} certifies no exit: ask for less with tokenexit calibrate "
            "--promise, or serve without asking for a certificate."
        )
    if runs != certified:
        raise UserError(f"Certified is {certified}, and {runs} is to run; leave that out.")
    return told
