"""Serve nothing but what is certified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenexit.calibration.certificate.check import check_certificate, same
from tokenexit.calibration.certificate.folder import how_of
from tokenexit.errors import UserError
from tokenexit.policies import Policy, from_config


def require_certificate(
    model: Any, folder: str | Path, *, policy: Policy | None = None, decode: str | None = None
) -> dict[str, Any]:
    """Refuse a model of which the certificate in its folder does not speak as it is now.

    Args:
        model: Loaded from the folder; its policy, precision or decoding may have been changed
            since.
        folder: Where its certificate is.
        policy: What is going to run in place of its own.
        decode: The same of decoding.

    Returns:
        The certificate.

    Raises:
        UserError: There is none, it does not hold, it certifies no exit, or is of another model,
            policy, precision, device or decoding.
    """
    if not Path(folder).is_dir():
        raise UserError(f"{str(folder)!r} is no folder here; a certificate stands in one.")
    told, _ = check_certificate(Path(folder), precision=model.precision, device=model.device.type)
    now = how_of(model.settings) | ({} if decode is None else {"decode": decode})
    for name in now.keys() & told["run"].keys():
        same(f"run.{name}", told["run"][name], now[name])
    certified, runs = from_config(told["policy"]), policy or model.policy
    if not told["certified"]:
        raise UserError(
            f"The certificate of {folder} certifies no exit: ask for less with tokenexit calibrate "
            "--promise, or serve without asking for a certificate."
        )
    if runs != certified:
        raise UserError(f"Certified is {certified}, and {runs} is to run; leave that out.")
    return told
