"""Widths: which heads and neurons of each layer are kept, as an immutable value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenexit.errors import UserError

Entry = int | tuple[int, ...]
"""What one layer keeps: the first so many, or those with these numbers, from 0 upwards."""

Part = float | tuple[Entry, ...]
"""Heads or neurons of all layers: a share of each layer's, or an entry a layer."""


@dataclass(frozen=True)
class Widths:
    """Heads and neurons that are kept; the others are not computed at all.

    Args:
        heads: A share in 0..1, of which each layer keeps the first, or an entry a layer.
        neurons: Of the feed-forward blocks, likewise.
        selected: In place of these, each text computes what the model's selectors are at least so
            sure of, a probability in 0..1; nothing is selected when None.

    Raises:
        UserError: A share or an entry that keeps nothing, or is no such thing.
    """

    heads: Part = 1.0
    neurons: Part = 1.0
    selected: float | None = None

    def __post_init__(self) -> None:
        if self.selected is not None:
            self._check_selected()
        for name in ("heads", "neurons"):
            given = getattr(self, name)
            if isinstance(given, tuple):
                object.__setattr__(self, name, tuple(_entry(name, one) for one in given))
            elif not _is_number(given) or not 0 < given <= 1:
                raise UserError(
                    f"{name} of widths is a share above 0 and at most 1, or a list with an entry "
                    f"for each layer, not {given!r}."
                )
            else:
                object.__setattr__(self, name, float(given))

    def _check_selected(self) -> None:
        if not _is_number(self.selected) or not 0 <= float(self.selected or 0) <= 1:
            raise UserError(
                "selected of widths is the probability from which a head or a block of neurons is "
                f"computed, from 0 to 1, not {self.selected!r}."
            )
        if (self.heads, self.neurons) != (1.0, 1.0):
            raise UserError(
                "Selected widths choose among all heads and neurons: give selected alone, or heads "
                "and neurons without it."
            )

    @property
    def whole(self) -> bool:
        """Whether nothing is left out of all texts alike."""
        return (self.heads, self.neurons) == (1.0, 1.0)

    def of(self, heads: Sequence[int], neurons: Sequence[int]) -> Widths:
        """The same for a network, with an entry a layer.

        A share keeps the nearest whole number of them, at least one.

        Args:
            heads: Of each layer, ``[L]``.
            neurons: Of each layer, ``[L]``.

        Raises:
            UserError: There are more layers, or fewer, or not so many heads or neurons.
        """
        return Widths(
            _of("heads", self.heads, heads),
            _of("neurons", self.neurons, neurons),
        )

    @property
    def of_heads(self) -> tuple[Entry, ...]:
        """An entry for the heads of each layer; of what ``of`` gave."""
        assert isinstance(self.heads, tuple)
        return self.heads

    @property
    def of_neurons(self) -> tuple[Entry, ...]:
        """The same for neurons."""
        assert isinstance(self.neurons, tuple)
        return self.neurons

    def to_config(self) -> dict[str, Any]:
        """As plain data, ready for JSON or YAML."""
        if self.selected is not None:
            return {"selected": self.selected}
        return {"heads": _plain(self.heads), "neurons": _plain(self.neurons)}

    def to_json(self) -> str:
        """As one line of JSON; ``from_config`` reads it back."""
        return json.dumps(self.to_config())


def count_of(entry: Entry) -> int:
    """How many an entry keeps."""
    return entry if isinstance(entry, int) else len(entry)


def places_of(entry: Entry) -> Sequence[int]:
    """Which ones it keeps."""
    return range(entry) if isinstance(entry, int) else entry


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)


def _entry(name: str, given: Any) -> Entry:
    """An entry in its shortest form."""
    if isinstance(given, int) and not isinstance(given, bool) and given > 0:
        return given
    numbers = given if isinstance(given, tuple) else ()
    whole = all(isinstance(one, int) and not isinstance(one, bool) for one in numbers)
    if not numbers or not whole or numbers[0] < 0 or list(numbers) != sorted(set(numbers)):
        raise UserError(
            f"An entry of {name} is how many a layer keeps, at least 1, or the numbers of those it "
            f"keeps, from 0 upwards and none twice, not {given!r}."
        )
    return len(numbers) if numbers[-1] == len(numbers) - 1 else numbers


def _of(name: str, part: Part, counts: Sequence[int]) -> tuple[Entry, ...]:
    if not isinstance(part, tuple):
        return tuple(max(round(part * count), 1) for count in counts)
    if len(part) != len(counts):
        raise UserError(
            f"{name} of widths has {len(part)} entries, and the network {len(counts)} layers: "
            "give one for each, or a share for all."
        )
    for layer, (entry, count) in enumerate(zip(part, counts, strict=True), 1):
        if places_of(entry)[-1] >= count:
            raise UserError(f"Layer {layer} has {count} {name}, and widths ask for {entry!r}.")
    return part


def _plain(part: Part) -> Any:
    if not isinstance(part, tuple):
        return part
    return [list(entry) if isinstance(entry, tuple) else entry for entry in part]
