"""Generators that plan on the device, beside those of the other tests."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tokenexit import ExitModelForSeq2SeqLM


@pytest.fixture(scope="session")
def static(build: Any) -> Callable[..., ExitModelForSeq2SeqLM]:
    """Factory of models as ``build`` makes them, with ``runtime="static"``; leave them as such."""
    made: dict[Any, ExitModelForSeq2SeqLM] = {}

    def get(family: str, dtype: torch.dtype = torch.float64) -> ExitModelForSeq2SeqLM:
        if (family, dtype) not in made:
            made[family, dtype] = copy.deepcopy(build(family, dtype=dtype)).use(runtime="static")
        return made[family, dtype]

    return get


@pytest.fixture(scope="session")
def seen() -> Any:
    """What counts operators, host reads and copies between devices, as for encoders."""
    path = Path(__file__).parents[2] / "halting" / "static" / "conftest.py"
    spec = importlib.util.spec_from_file_location("counter_of_operators", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Seen
