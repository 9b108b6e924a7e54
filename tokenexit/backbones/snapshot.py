"""What a tree of modules was like, to be asked whether it still is.

Everything that does not change the numbers in a weight is seen here: modules, parameters and
settings replaced at any depth, hooks, modes, storage, configurations. It is asked at each call, so
that few and large comparisons are made: tables against copies of them, which compares identities.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedConfig

from tokenexit.backbones.twin import unheard

_TABLES = ("_modules", "_parameters", "_buffers", "_forward_hooks", "_forward_pre_hooks")

_TORCHS = frozenset(vars(nn.Module())) - {"training"}
"""What every module has: tables, which are compared apart, and what matters to gradients alone."""

_PLAIN = (nn.Linear, nn.Embedding, nn.Dropout, nn.ModuleList)
"""What these compute follows from their tables, in whatever mode they are."""

Table = dict[str, Any]


class Snapshot:
    """Remembers a module and all that is inside.

    Args:
        module: Nothing of it is copied but references, and what may be changed in place.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        parts = list(module.modules())
        self._parts, self._classes = parts, [*map(type, parts)]
        self._all: list[Table] = [part.__dict__ for part in parts]
        self._numbers = [*map(len, self._all)]
        telling = [part for part in parts if not (type(part) in _PLAIN and unheard(part))]
        self._telling = [(itemgetter(*_names(part)), vars(part)) for part in telling]
        self._told = [_copied(get(table)) for get, table in self._telling]
        self._configurations = _configurations(self._all)
        self._configured = copy.deepcopy(self._configurations)
        self._hooks = RemovableHandle.next_id
        tables = [part.__dict__[name] for part in parts for name in _TABLES]
        self._empty = [table for table in tables if not table]
        self._full = [table for table in tables if table]
        self._held = [*map(dict, self._full)]
        # Another tensor of one number may equal it, and comparing others raises.
        self._single = [(t, k, v) for t in self._full for k, v in t.items() if _is_one(v)]
        self._tensors: list[Tensor] = [*module.parameters(), *module.buffers()]
        self._places = _places(self._tensors)

    def fits(self, module: nn.Module) -> bool:
        """Whether this is the same module, and nothing in it has been replaced or added."""
        if module is not self._module or self._filled():
            return False
        try:
            return (
                self._full == self._held
                and [*map(type, self._parts)] == self._classes
                and [*map(len, self._all)] == self._numbers
                and [get(table) for get, table in self._telling] == self._told
                and self._configurations == self._configured
                and all(table[key] is value for table, key, value in self._single)
                and _places(self._tensors) == self._places
            )
        except (KeyError, RuntimeError, TypeError, ValueError):
            return False

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


def _names(part: nn.Module) -> list[str]:
    """Settings that have a say in what a module computes."""
    own = vars(part).keys() - _TORCHS
    return [*own, "training"]  # two at least, so that a getter gives a tuple


def _copied(settings: tuple[Any, ...]) -> tuple[Any, ...]:
    """Settings with copies of what may be changed in place."""
    return tuple(copy.copy(s) if type(s) in (list, dict, set) else s for s in settings)


def _configurations(settings: Iterable[Table]) -> list[Table]:
    """What configurations say that modules have been made from."""
    found = (each.get("config") for each in settings)
    return [*{id(c): vars(c) for c in found if isinstance(c, PreTrainedConfig)}.values()]


def _is_one(value: Any) -> bool:
    return isinstance(value, Tensor) and value.numel() == 1


def _places(tensors: list[Tensor]) -> list[int]:
    return [*map(Tensor.data_ptr, tensors)]
