"""Typed configuration: a dataclass schema, one YAML file, ``key=value`` on the command line.

Each layer overrides the one before it: the schema's defaults, the recipe's defaults, the
file, the command line. Everything is checked before anything runs.
"""

from __future__ import annotations

import inspect
import json
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic_core import to_jsonable_python

from tokenexit.config.schema import MISSING, Key, build, describe, keys_of
from tokenexit.config.yaml12 import from_yaml
from tokenexit.errors import UserError, unknown_name

T = TypeVar("T")


def load_config(
    schema: type[T], argv: Sequence[str], defaults: Mapping[str, Any] | None = None
) -> T:
    """Build a configuration from a YAML file and ``key=value`` arguments.

    Layers are merged key by key. In an open mapping (``dict[str, Any]``: a policy, a head)
    a new ``name`` drops the settings that belonged to the old one.

    Args:
        schema: A dataclass; its fields may be dataclasses. ``field(metadata={"help": ...})``
            describes a key for ``--help``.
        argv: Arguments without the program's name: at most one YAML file, first, then
            ``key=value`` items with dotted keys.
        defaults: Values to use instead of the schema's own defaults, nested or dotted.

    Raises:
        UserError: An unreadable file, an unknown key (with the nearest one), or wrong and
            missing values (all of them in one message).
        SystemExit: After printing the keys, if ``--help`` or ``-h`` was given.
    """
    keys = {key.name: key for key in keys_of(schema)}
    values: dict[str, Any] = {}
    _put_layer(values, keys, (defaults or {}).items())
    if {"-h", "--help"} & set(argv):
        sys.stdout.write(f"Usage: {_program(argv)} [CONFIG.yaml] [key=value ...]\n\n")
        sys.stdout.write(_help_text(schema, keys, values))
        raise SystemExit(0)
    rest = list(argv)
    if rest and _is_yaml_path(rest[0]):
        _put_layer(values, keys, _read_file(rest.pop(0)).items())
    _put_layer(values, keys, [_read_item(item, keys) for item in rest])
    return build(schema, _checked(keys, values))


def dump_config(config: Any) -> dict[str, Any]:
    """The configuration as plain data for JSON, or for YAML by ``to_yaml``."""
    return to_jsonable_python(config)


def _is_yaml_path(item: str) -> bool:
    # A path may hold '=' itself, as in runs/lr=0.1/config.yaml.
    return item.endswith((".yaml", ".yml")) and ("=" not in item or Path(item).is_file())


