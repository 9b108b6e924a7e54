"""What rows carry from one segment to the next, kept by slot while they wait."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tokenexit.policies.base import State, index_state


class Kept:
    """Rows of tensors, None, or tuples of them, one a slot.

    Args:
        slots: How many there are.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._store: Any = None

    def put(self, slots: Tensor, values: State) -> None:
        """Keep what belongs to some slots, ``[n]``: tensors ``[n, ...]``."""
        self._store = self._put(self._store, slots, values)

    def take(self, slots: Tensor) -> State:
        """What was kept of some slots, ``[n]``."""
        return index_state(self._store, slots)

    def _put(self, store: Any, slots: Tensor, values: State) -> Any:
        if values is None:
            return None
        if isinstance(values, Tensor):
            if store is None:
                store = values.new_zeros(self._slots, *values.shape[1:])
            return store.index_copy_(0, slots, values)
        stores = (None,) * len(values) if store is None else store
        pairs = zip(stores, values, strict=True)
        return tuple(self._put(store, slots, part) for store, part in pairs)
