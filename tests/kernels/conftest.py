"""Every instruction set that this machine has; skipped only where there is no compiler."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tokenexit import kernels
from tokenexit.kernels import Library, build

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def library() -> Library:
    found = kernels.library()
    if found is None:
        pytest.skip(kernels.status())
    return found


@pytest.fixture(params=list(build.INSTRUCTION_SETS))
def each(library: Library, request: pytest.FixtureRequest) -> Iterator[Library]:
    """The library while it runs one instruction set."""
    if request.param not in library.isas():
        pytest.skip(f"This machine has no {request.param}.")
    before = library.isa
    library.use(request.param)
    yield library
    library.use(before)


@pytest.fixture(scope="session")
def compiled(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Compiles a source of this folder for an instruction set."""
    folder = tmp_path_factory.mktemp("rules")
    common = [build.find_compiler(), *build.FLAGS, *build.STRICT, "-O1", f"-I{build.SOURCES}"]

    def made(path: Path, name: str, *flags: str) -> Path:
        to = folder / f"{name}.o"
        subprocess.run([*common, *flags, "-c", path, "-o", to], check=True)
        return to

    shared = [made(build.SOURCES / f"{name}.cpp", name) for name in ("scratch", "threads")]

    def compile_one(source: str, isa: str) -> Any:
        name = f"{source}-{isa}"
        flags = [f"-DTOKENEXIT_ISA={isa}", *build.INSTRUCTION_SETS[isa]]
        objects = [made(HERE / f"{source}.cpp", name, *flags), *shared]
        subprocess.run([*common, "-shared", *objects, "-o", folder / f"{name}.so"], check=True)
        return ctypes.CDLL(str(folder / f"{name}.so"))

    return compile_one


@pytest.fixture(scope="session", params=["best", "portable"])
def isa(library: Library, request: pytest.FixtureRequest) -> str:
    """The fastest instruction set of this machine, and the one that every machine has."""
    best = library.isas()[0]
    if request.param == "best" and best == "portable":
        pytest.skip("This machine has the portable one only.")
    return best if request.param == "best" else "portable"
