"""YAML by the rules of YAML 1.2, which PyYAML does not follow by itself.

There ``1e-3`` is text, ``no`` is false, ``12:30`` is 750 and a repeated key silently wins; a
configuration must not turn on such surprises.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from tokenexit.errors import UserError

# tag: pattern, first characters ("" for the empty value). A number with a leading zero stays text.
_SCALARS = {
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "tag:yaml.org,2002:int": (r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    "tag:yaml.org,2002:float": (
        r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "tag:yaml.org,2002:merge": (r"<<", ["<"]),
}

_PLAIN = {"null", "bool", "int", "float", "str", "seq", "map"}


class _Loader(yaml.SafeLoader):
    """Reads plain data only, and says where a key is repeated."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own shape)
    # Of tags that are written out, those of JSON's types; no dates, bytes or sets.
    yaml_constructors: dict[Any, Any] = {  # noqa: RUF012
        tag: make
        for tag, make in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rsplit(":", 1)[-1] in _PLAIN
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes exactly the text that ``_Loader`` would take for something else."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012


for _tag, (_pattern, _first) in _SCALARS.items():
    for _kind in (_Loader, _Dumper):
        _kind.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), _first)


def from_yaml(text: str, source: str) -> Any:
    """Read plain data from YAML (or JSON) text.

    Args:
        text: The YAML text.
        source: Where the text comes from, for the message: a file name or an argument.

    Raises:
        UserError: The text is not YAML; the message gives the place.
    """
    try:
        data = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise UserError(f"{source} is not valid YAML: {error}") from error
    except RecursionError:
        raise UserError(f"{source} is nested too deeply.") from None
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        # What a written tag such as !!int does not fit; PyYAML does not say where.
        raise UserError(f"{source} has a value that its tag does not fit: {error}.") from error
    if _holds_itself(data, [], set()):
        raise UserError(f"{source} has an alias (*name) inside what it stands for.")
    return data


def _holds_itself(data: Any, above: list[int], done: set[int]) -> bool:
    """Whether an alias leads back to something around it; nothing is looked into twice."""
    if not isinstance(data, dict | list) or id(data) in done:
        return False
    if id(data) in above:
        return True
    above.append(id(data))
    inside = data.values() if isinstance(data, dict) else data
    found = any(_holds_itself(part, above, done) for part in inside)
    above.pop()
    done.add(id(data))
    return found


def to_yaml(data: Any) -> str:
    """Write plain data so that ``from_yaml`` gives it back, keys in their own order."""
    text = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    if any(mark in text for mark in "\x85\u2028\u2029"):  # line ends that readers normalise
        text = yaml.dump(data, Dumper=_Dumper, sort_keys=False)
    return text
