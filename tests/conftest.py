"""The same quiet, offline surroundings for every test, however pytest is started."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
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
    parser.addoption(
        "--fast",
        action="store_true",
        help="the first test of every file that is not slow, and the promises of all members",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--strict-warnings"):
        for kind in OUTDATED:
            config.addinivalue_line("filterwarnings", rf"error::{kind}:tokenexit(\.|$)")


def pytest_collection_finish() -> None:
    """Whoever collects garbage need not look through thousands of tests: trainings end so."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every process has to collect the same tests, so no name may hold an address in memory."""
    strange = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if strange:
        raise pytest.UsageError(f"Give {strange[0]} an id that is the same in every process.")
    if config.getoption("--fast"):
        chosen = _fast(items)
        kept = {item.nodeid for item in chosen}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in kept])
        items[:] = chosen


def _fast(items: list[pytest.Item]) -> list[pytest.Item]:
    """The first test of every file that is not slow, and the promises of all members."""
    seen: set[str] = set()
    chosen = []
    for item in items:
        function = item.nodeid.partition("[")[0]
        file = function.partition("::")[0]
        if item.get_closest_marker("slow") is not None:
            continue
        if function.endswith("keeps_its_promises") or file not in seen:
            chosen.append(item)
        seen.add(file)
    return chosen


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
    from tokenexit.testing.gates import trusting_gate

    return trusting_gate
