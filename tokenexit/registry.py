"""Named members of an open vocabulary, found by importing a package's own modules.

A member is one file: the file registers its class, the registry imports every file of
the package the first time it is asked. No list of members is kept anywhere.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar, cast

from tokenexit.errors import UserError, unknown_name

T = TypeVar("T")
M = TypeVar("M")


class Registry(Generic[T]):
    """Classes of one kind, by name.

    Args:
        kind: What a member is, for messages: ``"policy"``.
        package: Dotted name of the package whose modules register the members.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._members: dict[str, type[T]] = {}
        self._loaded = False

    def register(self, *names: str) -> Callable[[type[M]], type[M]]:
        """Class decorator: make the class known under each of ``names``."""

        def add(cls: type[M]) -> type[M]:
            for name in names:
                held = self._members.get(name)
                if held is not None and held.__qualname__ != cls.__qualname__:
                    raise UserError(
                        f"The {self.kind} name {name!r} is taken by {held.__module__}."
                        f"{held.__qualname__}; register {cls.__qualname__} under another name."
                    )
                self._members[name] = cast("type[T]", cls)
            return cls

        return add

    def get(self, name: str) -> type[T]:
        """Return the class registered as ``name``.

        Raises:
            UserError: No such member; the message names the nearest one.
        """
        self._load()
        if name not in self._members:
            raise unknown_name(self.kind, name, self._members)
        return self._members[name]

    def name_of(self, cls: type) -> str:
        """Return the (first) name under which ``cls`` is registered."""
        for name, member in self._members.items():
            if member is cls:
                return name
        raise UserError(
            f"{cls.__qualname__} is not a registered {self.kind}; decorate it with its name."
        )

    def items(self) -> list[tuple[str, type[T]]]:
        """All members as ``(name, class)``, sorted by name."""
        self._load()
        return sorted(self._members.items())

    def _load(self) -> None:
        if self._loaded:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__, prefix=f"{self._package}."):
            importlib.import_module(module.name)
        self._loaded = True


def load_plugin(source: str) -> None:
    """Import a user's own file or module so that it can register its members.

    Args:
        source: Path of a ``.py`` file, or a dotted module name.

    Raises:
        UserError: The file does not exist or the module cannot be imported.
    """
    path = Path(source)
    if path.suffix != ".py":
        try:
            importlib.import_module(source)
        except ModuleNotFoundError as error:
            raise UserError(f"Plugin module {source!r} cannot be imported: {error}.") from error
        return
    if not path.is_file():
        raise UserError(f"Plugin file {source!r} does not exist; give the path of a .py file.")
    name = f"tokenexit_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"Plugin file {source!r} cannot be loaded as a Python module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
