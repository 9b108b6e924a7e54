"""What policies and reducers are: immutable values, written as plain data, with a threshold."""

from __future__ import annotations

import dataclasses
import json
import math
from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from tokenexit.errors import UserError
from tokenexit.policies.threshold_spec import ThresholdSpec
from tokenexit.registry import Registry

_RANGE = "range"


def number(default: float, low: float, high: float) -> Any:
    """A field of a ``Value`` that takes numbers from ``low`` to ``high``."""
    return dataclasses.field(default=default, metadata={_RANGE: (low, high, False)})


def whole(default: int, low: int, high: int) -> Any:
    """A field of a ``Value`` that takes whole numbers from ``low`` to ``high``."""
    return dataclasses.field(default=default, metadata={_RANGE: (low, high, True)})


class Value(ABC):
    """A frozen dataclass registered under a name, whose fields are its whole configuration."""

    registry: ClassVar[Registry[Any]]
    """Where its name is."""

    own_threshold: ClassVar[ThresholdSpec | None] = None
    """What may be turned, and is by calibration; the stricter, the fewer rows stop computing."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            if _RANGE in field.metadata:
                low, high, integer = field.metadata[_RANGE]
                check_number(self, field.name, low, high, integer=integer)

    @classmethod
    def examples(cls) -> Sequence[Self]:
        """A few small instances: contract tests and the list of members use them."""
        return [cls()]

    def threshold_spec(self) -> ThresholdSpec | None:
        """The threshold that may be turned, here or in what is inside."""
        return self.own_threshold

    def threshold_value(self) -> float | None:
        """Where the threshold stands now, or None without one."""
        return None if self.own_threshold is None else getattr(self, self.own_threshold.field)

    def with_threshold(self, value: float) -> Self:
        """The same with its threshold set to ``value``.

        Raises:
            UserError: It has no threshold, or the value is out of range.
        """
        if self.own_threshold is None:
            raise UserError(f"{type(self).__name__} has no threshold to set.")
        # Plain numbers only, so that a NumPy scalar never reaches the configuration.
        setting = (
            round(value) if self.own_threshold.integer and math.isfinite(value) else float(value)
        )
        return dataclasses.replace(self, **{self.own_threshold.field: setting})  # type: ignore[type-var]

    def to_config(self) -> dict[str, Any]:
        """All of it as plain data, ready for JSON or YAML."""
        fields = {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {"name": self.registry.name_of(type(self)), **fields}

    def to_json(self) -> str:
        """All of it as one line of JSON; ``from_config`` reads it back."""
        return json.dumps(self.to_config())


def _plain(value: Any) -> Any:
    if isinstance(value, Value):
        return value.to_config()
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return value


def check_number(owner: Any, field: str, low: float, high: float, *, integer: bool = False) -> None:
    """Refuse a field that is not a number in ``low..high``.

    Raises:
        UserError: The value is not a number, NaN, or out of range.
    """
    value = getattr(owner, field)
    name = f"{type(owner).__name__}.{field}"
    kind = "a whole number" if integer else "a number"
    wanted = f"{name} must be {kind} from {low:g} to {high:g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{wanted}, not {value!r}.")
    if isinstance(value, float) and math.isnan(value):
        raise UserError(f"{wanted}, not NaN: a comparison with NaN is never true.")
    fraction = integer and isinstance(value, float) and not value.is_integer()
    if not low <= value <= high or fraction or (isinstance(value, int) and abs(value) >= 2**63):
        raise UserError(f"{wanted}, not {value!r}.")
