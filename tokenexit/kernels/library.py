"""Finds the compiled kernels, or compiles them at first use, and never loads what does not fit."""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import os
from pathlib import Path
from threading import Lock
from typing import Any

from tokenexit.errors import UserError, unknown_name
from tokenexit.kernels import build
from tokenexit.kernels.cache import Unloadable, Unusable, locked, usable_folders
from tokenexit.kernels.signatures import signatures

ABI = 2
"""As TOKENEXIT_ABI in source/api.h."""

SHIPPED = Path(__file__).parent / "built"
"""Where a wheel has its library."""

VARIABLE = "TOKENEXIT_KERNELS"

_log = logging.getLogger(__name__)


class Library:
    """The loaded kernels; each is a method named as in ``source/table.h``.

    Args:
        path: The shared library; has been checked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._dll = ctypes.CDLL(str(path))
        self._threads = 0
        self._dll.tokenexit_abi.restype = ctypes.c_int32
        for name in ("sources", "isa"):
            getattr(self._dll, f"tokenexit_{name}").restype = ctypes.c_char_p
        if self._dll.tokenexit_abi() != ABI:
            raise Unusable(f"{path} has another interface than this version of tokenexit")
        for name, (result, parameters) in signatures().items():
            function = getattr(self._dll, f"tokenexit_{name}")
            function.restype, function.argtypes = result, parameters
            setattr(self, name, function)
        for name in ("int8", "fp32", "bf16"):
            pointers = 2 if name == "int8" else 1
            pack = getattr(self._dll, f"tokenexit_pack_{name}")
            pack.restype = None
            pack.argtypes = [ctypes.c_void_p, *[ctypes.c_int32] * 2, *[ctypes.c_void_p] * pointers]
            setattr(self, f"pack_{name}", pack)

    def __getattr__(self, name: str) -> Any:  # for what is set from the table
        raise AttributeError(f"There is no kernel named {name!r}.")

    @property
    def isa(self) -> str:
        """The instruction set that runs."""
        return self._dll.tokenexit_isa().decode()

    def isas(self) -> list[str]:
        """Instruction sets that this processor can run, the fastest first."""
        return [isa for isa in build.INSTRUCTION_SETS if self._dll.tokenexit_has(isa.encode())]

    def use(self, isa: str) -> None:
        """Run another instruction set from now on, in this whole process.

        Raises:
            UserError: This processor or this library does not have it.
        """
        if isa not in build.INSTRUCTION_SETS:
            raise unknown_name("instruction set", isa, build.INSTRUCTION_SETS)
        if not self._dll.tokenexit_use(isa.encode()):
            raise UserError(
                f"This machine cannot run {isa!r} kernels; it has {', '.join(self.isas())}. "
                f"Unset {VARIABLE} to take the fastest."
            )

    def match_threads(self) -> None:
        """Use as many threads as torch does; call before kernels."""
        from torch import get_num_threads  # not needed to say what there is

        wanted = get_num_threads()
        if wanted != self._threads:
            self._threads = wanted
            self._dll.tokenexit_set_threads(wanted)


_lock = Lock()
_found: tuple[Library | None, str] | None = None
_warned = False


def library() -> Library | None:
    """The kernels, compiled if need be; None where there are none, and ``status`` says why.

    Raises:
        UserError: TOKENEXIT_KERNELS asks for what does not exist here.
    """
    return _find(compile=True)[0]


def status(compile: bool = True) -> str:
    """What runs, or why nothing does, in words.

    Args:
        compile: Whether kernels that are not there yet are compiled.
    """
    found, told = _find(compile)
    return told if found is None else f"{found.isa} ({told})"


def warn_where_missing() -> None:
    """Say once in a process that torch's operators run, and why, where there are no kernels."""
    global _warned
    found, told = _find(compile=True)
    if found is None and not _warned:
        _warned = True
        _log.warning("Torch's operators run in place of compiled kernels (%s).", told)


