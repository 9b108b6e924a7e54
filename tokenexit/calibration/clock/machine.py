"""Under which conditions a time was measured: the machine, what it computes with, and how."""

from __future__ import annotations

import platform
from typing import Any

import torch

from tokenexit import kernels
from tokenexit.evaluation.bench.machine import what_ran


def machine(device: torch.device | str = "cpu", own_products: bool = False) -> dict[str, Any]:
    """What makes two times comparable, as plain data.

    Args:
        device: Where the model computes.
        own_products: Whether it was told a precision, so that kernels may serve it.
    """
    device = torch.device(device)
    found = {"name": platform.node(), **what_ran(), "device": device.type}
    if device.type == "cuda":
        found["processor"] = torch.cuda.get_device_name(device)
    if own_products and device.type == "cpu":
        library = kernels.library()
        found["kernels"] = kernels.status() if library is None else library.isa
    return found
