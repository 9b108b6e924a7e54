"""The script that says what a training step is made of."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from torch.autograd import DeviceType

from tokenexit.errors import UserError

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "training_step.py"
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="benchmarks are not installed")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks_training_step", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_step_on_a_cpu(script: ModuleType) -> None:
    AcceleratorState._reset_state(True)
    found = script.training_step(
        "cpu", small=True, layers=2, batch_size=4, tokens=8, count=1, profiled=2
    )
    AcceleratorState._reset_state(True)
    assert json.loads(json.dumps(found)) == found
    assert found["gpu_busy"] is None
    assert (found["precision"], found["objective"]) == ("no", "halt_and_copy")
    assert found["ms_per_step"] > 0
    # Two layers forward and back have ten products of matrices at the least.
    assert found["operators_per_step"] > 100
    products = [row["calls"] for row in found["top"] if row["name"] in ("aten::mm", "aten::addmm")]
    assert sum(products) >= 10


def event(name: str, start: float, end: float, device: Any = DeviceType.CUDA) -> Any:
    span = SimpleNamespace(start=start, end=end, elapsed_us=lambda: end - start)
    return SimpleNamespace(
        name=name, time_range=span, device_type=device, self_cpu_time_total=end - start
    )


def test_busy_is_what_kernels_cover_together(script: ModuleType) -> None:
    events = [
        event("gemm", 0, 400),
        event("softmax", 300, 500),  # on another stream
        event("Memcpy HtoD (Pinned -> Device)", 600, 700),
        event("gemm", 800, 1000),
        event("aten::mm", 0, 9000, DeviceType.CPU),
        event("cudaStreamSynchronize", 0, 10, DeviceType.CPU),
    ]
    found = script.summary(events, 2, 0.001)  # two steps of 1,000 us each
    assert found["gpu_busy"] == 0.4
    assert found["gpu_ms_per_step"] == 0.4
    assert found["kernels_per_step"] == 1.5
    assert found["operators_per_step"] == 0.5
    assert found["waits_per_step"] == {"cudaStreamSynchronize": 0.5}
    assert found["copies_per_step"] == {"Memcpy HtoD (Pinned -> Device)": 0.5}
    assert found["top"][0] == {"name": "gemm", "calls": 1.0, "ms": 0.3}


@pytest.mark.parametrize(
    ("spans", "covered"), [([], 0), ([(0, 2), (5, 6)], 3), ([(0, 9), (2, 3), (8, 10)], 10)]
)
def test_union(script: ModuleType, spans: Any, covered: float) -> None:
    assert script.union(spans) == covered


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"device": "tpu"}, "cpu or cuda, not 'tpu'"),
        ({"device": "cpu", "batch_size": 0}, "batch_size must be 1 or more"),
        ({"device": "cpu", "small": True, "objective": "jiont"}, "joint"),
    ],
)
def test_bad_requests(script: ModuleType, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        script.training_step(**given)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_said_without_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--device", "cuda"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "torch sees no GPU here" in done.stderr
    assert "Traceback" not in done.stderr