def _read_file(path: str) -> Mapping[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The configuration file {path!r} cannot be read: {error}.") from error
    content = from_yaml(text, f"The configuration file {path!r}")
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise UserError(
            f"The configuration file {path!r} must hold 'key: value' lines, not {content!r}."
        )
    return content


def _read_item(item: str, keys: Mapping[str, Key]) -> tuple[str, Any]:
    """Split ``key=value`` and read the value as what the key expects."""
    name, equals, raw = item.partition("=")
    if not equals and item.endswith((".yaml", ".yml")):
        raise UserError(
            f"The argument {item!r} is a second configuration file or comes after a "
            "key=value item; give one file, as the first argument."
        )
    if not equals or not all(name.split(".")):
        raise UserError(
            f"The argument {item!r} is not of the form key=value, such as train.epochs=3. A "
            "configuration file comes first and ends in .yaml; --help lists the keys."
        )
    key = keys.get(name)
    if key is None or not key.is_text or raw[:1] in ("'", '"'):
        return name, from_yaml(raw, f"The value of {name}={raw}")
    # A revision such as 1234e5 is text even though it looks like a number.
    nothing = key.is_optional and raw in ("", "~", "null")
    return name, None if nothing else raw


def _put_layer(
    values: dict[str, Any], keys: Mapping[str, Key], items: Iterable[tuple[Any, Any]]
) -> None:
    """Lay new values over those of the layers below."""
    layer: dict[str, Any] = {}
    for name, value in items:
        _put(layer, keys, str(name), value)
    for name, value in layer.items():
        below = values.get(name, keys[name].default)
        values[name] = _overlay(below, value) if keys[name].is_open else value


def _put(layer: dict[str, Any], keys: Mapping[str, Key], name: str, value: Any) -> None:
    """Add one value to a layer, whatever mix of dots and mappings it came in."""
    group = [key for key in keys if key.startswith(f"{name}.")]
    owner = next((k for k in keys.values() if k.is_open and name.startswith(f"{k.name}.")), None)
    if name in keys:
        both = isinstance(layer.get(name), Mapping) and isinstance(value, Mapping)
        layer[name] = _overlay(layer[name], value) if both else value
    elif group and isinstance(value, Mapping):
        for inner, part in value.items():
            _put(layer, keys, f"{name}.{inner}", part)
    elif group:
        raise UserError(
            f"Configuration key {name!r} is a group, it cannot be {value!r}; "
            f"set one of {', '.join(group)}."
        )
    elif owner is not None:
        if not isinstance(layer.get(owner.name, {}), Mapping):
            raise UserError(
                f"Configuration key {owner.name!r} is given as {layer[owner.name]!r} and again "
                f"by {name!r}; write {owner.name}.name={layer[owner.name]} instead."
            )
        for part in reversed(name[len(owner.name) + 1 :].split(".")):
            value = {part: value}
        layer[owner.name] = _overlay(layer.get(owner.name, {}), value)
    else:
        last = name.rsplit(".", 1)[-1]
        same_ending = [key for key in keys if key.endswith(f".{last}")]
        raise unknown_name("configuration key", name, same_ending or keys)


def _overlay(below: Any, above: Any) -> Any:
    """Merge open mappings; another name starts from nothing."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    if "name" in above and above["name"] != below.get("name", above["name"]):
        return above
    merged = dict(below)
    for key, value in above.items():
        merged[key] = _overlay(below.get(key), value)
    return merged


def _checked(keys: Mapping[str, Key], values: Mapping[str, Any]) -> dict[str, Any]:
    """Every key with a value of its type; one message for all that are wrong or missing."""
    result, mistakes = {}, []
    for name, key in keys.items():
        if name in values:
            try:
                result[name] = key.check(values[name])
            except UserError as error:
                mistakes.append(str(error))
        elif key.default is MISSING:
            mistakes.append(f"{name} is missing; give it as {name}=... ({describe(key.hint)}).")
        else:
            result[name] = key.default
    if len(mistakes) > 1:
        mistakes.insert(0, f"The configuration has {len(mistakes)} mistakes:")
    if mistakes:
        raise UserError("\n".join(mistakes))
    return result


def _program(argv: Sequence[str]) -> str:
    """How this was started, up to the arguments: ``tokenexit train ner``."""
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        start = f"python -m {path.parent.name}"
    else:
        start = f"python {path}" if path.suffix == ".py" else path.name
    return " ".join([start, *sys.argv[1 : max(1, len(sys.argv) - len(argv))]])


def _help_text(schema: type, keys: Mapping[str, Key], values: Mapping[str, Any]) -> str:
    about = inspect.cleandoc(schema.__doc__ or "").split("\n\n")[0]
    # Without a docstring, dataclass puts the signature there.
    lines = [] if about.startswith(f"{schema.__name__}(") else [about, ""]
    lines.append("Keys and their defaults:")
    for name, key in keys.items():
        value = values.get(name, key.default)
        shown = "(required)" if value is MISSING else f"= {_shown(value)}"
        lines.append(f"  {name} {shown}")
        lines.append(textwrap.indent(f"{key.help or ''} [{describe(key.hint)}]".strip(), " " * 6))
    return "\n".join([*lines, ""])


def _shown(value: Any) -> str:
    plain = to_jsonable_python(value, fallback=str)
    is_word = isinstance(plain, str) and plain
    return plain if is_word else json.dumps(plain, ensure_ascii=False)