def forget() -> None:
    """Look anew the next time."""
    global _found, _warned
    _found, _warned = None, False


def _find(compile: bool) -> tuple[Library | None, str]:
    global _found
    found = _found
    if found is None:
        with _lock:
            found = _found or _look(compile)
            if compile or found[0] is not None:
                _found = found
    return found


def _look(compile: bool) -> tuple[Library | None, str]:
    wanted = os.environ.get(VARIABLE) or "auto"
    if wanted == "off":
        return None, f"off: {VARIABLE} says so; products run in torch"
    if wanted not in ("auto", *build.INSTRUCTION_SETS):
        raise unknown_name(VARIABLE, wanted, ["auto", "off", *build.INSTRUCTION_SETS])
    reasons = []
    for attempt in (_shipped, lambda: _cached(compile)):
        try:
            found, told = attempt()
        except (Unusable, build.BuildError, OSError) as error:
            reasons.append(str(error))
            continue
        if wanted != "auto":
            found.use(wanted)
        return found, told
    return None, f"none: {'; '.join(filter(None, reasons))}; without them products run in torch"


def _shipped() -> tuple[Library, str]:
    if not SHIPPED.is_dir():
        raise Unusable("")
    return load(SHIPPED)


def _cached(compile: bool) -> tuple[Library, str]:
    folders, reasons = usable_folders(build.source_hash(), build.machine())
    missing: dict[Path, Unusable] = {}
    for folder in folders:
        try:
            return _kept(load(folder), folder, reasons)  # where perhaps nothing can be written
        except Unloadable as error:
            reasons.append(str(error))  # nor would it if it were compiled again
        except Unusable as error:
            missing[folder] = error
    if missing and not compile:
        build.find_compiler()
        first = next(iter(missing.values()))
        raise Unusable("; ".join([*reasons, f"{first}, which is tried at first use"]))
    for folder in missing:
        try:
            return _kept(_compiled(folder), folder, reasons)
        except (Unusable, OSError) as error:
            reasons.append(str(error))
    raise Unusable("; ".join(reasons))


def _kept(found: tuple[Library, str], folder: Path, reasons: list[str]) -> tuple[Library, str]:
    """With the place where it lies, if a better one could not serve."""
    library, told = found
    return library, "; ".join([f"{told}, kept in {folder}", *reasons]) if reasons else told


def _compiled(folder: Path) -> tuple[Library, str]:
    """Compile into a folder, unless another process has done so by now."""
    with locked(folder):
        try:
            return load(folder)
        except Unloadable:
            raise
        except Unusable as error:
            build.find_compiler()
            _log.info("Compiling the kernels, which takes some seconds once: %s", error)
        build.build(folder)
        return load(folder)


def load(folder: Path) -> tuple[Library, str]:
    """Check a library against its manifest and this machine, then load it.

    Args:
        folder: Has both.

    Returns:
        The library, and who compiled it.

    Raises:
        Unusable: Says what does not fit. Nothing of it has run.
    """
    path = folder / build.LIBRARY
    try:
        told = json.loads((folder / build.MANIFEST).read_text(encoding="utf-8"))
        content = path.read_bytes()
    except FileNotFoundError:
        raise Unusable(f"not compiled yet in {folder}") from None
    except (OSError, ValueError) as error:
        raise Unusable(f"{folder} cannot be read: {error}") from error
    wanted = {"sources": build.source_hash(), "machine": build.machine()}
    if not isinstance(told, dict) or any(told.get(key) != value for key, value in wanted.items()):
        raise Unusable(f"{path} was made for another version or machine")
    if hashlib.sha256(content).hexdigest() != told.get("sha256"):
        raise Unusable(f"{path} is damaged")
    try:
        return Library(path), f"compiled by {told.get('compiler')}"
    except (OSError, AttributeError) as error:
        raise Unloadable(f"{path} does not load: {error}") from error
