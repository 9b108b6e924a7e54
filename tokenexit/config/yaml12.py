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


class _Loader(yaml.SafeLoader):
    """Reads plain data only, and says where a key is repeated."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own shape)

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
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise UserError(f"{source} is not valid YAML: {error}") from error


def to_yaml(data: Any) -> str:
    """Write plain data so that ``from_yaml`` gives it back, keys in their own order."""
    text = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    if any(mark in text for mark in "\x85\u2028\u2029"):  # line ends that readers normalise
        text = yaml.dump(data, Dumper=_Dumper, sort_keys=False)
    return text
