"""Compiles the kernels into a wheel where there is a compiler; one without them works as well."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class KernelsBuildHook(BuildHookInterface):
    """Adds ``tokenexit/kernels/built`` and makes the wheel one for this platform."""

    PLUGIN_NAME = "custom"
    _scratch: str | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before a wheel is written; never fails it."""
        if version == "editable":  # a checkout compiles when first used, and again when changed
            return
        if os.environ.get("TOKENEXIT_KERNELS") == "off":
            return
        kernels = build_module(Path(self.root))
        self._scratch = tempfile.mkdtemp(prefix="tokenexit-kernels-")
        try:
            library = kernels.build(Path(self._scratch))
        except (kernels.BuildError, OSError) as error:
            self.app.display_warning(
                f"The kernels are not compiled ({error}); int8 will run in torch's operators until "
                "there is a compiler."
            )
            return
        for path in (library, library.parent / kernels.MANIFEST):
            build_data["force_include"][str(path)] = f"tokenexit/kernels/built/{path.name}"
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
        build_data["pure_python"] = False

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """After it was written."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


def build_module(root: Path) -> ModuleType:
    """``tokenexit/kernels/build.py`` without the package, whose needs are not installed here."""
    path = root / "tokenexit" / "kernels" / "build.py"
    spec = importlib.util.spec_from_file_location("tokenexit_kernels_build", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
