"""What a tree of modules was like, to be asked whether it still is.

Everything that does not change the numbers in a weight is seen here: modules, parameters and
settings replaced at any depth, hooks, modes, storage. It is a matter of comparing identities.
"""

from __future__ import annotations

from operator import is_
from typing import Any

from torch import Tensor, nn

_TABLES = ("_modules", "_parameters", "_buffers", "_forward_hooks", "_forward_pre_hooks")


class Snapshot:
    """Remembers a module and all that is inside.

    Args:
        module: Nothing of it is copied but references.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        parts = list(module.modules())
        self._parts = [(part, part.__class__, dict(part.__dict__)) for part in parts]
        tables: list[dict[str, Any]] = [part.__dict__[name] for part in parts for name in _TABLES]
        self._tables = [(table, list(table.values())) for table in tables]
        self._tensors: list[Tensor] = [*module.parameters(), *module.buffers()]
        self._places = _places(self._tensors)

    def fits(self, module: nn.Module) -> bool:
        """Whether this is the same module, and nothing in it has been replaced or added."""
        return (
            module is self._module
            and all(map(_same_table, self._tables))
            and all(map(_same_part, self._parts))
            and _places(self._tensors) == self._places
        )


def _same_table(pair: tuple[dict[str, Any], list[Any]]) -> bool:
    table, values = pair
    return len(table) == len(values) and (not values or all(map(is_, table.values(), values)))


def _same_part(kept: tuple[nn.Module, type, dict[str, Any]]) -> bool:
    part, kind, attributes = kept
    if part.__class__ is not kind:
        return False
    try:
        return bool(part.__dict__ == attributes)  # of most values the identity decides
    except (RuntimeError, TypeError, ValueError):  # such as a tensor in the place of another
        return False


def _places(tensors: list[Tensor]) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]
