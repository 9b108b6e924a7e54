"""The keys of a configuration: what a dataclass asks for, and whether a value is that."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from tokenexit.config.limits import ANY_NUMBER, Limits
from tokenexit.errors import UserError, unknown_name

MISSING = dataclasses.MISSING
"""The default of a key that has none."""


@dataclasses.dataclass(frozen=True)
class Key:
    """One setting, known by its dotted name.

    Attributes:
        name: Such as ``train.epochs``.
        hint: Its type.
        default: Its default, or ``MISSING``.
        help: One line for ``--help``.
        limits: The numbers it may be.
    """

    name: str
    hint: Any
    default: Any
    help: str
    limits: Limits = ANY_NUMBER

    @cached_property
    def kinds(self) -> tuple[Any, ...]:
        """The alternatives of the type; ``None`` counts as ``NoneType``."""
        return _alternatives(self.hint)

    @property
    def is_open(self) -> bool:
        """Whether any nested key may be given, as for the settings of a policy."""
        return any(k is Any or (get_origin(k) or k) in (dict, Mapping) for k in self.kinds)

    @property
    def is_text(self) -> bool:
        """Whether the value is taken letter by letter."""
        return set(self.kinds) <= {str, Path, types.NoneType}

    @property
    def is_optional(self) -> bool:
        """Whether ``null`` is a value."""
        return types.NoneType in self.kinds

    def check(self, value: Any) -> Any:
        """Return ``value`` as the type of the key.

        Raises:
            UserError: It cannot be read as that type, or is a number out of its range.
        """
        # pydantic takes true for the number 1.
        stray_bool = isinstance(value, bool) and not {bool, Any, object} & set(self.kinds)
        config = ConfigDict(allow_inf_nan=False, arbitrary_types_allowed=True)
        try:
            if not stray_bool:
                read = TypeAdapter(self.hint, config=config).validate_python(value)
                self.limits.check(self.name, read)
                return read
        except ValidationError:
            pass
        choices = [c for kind in self.kinds for c in _choices(kind)]
        if isinstance(value, str) and choices:
            raise unknown_name(f"value of {self.name}", value, map(str, choices))
        quotes = not isinstance(value, Mapping | list) and str in self.kinds
        hint = " Put quotes around it if it is meant as text." if quotes else ""
        if self.is_open and isinstance(value, str) and value.isidentifier():
            hint = f" Perhaps {self.name}={{name: {value}}} is meant."
        raise UserError(f"{self.name} must be {describe(self.hint)}, not {value!r}.{hint}")


def keys_of(schema: Any, defaults: Any = None, prefix: str = "") -> Iterator[Key]:
    """All settings of a dataclass and of the dataclasses in it.

    Args:
        schema: The dataclass.
        defaults: An instance whose values replace the defaults of the fields.
        prefix: Dotted name of the group, with its dot.
    """
    hints = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        if not field.init:
            continue
        default = field.default
        if defaults is not None:
            default = getattr(defaults, field.name)
        elif field.default_factory is not MISSING:
            default = field.default_factory()
        name, hint = prefix + field.name, hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from keys_of(hint, None if default is MISSING else default, f"{name}.")
        elif any(dataclasses.is_dataclass(kind) for kind in _alternatives(hint)):
            raise TypeError(f"{name}: a group of keys cannot be optional; give it a default.")
        else:
            about = str(field.metadata.get("help", ""))
            yield Key(name, hint, default, about, Limits.of(field))


def build(schema: Any, values: Mapping[str, Any], prefix: str = "") -> Any:
    """Make the dataclass from checked values by dotted name."""
    hints = typing.get_type_hints(schema)
    arguments = {}
    for field in dataclasses.fields(schema):
        name, hint = prefix + field.name, hints[field.name]
        if field.init and dataclasses.is_dataclass(hint):
            arguments[field.name] = build(hint, values, f"{name}.")
        elif field.init:
            arguments[field.name] = values[name]
    return schema(**arguments)


def describe(hint: Any) -> str:
    """A type in plain words: ``a number or null``."""
    plain = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
        Path: "a path",
        types.NoneType: "null",
        Any: "anything",
    }
    kinds = _alternatives(hint)
    if len(kinds) > 1:
        return " or ".join(describe(kind) for kind in kinds)
    if hint in plain:
        return plain[hint]
    if choices := _choices(hint):
        return "one of " + ", ".join(map(str, choices))
    origin = get_origin(hint) or hint
    if origin in (dict, Mapping):
        return "a mapping such as {name: value}"
    if isinstance(origin, type) and issubclass(origin, list | tuple | set | frozenset):
        items = [describe(a) for a in get_args(hint) if a is not Ellipsis]
        return f"a list ({', '.join(items)})" if items else "a list"
    return getattr(hint, "__name__", str(hint))


def _alternatives(hint: Any) -> tuple[Any, ...]:
    union = get_origin(hint) in (typing.Union, types.UnionType)
    return get_args(hint) if union else (hint,)


def _choices(kind: Any) -> list[Any]:
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return [member.value for member in kind]
    return []
