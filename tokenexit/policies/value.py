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


class Value(ABC):
    """A frozen dataclass registered under a name, whose fields are its whole configuration."""

    registry: ClassVar[Registry[Any]]
    """Where its name is."""

    own_threshold: ClassVar[ThresholdSpec | None] = None
    """What may be turned, and is by calibration; the stricter, the fewer rows stop computing."""

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
