"""Named members of an open vocabulary, found by importing a package's own modules.

A member is one file: the file registers its class, the registry imports every file of
the package the first time it is asked. No list of members is kept anywhere.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

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

    def by_class(self) -> dict[str, type[T]]:
        """All members by the names of their classes."""
        return {member.__name__: member for _, member in self.items()}

    def _load(self) -> None:
        if self._loaded:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__, prefix=f"{self._package}."):
            importlib.import_module(module.name)
        self._loaded = True


def settings_of(
    config: Mapping[str, Any], cls: type, kind: str, given: Collection[str] = ()
) -> dict[str, Any]:
    """The settings of a member that stand beside its ``name``.

    Args:
        config: All of them.
        cls: The member.
        kind: What it is, for messages.
        given: What it takes and nobody may set.

    Raises:
        UserError: There is no such setting; the message names the nearest one.
    """
    settings = {key: value for key, value in config.items() if key != "name"}
    allowed = [name for name in inspect.signature(cls).parameters if name not in given]
    for key in settings:
        if key not in allowed:
            raise unknown_name(f"setting of {kind} {config.get('name')}", key, allowed)
    return settings


def load_plugin(source: str) -> None:
    """Import a user's own file or module so that it can register its members.

    Args:
        source: Path of a ``.py`` file, or a dotted module name.

    Raises:
        UserError: The file does not exist, or it or the module fails.
    """
    path = Path(source).expanduser()
    if path.suffix != ".py":
        with _naming(source, None):
            importlib.import_module(source)
        return
    if not path.is_file():
        raise UserError(f"Plugin file {source!r} does not exist; give the path of a .py file.")
    name = f"tokenexit_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"Plugin file {source!r} cannot be loaded as a Python module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _naming(source, path):
        spec.loader.exec_module(module)


@contextmanager
def _naming(source: str, path: Path | None) -> Iterator[None]:
    """Say where a plugin went wrong, whatever it was.

    Args:
        source: As the user gave it.
        path: Its file; None for a module, of which the last line that ran is told.

    Raises:
        UserError: With the file, the line and the reason.
    """
    try:
        yield
    except UserError:
        raise
    except ModuleNotFoundError as error:
        what = "module" if path is None else "file"
        raise UserError(f"Plugin {what} {source!r} cannot be imported: {error}.") from error
    except (Exception, SystemExit) as error:  # a user's own code may raise anything
        raise UserError(
            f"Plugin {source!r} failed at {_place(error, path)}: {type(error).__name__}: "
            f"{_first_line(error)}. Mend it, or leave it out."
        ) from error


def _place(error: BaseException, path: Path | None) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if path is None or Path(frame.filename) == path]
    frame = (own or list(frames))[-1]
    return f"{frame.filename}, line {frame.lineno}"


def _first_line(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return (text.strip().splitlines() or ["no reason given"])[0].rstrip(".")
