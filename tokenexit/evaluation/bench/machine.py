"""What computes: processor, instruction set, threads and versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tokenexit import kernels

PACKAGES = ("tokenexit", "torch", "transformers", "numpy")


def what_ran(peers: Sequence[str] = (), products: str | None = None) -> dict[str, Any]:
    """The machine as plain data.

    Args:
        peers: Packages that were compared with.
        products: By what a model computed; what kernels there are when None.
    """
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "kernels": kernels.status() if products is None else products,
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {
            name: version
            for name in (*PACKAGES, *peers)
            if (version := version_of(name)) is not None
        },
    }


def version_of(package: str) -> str | None:
    """Version of an installed package, None without one."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """The processor's name, as the system tells it."""
    told = Path("/proc/cpuinfo")
    text = told.read_text(encoding="utf-8", errors="replace") if told.is_file() else ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine()
