"""Files for the readers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest


def _put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.fixture(scope="session")
def put() -> Callable[[Path, str | bytes], Path]:
    """Write a file, with its folders."""
    return _put


@pytest.fixture(scope="session")
def rows() -> Callable[..., Path]:
    """Write objects as JSON lines."""
    return lambda path, *values: _put(path, "\n".join(map(json.dumps, values)))
