"""What is built besides files: compiled kernels where there is a compiler, and addresses.

A wheel without kernels works as well.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface


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


class AddressesHook(MetadataHookInterface):
    """Adds the project's addresses, and a README whose links lead somewhere from any page."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Before metadata is written."""
        root = Path(self.root)
        address = repository(root / "CITATION.cff")
        text = without_relative_links((root / "README.md").read_text(encoding="utf-8"), address)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = urls(address)


def repository(citation: Path) -> str | None:
    """Where the project is at home, as its citation says; None where it does not say."""
    found = re.search(r"^repository-code: *[\"']?([^\s\"']+)", citation.read_text("utf-8"), re.M)
    return found[1].rstrip("/") if found else None


def urls(address: str | None) -> dict[str, str]:
    """What an index shows beside the project."""
    if address is None:
        return {}
    return {
        "Homepage": address,
        "Documentation": f"{address}/tree/main/docs",
        "Issues": f"{address}/issues",
        "Changelog": f"{address}/blob/main/CHANGELOG.md",
    }


# Code is matched first, so that what looks like a link in it stays.
_LINK = re.compile(
    r"(?P<code>```.*?```|`[^`\n]+`)|(?P<image>!?)\[(?P<text>(?:!\[[^\]]*\]\([^)]*\)|[^\]])*)\]"
    r"\((?![a-z]+:)(?P<to>[^)\s]+)\)",
    re.DOTALL,
)


def without_relative_links(text: str, address: str | None) -> str:
    """Markdown whose relative links lead into the repository; where that is unknown, words alone.

    Args:
        text: Markdown.
        address: Of the repository.
    """

    def whole(link: re.Match[str]) -> str:
        if link["code"]:
            return link["code"]
        told, to = _LINK.sub(whole, link["text"]), link["to"]
        if address is None:
            return "" if link["image"] else told
        place = f"#{to[1:]}" if to.startswith("#") else f"/blob/main/{to}"
        place = f"/raw/main/{to}" if link["image"] else place
        return f"{link['image']}[{told}]({address}{place})"

    return _LINK.sub(whole, text)
