from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tokenexit.kernels import build

ROOT = Path(__file__).parents[2]


class Base:
    """In the place of hatchling's, which is there only while a wheel is built."""

    def __init__(self, warnings: list[str]) -> None:
        self.root = str(ROOT)
        self.app = SimpleNamespace(display_warning=warnings.append)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Any:
    name = "hatchling.builders.hooks.plugin.interface"
    stub = ModuleType(name)
    stub.BuildHookInterface = Base  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, stub)
    name = "hatchling.metadata.plugin.interface"
    stub = ModuleType(name)
    stub.MetadataHookInterface = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, stub)
    monkeypatch.delenv("TOKENEXIT_KERNELS", raising=False)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(hook: Any, version: str = "standard") -> tuple[dict[str, Any], list[str]]:
    data: dict[str, Any] = {"force_include": {}}
    warnings: list[str] = []
    made = hook.KernelsBuildHook(warnings)
    made.initialize(version, data)
    for path in data["force_include"]:
        assert Path(path).is_file()
    made.finalize(version, data, "")
    assert not any(Path(path).exists() for path in data["force_include"])
    return data, warnings


def fake_build(hook: Any, monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    module = hook.build_module(ROOT)
    assert module.source_hash() == build.source_hash()

    def write(folder: Path) -> Path:
        if error is not None:
            raise error
        for name in (build.LIBRARY, build.MANIFEST):
            (folder / name).write_text("compiled")
        return folder / build.LIBRARY

    stand_in = SimpleNamespace(build=write, BuildError=build.BuildError, MANIFEST=build.MANIFEST)
    monkeypatch.setattr(hook, "build_module", lambda root: stand_in)


def test_a_wheel_with_kernels_is_one_for_its_platform(hook: Any, monkeypatch: pytest.MonkeyPatch):
    fake_build(hook, monkeypatch, None)
    data, warnings = run(hook)
    places = set(data["force_include"].values())
    assert places == {f"tokenexit/kernels/built/{n}" for n in (build.LIBRARY, build.MANIFEST)}
    assert data["tag"].startswith("py3-none-")
    assert data["pure_python"] is False
    assert not warnings


@pytest.mark.parametrize("error", [build.BuildError("no C++ compiler found"), OSError("disk full")])
def test_without_a_compiler_the_wheel_is_made_all_the_same(
    hook: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    fake_build(hook, monkeypatch, error)
    data, warnings = run(hook)
    assert data == {"force_include": {}}
    assert str(error) in warnings[0]


def test_a_checkout_that_is_installed_in_place_compiles_when_used(hook: Any):
    assert run(hook, "editable")[0] == {"force_include": {}}


def test_kernels_can_be_left_out(hook: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOKENEXIT_KERNELS", "off")
    assert run(hook)[0] == {"force_include": {}}
