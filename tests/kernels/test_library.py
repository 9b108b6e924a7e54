from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tokenexit import kernels
from tokenexit.errors import UserError
from tokenexit.kernels import Library, build
from tokenexit.kernels import cache as cache_module

module = importlib.import_module("tokenexit.kernels.library")  # whose name is also a function's


@pytest.fixture
def made(library: Library, tmp_path: Path) -> Path:
    """A folder with a library that fits, and its manifest."""
    source = library.path.parent
    folder = tmp_path / "made"
    folder.mkdir()
    for name in (build.LIBRARY, build.MANIFEST):
        shutil.copy(source / name, folder)
    return folder


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Nothing was found yet, nothing shipped, and the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(module, "SHIPPED", tmp_path / "nothing")
    monkeypatch.delenv(module.VARIABLE, raising=False)
    module.forget()
    yield cache_module.cache_folder(build.source_hash(), build.machine())
    module.forget()


def told(folder: Path, **changes: str) -> None:
    manifest = folder / build.MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changes))


def refused(folder: Path) -> str:
    with pytest.raises(cache_module.Unusable) as caught:
        module.load(folder)
    return str(caught.value)


def test_a_library_that_fits_is_loaded(made: Path):
    found, by = module.load(made)
    assert found.isa in build.INSTRUCTION_SETS
    assert found.isas()[-1] == "portable"
    assert "compiled by" in by


def test_a_truncated_library_is_refused(made: Path):
    path = made / build.LIBRARY
    path.write_bytes(path.read_bytes()[:5000])
    assert "is damaged" in refused(made)


def test_text_in_its_place_is_refused(made: Path):
    text = b"not a library\n"
    (made / build.LIBRARY).write_bytes(text)
    assert "is damaged" in refused(made)
    told(made, sha256=hashlib.sha256(text).hexdigest())
    assert "does not load" in refused(made)


@pytest.mark.skipif(sys.platform != "linux", reason="writes an ELF header")
def test_a_library_of_another_processor_is_refused(made: Path):
    content = bytearray((made / build.LIBRARY).read_bytes())
    assert content[:4] == b"\x7fELF"
    content[18:20] = (243).to_bytes(2, "little")  # RISC-V
    (made / build.LIBRARY).write_bytes(content)
    told(made, sha256=hashlib.sha256(content).hexdigest())
    assert "does not load" in refused(made)


@pytest.mark.parametrize("change", [{"sources": "0" * 64}, {"machine": "linux-riscv64"}])
def test_another_version_or_machine_is_refused(made: Path, change: dict[str, str]):
    told(made, **change)
    assert "another version or machine" in refused(made)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"sources": 1}'])
def test_a_manifest_that_says_nothing_is_refused(made: Path, text: str):
    (made / build.MANIFEST).write_text(text)
    assert refused(made)


def test_a_missing_library_is_said(tmp_path: Path):
    assert "not compiled yet" in refused(tmp_path)


