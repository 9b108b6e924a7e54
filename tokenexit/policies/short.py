"""Policies as one types them: ``entropy:0.3``, ``window(entropy:0.3, 5)``, or as they print."""

from __future__ import annotations

import ast
import dataclasses
import re
from typing import Any

from tokenexit.errors import UserError
from tokenexit.policies.base import POLICIES, Policy

_SHORT = re.compile(r"\s*[A-Za-z_]\w*(?::\S.*|\(.*\))\s*", re.DOTALL)
_THRESHOLD = re.compile(r"([A-Za-z_]\w*):(-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?!\w)")


def read_short(text: str) -> dict[str, Any] | None:
    """The plain data of a policy in short form; None for text in another form.

    ``name:number`` turns the policy's own threshold. Arguments in brackets stand in the order of
    its settings, or have their names.

    Raises:
        UserError: It begins like a short form and cannot be read.
    """
    if _SHORT.fullmatch(text) is None:
        return None
    try:
        tree = ast.parse(_THRESHOLD.sub(r"\1(_threshold=\2)", text.strip()), mode="eval")
        found = _value(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"The policy {text!r} cannot be read: give a name, name:number such as entropy:0.3, "
            'window(entropy:0.3, 5), or JSON such as {"name": "entropy", "threshold": 0.3}.'
        ) from error
    return found


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _policy(node.func.id, node)
    if isinstance(node, ast.Name):
        return {"name": _name(node.id)}
    if isinstance(node, ast.Tuple | ast.List):
        return [_value(part) for part in node.elts]
    return ast.literal_eval(node)


def _policy(name: str, call: ast.Call) -> dict[str, Any]:
    name = _name(name)
    cls = POLICIES.get(name)
    fields = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    if len(call.args) > len(fields):
        raise UserError(f"{name} has {len(fields)} setting(s), not {len(call.args)}.")
    config = {"name": name, **dict(zip(fields, map(_value, call.args), strict=False))}
    for word in call.keywords:
        field = _threshold(name, cls) if word.arg == "_threshold" else str(word.arg)
        if field in config:
            raise UserError(f"{name} is told its {field} twice.")
        config[field] = _value(word.value)
    return config


def _threshold(name: str, cls: type[Policy]) -> str:
    if cls.own_threshold is None:
        raise UserError(
            f"The policy {name!r} has no threshold of its own that name:number could turn."
        )
    return cls.own_threshold.field


def _name(given: str) -> str:
    """A policy's name; its class's name does as well, for that is how policies print."""
    return {cls.__name__: name for name, cls in POLICIES.items()}.get(given, given)
