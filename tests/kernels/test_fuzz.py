"""Random shapes: no kernel leaves its memory, and none does what C++ does not define."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tokenexit.kernels import Library, build

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="guards pages as POSIX does")

FUZZ = Path(__file__).parent / "fuzz"
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
ROUNDS = 100


def compiled(folder: Path, flags: list[str], objects: list[str]) -> str:
    """The program that calls every kernel."""
    program = str(folder / "fuzz")
    command = [build.find_compiler(), *build.FLAGS, *build.STRICT, "-O1", *flags]
    where = [f"-I{build.SOURCES}", "-DTOKENEXIT_ISA=shared", str(FUZZ / "fuzz.cpp")]
    subprocess.run([*command, *where, *objects, "-o", program], check=True)
    return program


def run(program: str) -> str:
    done = subprocess.run([program, str(ROUNDS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:] or f"signal {-done.returncode}"
    return done.stdout


@pytest.mark.slow
def test_no_kernel_leaves_its_memory(library: Library, tmp_path: Path):
    found = Path(library.path)
    objects = [str(found), f"-Wl,-rpath,{found.parent}"]
    told = run(compiled(tmp_path, [], objects))
    assert told.startswith(f"{len(library.isas())} instruction sets")


@pytest.mark.slow
def test_sanitizers_find_nothing(library: Library, tmp_path: Path):
    """On plain C++; with TOKENEXIT_FUZZ=all on every instruction set, which takes minutes."""
    (tmp_path / "probe.cpp").write_text("int main() {}\n")
    probe = [build.find_compiler(), *SANITIZERS, "probe.cpp", "-o", "probe"]
    if subprocess.run(probe, cwd=tmp_path, capture_output=True).returncode:
        pytest.skip("This compiler has no sanitizers.")
    sets = list(build.INSTRUCTION_SETS) if os.environ.get("TOKENEXIT_FUZZ") == "all" else []
    flags = [*build.FLAGS, *build.STRICT, "-O1", "-g1", *SANITIZERS]
    objects = build.compile_objects(build.find_compiler(), flags, tmp_path, [*sets, "portable"])
    run(compiled(tmp_path, SANITIZERS, objects))


@pytest.mark.slow
def test_compilers_warn_of_nothing(library: Library, tmp_path: Path):
    flags = [*build.FLAGS, *build.STRICT, "-fsyntax-only"]
    build.compile_objects(build.find_compiler(), flags, tmp_path)


def test_every_kernel_is_fuzzed():
    text = "\n".join(path.read_text() for path in sorted(FUZZ.iterdir()))
    table = (build.SOURCES / "table.h").read_text()
    kernels = re.findall(r"KERNEL\(\w+, (\w+),", table.partition("#define TOKENEXIT_KERNELS")[2])
    assert kernels
    missing = [name for name in kernels if f"tokenexit_{name}(" not in text]
    assert not missing, f"Call these in tests/kernels/fuzz: {missing}"
