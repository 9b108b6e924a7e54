"""The toy tagger, and an accelerator state that no test leaves behind."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState


def _module(name: str) -> ModuleType:
    """A file beside this one, by path: tests are no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    """``toy.py``."""
    return _module("toy")


@pytest.fixture(scope="session")
def worker(toy: ModuleType) -> Iterator[ModuleType]:
    """``worker.py``, for trainings in this process like those in others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "toy", toy)
        yield _module("worker")


@pytest.fixture(autouse=True)
def _no_accelerator_left() -> Iterator[None]:
    """The accelerator's state is one for the whole process."""
    yield
    AcceleratorState._reset_state(True)


@pytest.fixture(scope="session")
def largest_gap() -> Callable[[Any, Any], float]:
    """Largest difference between two sets of weights; infinite where only one has a value."""

    def gap(first: dict[str, Any], second: dict[str, Any]) -> float:
        assert first.keys() == second.keys()
        worst = 0.0
        for name, value in first.items():
            other = second[name]
            if value is None or other is None:
                worst = max(worst, 0.0 if value is other else float("inf"))
            else:
                worst = max(worst, float((value - other).abs().max()))
        return worst

    return gap


@pytest.fixture(scope="session")
def same_bits() -> Callable[[Any, Any], bool]:
    """Whether two sets of weights are equal to the last bit."""

    def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
        return first.keys() == second.keys() and all(
            torch.equal(value, second[name]) for name, value in first.items()
        )

    return equal
