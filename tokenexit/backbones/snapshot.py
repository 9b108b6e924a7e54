"""What a tree of modules was like, to be asked whether it still is.

Everything that does not change the numbers in a weight is seen here: modules, parameters and
settings replaced at any depth, hooks, modes, storage. It is a matter of comparing identities.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from operator import is_, itemgetter
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

_TABLES = ("_modules", "_parameters", "_buffers", "_forward_hooks", "_forward_pre_hooks")

_TORCHS = frozenset(vars(nn.Module())) - {"training"}
"""What every module has: tables, which are compared apart, and what matters to gradients alone."""

_PLAIN = (nn.Linear, nn.Embedding, nn.Dropout, nn.ModuleList)
"""What these compute follows from their tables."""


class Snapshot:
    """Remembers a module and all that is inside.

    Args:
        module: Nothing of it is copied but references.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        parts = list(module.modules())
        self._parts, self._classes = parts, [part.__class__ for part in parts]
        settings = [*map(vars, parts)]
        self._numbers = [*map(len, settings)]
        self._getters = [itemgetter("training", *_telling(part)) for part in parts]
        self._settings = [get(each) for get, each in zip(self._getters, settings, strict=True)]
        self._hooks = RemovableHandle.next_id
        tables: list[dict[str, Any]] = [part.__dict__[name] for part in parts for name in _TABLES]
        self._empty = [table for table in tables if not table]
        self._full = [table for table in tables if table]
        self._sizes = [len(table) for table in self._full]
        self._held = _held(self._full)
        self._tensors: list[Tensor] = [*module.parameters(), *module.buffers()]
        self._places = _places(self._tensors)

    def fits(self, module: nn.Module) -> bool:
        """Whether this is the same module, and nothing in it has been replaced or added."""
        return (
            module is self._module
            and not self._filled()
            and [*map(len, self._full)] == self._sizes
            and all(map(is_, _held(self._full), self._held))
            and [part.__class__ for part in self._parts] == self._classes
            and self._same_settings()
            and _places(self._tensors) == self._places
        )

    def _filled(self) -> bool:
        """Whether a table that was empty is not, where hooks may have been added at all.

        What is added to an empty table of another kind does nothing by itself.
        """
        latest = RemovableHandle.next_id  # counts all hooks of this process
        if latest == self._hooks:
            return False
        if any(self._empty):
            return True
        self._hooks = latest
        return False

    def _same_settings(self) -> bool:
        """Compared by value, of most of which the identity decides."""
        settings = [*map(vars, self._parts)]
        if [*map(len, settings)] != self._numbers:
            return False
        try:
            now = [get(each) for get, each in zip(self._getters, settings, strict=True)]
            return now == self._settings
        except (KeyError, RuntimeError, TypeError, ValueError):  # such as a tensor for another
            return False


def _telling(part: nn.Module) -> list[str]:
    """Settings that have a say in what a module computes."""
    return [] if type(part) in _PLAIN else [*(vars(part).keys() - _TORCHS)]


def _held(tables: Iterable[dict[str, Any]]) -> list[Any]:
    """All that tables hold, in order."""
    return [*chain.from_iterable(map(dict.values, tables))]


def _places(tensors: list[Tensor]) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]
