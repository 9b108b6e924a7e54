"""Compiles the kernels: one shared library with every instruction set its compiler knows.

Needs the standard library only, for the build of a wheel runs it where nothing is installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).parent / "source"

LIBRARY = "kernels.dll" if os.name == "nt" else "kernels.so"
MANIFEST = "kernels.json"

FLAGS = ["-O2", "-std=c++17", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-pthread"]
STRICT = ["-Wall", "-Wextra", "-Werror"]
"""Warnings are errors where the library is developed; a newer compiler's must not stop a user."""

SHARED = ("dispatch", "pack", "scratch", "threads")
"""Sources that are compiled once, for any processor."""

_AVX2 = ["-DTOKENEXIT_AVX2", "-mavx2", "-mfma"]
# gcc takes parts of its own AVX-512 header to be uninitialised.
_AVX512 = "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -Wno-uninitialized"

INSTRUCTION_SETS = {
    "avx512": ["-DTOKENEXIT_AVX512", *_AVX512.split(), "-Wno-maybe-uninitialized"],
    "avxvnni": [*_AVX2, "-mavxvnni"],
    "avx2": _AVX2,
    "portable": ["-Wno-psabi"],
}
"""From the fastest on, with what the compiler is told; a processor takes the first it can run."""


class BuildError(Exception):
    """The library could not be compiled; says why."""


def machine() -> str:
    """What a library is made for: it does not load on another."""
    return f"{sys.platform}-{platform.machine().lower()}"


def source_hash() -> str:
    """Tells these sources and flags from all others."""
    digest = hashlib.sha256(repr((FLAGS, INSTRUCTION_SETS)).encode())
    for path in sorted(SOURCES.iterdir()):
        if path.suffix in (".h", ".cpp"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def find_compiler() -> str:
    """A C++ compiler's path: of the variable CXX, else the first of the usual names.

    Raises:
        BuildError: There is none.
    """
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    for name in names:
        if found := shutil.which(name):
            return found
    raise BuildError(f"no C++ compiler found (looked for {', '.join(names)})")


def build(folder: Path, *, strict: bool = False, extra: Sequence[str] = ()) -> Path:
    """Compile the library, and write beside it what it was made from.

    Args:
        folder: Gets the library and its manifest, each whole or not at all.
        strict: Whether warnings are errors.
        extra: More flags, such as those of a sanitizer.

    Returns:
        The library.

    Raises:
        BuildError: No compiler, or it refused.
        OSError: The folder cannot be written to.
    """
    compiler = find_compiler()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as scratch:
        made = Path(scratch) / LIBRARY
        flags = [*FLAGS, *(STRICT if strict else []), *extra]
        objects = compile_objects(compiler, flags, Path(scratch))
        if failed := _run([compiler, "-shared", *flags, *objects, "-o", str(made)]):
            raise BuildError(failed)
        manifest = Path(scratch) / MANIFEST
        told = {
            "sources": source_hash(),
            "machine": machine(),
            "compiler": _version(compiler),
            "sha256": hashlib.sha256(made.read_bytes()).hexdigest(),
        }
        manifest.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        for path in (made, manifest):
            path.replace(folder / path.name)
    return folder / LIBRARY


def compile_objects(
    compiler: str, flags: list[str], folder: Path, wanted: Sequence[str] = tuple(INSTRUCTION_SETS)
) -> list[str]:
    """Compile every source, once for each instruction set where it depends on that.

    Args:
        compiler: Its path.
        flags: For all of them.
        folder: Gets the objects.
        wanted: Instruction sets, of those that this kind of machine has; ``portable`` with them.

    Returns:
        Paths of the objects.

    Raises:
        BuildError: The compiler refused.
    """
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    sets = [name for name in INSTRUCTION_SETS if name in wanted and (x86 or name == "portable")]
    with ThreadPoolExecutor(_cores()) as pool:
        results = pool.map(lambda isa: _table(compiler, flags, folder, isa), sets)
        made = dict(zip(sets, results, strict=True))
        # An older compiler does not know every instruction set.
        known = [name for name in sets if made[name] is None]
        if "portable" not in known:
            raise BuildError(str(made["portable"]))
        have = [f"-DTOKENEXIT_HAVE_{name.upper()}" for name in known]
        have.append(f'-DTOKENEXIT_SOURCES="{source_hash()}"')
        for failed in pool.map(
            lambda name: _object(compiler, [*flags, *have], folder, name, name), SHARED
        ):
            if failed:
                raise BuildError(failed)
    return [str(folder / f"{name}.o") for name in (*known, *SHARED)]


def _table(compiler: str, flags: list[str], folder: Path, isa: str) -> str | None:
    more = [f"-DTOKENEXIT_ISA={isa}", *INSTRUCTION_SETS[isa]]
    return _object(compiler, [*flags, *more], folder, "isa", isa)


def _object(compiler: str, flags: list[str], folder: Path, source: str, name: str) -> str | None:
    to = folder / f"{name}.o"
    return _run([compiler, *flags, "-c", str(SOURCES / f"{source}.cpp"), "-o", str(to)])


def _run(command: list[str]) -> str | None:
    """What a command that failed had to say, in one line."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if "error" in line] or ["it failed"]
    return f"{Path(command[0]).name}: {lines[0].strip()}"


def _version(compiler: str) -> str:
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True)
    return (done.stdout.splitlines() or [compiler])[0].strip()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
