"""The same quiet, offline surroundings for every test, however pytest is started."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import settings

# Before anything imports torch or a Hugging Face library: they read these once.
os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
    OMP_NUM_THREADS="1",
)
if "PYTEST_XDIST_WORKER" not in os.environ:  # workers inherit the folder of their parent
    os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="tokenexit-tests-")
    atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)

# The same examples every time: a landing never meets a new one. To look for new ones:
# python -m pytest --hypothesis-profile=default
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

LOOPBACK = ("127.", "::1", "localhost")
OUTDATED = ("DeprecationWarning", "FutureWarning", "PendingDeprecationWarning")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--strict-warnings",
        action="store_true",
        help="fail where our own code uses what a dependency has deprecated",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--strict-warnings"):
        for kind in OUTDATED:
            config.addinivalue_line("filterwarnings", rf"error::{kind}:tokenexit(\.|$)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every process has to collect the same tests, so no name may hold an address in memory."""
    strange = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if strange:
        raise pytest.UsageError(f"Give {strange[0]} an id that is the same in every process.")


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Refuse connections that leave this machine."""

    def guard(connect: Any) -> Any:
        def guarded(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                host = str(address[0])
                if not host.startswith(LOOPBACK):
                    raise RuntimeError(f"A test tried to reach {host!r}; tests run offline.")
            return connect(self, address)

        return guarded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guard(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", guard(socket.socket.connect_ex))
        yield


@pytest.fixture(scope="session")
def make_gate() -> Callable[..., Any]:
    """Factory of context gates that trust sure exits among sure neighbours, without fitting one."""
    import torch

    from tokenexit.context import ContextGate, GateConfig

    def make(num_layers: int, classes: Sequence[str] = ("a", "b"), **changes: Any) -> ContextGate:
        settings: dict[str, Any] = {
            "exits": tuple(range(1, num_layers)),
            "features": ("entropy", "margin", "agreement"),
            "neighbours": ("entropy", "margin"),
            "inner": 0,
        }
        settings |= {"num_layers": num_layers, "classes": classes, "num_classes": len(classes)}
        gate = ContextGate(GateConfig(**{**settings, **changes}), width=32)
        if changes.get("inner") or "features" in changes or "neighbours" in changes:
            draw = torch.Generator().manual_seed(0)
            for weight in gate.buffers():
                weight.copy_(torch.randn(weight.shape, generator=draw) * 0.3)
            return gate
        own = [5.0, -1.0, *[-0.5] * gate.config.history]
        near = [1.5, -0.5] * gate.slots + [0.2] * gate.slots + [-0.4] * gate.slots
        gate.weight.copy_(torch.tensor(own + near * gate.config.around))
        gate.bias.fill_(-3.0)
        return gate

    return make