def test_another_interface_is_refused(made: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ABI", 999)
    assert "another interface" in refused(made)


def test_the_table_has_the_interfaces_number():
    api = (build.SOURCES / "api.h").read_text()
    assert f"#define TOKENEXIT_ABI {module.ABI}\n" in api


def test_a_damaged_cache_is_made_again(
    made: Path, anew: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anew.mkdir(parents=True)
    (anew / build.LIBRARY).write_text("damaged")
    calls = []

    def again(folder: Path) -> Path:
        calls.append(folder)
        for name in (build.LIBRARY, build.MANIFEST):
            shutil.copy(made / name, folder)
        return folder / build.LIBRARY

    monkeypatch.setattr(build, "build", again)
    assert kernels.library() is not None
    module.forget()
    assert kernels.library() is not None
    assert calls == [anew]


def test_what_is_shipped_comes_first(made: Path, anew: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "SHIPPED", made)
    assert kernels.library() is not None
    assert not anew.exists()


def test_without_a_compiler_the_reason_is_told(anew: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(anew))
    monkeypatch.delenv("CXX", raising=False)
    assert kernels.library() is None
    assert "no C++ compiler found" in kernels.status()
    assert "products run in torch" in kernels.status()


def test_a_compiler_that_fails_is_quoted(
    anew: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    compiler = tmp_path / "bad++"
    compiler.write_text("#!/bin/sh\necho 'error: no such flag' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    assert kernels.library() is None
    assert "bad++: error: no such flag" in kernels.status()
    assert [path.name for path in anew.iterdir()] == [".lock"]


@pytest.fixture
def copied(made: Path, anew: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where a library was put by a build that copies one."""
    folders: list[Path] = []

    def build_there(folder: Path) -> Path:
        folders.append(folder)
        for name in (build.LIBRARY, build.MANIFEST):
            shutil.copy(made / name, folder)
        return folder / build.LIBRARY

    monkeypatch.setattr(build, "build", build_there)
    return folders


def private() -> Path:
    return cache_module.private_folder(build.source_hash(), build.machine())


def read_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    return "set XDG_CACHE_HOME"


def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    return "no home folder: set XDG_CACHE_HOME"


def without_execution(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    inside = tmp_path / "cache"
    inside.mkdir()
    monkeypatch.setattr(
        cache_module, "_without_execution", lambda folder: folder.is_relative_to(inside)
    )
    return "mounted noexec"


def unloadable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    real = module.Library

    def refuse(path: Path) -> Library:
        if path.is_relative_to(tmp_path / "cache"):
            raise OSError("failed to map segment from shared object")
        return real(path)

    monkeypatch.setattr(module, "Library", refuse)
    return "failed to map segment"


CACHES = [read_only, homeless, without_execution, unloadable]


@pytest.mark.parametrize("spoil", CACHES)
def test_where_the_cache_cannot_serve_a_private_folder_does(
    spoil: Any, copied: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    told = spoil(monkeypatch, tmp_path)
    assert kernels.library() is not None
    assert copied[-1] == private()
    first = len(copied)
    assert f"kept in {private()}; " in kernels.status()
    assert told in kernels.status()
    assert private().is_relative_to(tmp_path / "temporary")
    for path in (private(), private().parent, private().parent.parent):
        assert path.stat().st_mode & 0o777 == 0o700
    module.forget()  # as another process begins
    assert kernels.library() is not None
    assert len(copied) == first, "it was compiled again"


@pytest.mark.parametrize("spoil", CACHES)
def test_where_neither_can_serve_both_are_told(
    spoil: Any, copied: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    told = spoil(monkeypatch, tmp_path)
    private().parent.parent.mkdir(mode=0o777)
    private().parent.parent.chmod(0o777)
    assert kernels.library() is None
    assert told in kernels.status()
    assert f"{private().parent.parent} is not safe" in kernels.status()


def test_a_temporary_folder_in_which_all_may_rename_is_refused(anew: Path, tmp_path: Path):
    top = tmp_path / "temporary"
    top.chmod(0o777)
    with pytest.raises(cache_module.Unusable, match="is not safe"):
        private()
    top.chmod(0o1777)
    assert private().is_relative_to(top)


def test_a_link_of_somebody_elses_is_refused(anew: Path, monkeypatch: pytest.MonkeyPatch):
    folder = private()
    os.symlink(anew.parent, folder.parent.parent)
    cache_module.check_owner(folder)
    owner = os.lstat(folder.parent.parent).st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner:
        with pytest.raises(cache_module.Unusable, match="is not safe"):
            cache_module.check_owner(folder)


def test_a_disk_is_asked_whether_it_executes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert not cache_module._without_execution(tmp_path)
    flags = SimpleNamespace(f_flag=os.ST_NOEXEC)
    monkeypatch.setattr(os, "statvfs", lambda path: flags)
    with pytest.raises(cache_module.Unusable, match="mounted noexec"):
        cache_module.check_executable(tmp_path / "not" / "there" / "yet")


def test_a_cache_that_can_only_be_read_is_enough(
    made: Path, anew: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(folder: Path) -> None:
        raise cache_module.Unusable(f"{folder} cannot be written to")

    shutil.copytree(made, anew)
    monkeypatch.setattr(module, "locked", refuse)
    assert kernels.library() is not None


@pytest.mark.skipif(os.name == "nt", reason="modes of files")
@pytest.mark.parametrize("compile", [True, False])
def test_a_cache_that_others_may_write_to_is_not_trusted(
    made: Path, anew: Path, copied: list[Path], compile: bool
):
    shutil.copytree(made, anew)
    anew.chmod(0o777)
    assert f"{anew} is not safe" in kernels.status(compile=compile)
    found = kernels.library()
    assert found is not None
    assert found.path.parent == private()


def test_the_variable_turns_kernels_off(anew: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(module.VARIABLE, "off")
    assert kernels.library() is None
    assert kernels.status().startswith("off: TOKENEXIT_KERNELS")


def test_the_variable_chooses_the_instruction_set(
    made: Path, anew: Path, library: Library, monkeypatch: pytest.MonkeyPatch
):
    before = library.isa
    monkeypatch.setattr(module, "SHIPPED", made)
    monkeypatch.setenv(module.VARIABLE, "portable")
    found = kernels.library()
    assert found is not None
    assert kernels.status().startswith("portable (compiled by")
    found.use(before)


def test_an_unknown_instruction_set_is_refused(
    anew: Path, library: Library, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(module.VARIABLE, "avx9")
    with pytest.raises(UserError, match="Unknown TOKENEXIT_KERNELS 'avx9'"):
        kernels.library()
    with pytest.raises(UserError, match="Unknown instruction set 'avx'"):
        library.use("avx")


def test_nothing_is_compiled_to_say_what_there_is(anew: Path):
    assert "not compiled yet" in kernels.status(compile=False)
    assert not anew.exists()


def test_a_missing_compiler_is_told_beforehand(anew: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no C++ compiler found" in kernels.status(compile=False)


def test_the_version_says_which_kernels_run_without_heavy_libraries():
    code = (
        "import sys; sys.argv = ['tokenexit', '--version']\n"
        "from tokenexit.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    assert 'torch' not in sys.modules, 'heavy'"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("tokenexit ")
    assert second.startswith("kernels: ")
