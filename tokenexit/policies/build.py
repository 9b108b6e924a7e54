"""Policies from plain data: mappings, JSON, YAML, or as one types them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

from tokenexit.errors import UserError
from tokenexit.policies.base import POLICIES, Policy
from tokenexit.policies.short import read_short
from tokenexit.policies.text import named_settings, read_text
from tokenexit.registry import settings_of

PolicyLike = Policy | Mapping[str, Any] | str
"""What stands for a policy: itself, its name, or its settings as plain data or text."""


def from_config(config: PolicyLike) -> Policy:
    """Build a policy from plain data.

    Args:
        config: ``{"name": "entropy", "threshold": 0.1}``, the same as JSON or YAML text, a
            name, ``entropy:0.1``, or a policy (returned as it is). Nested mappings with a
            ``name`` become policies themselves.

    Raises:
        UserError: Unknown policy or field (the nearest name is given), or a bad value.
    """
    try:
        return _built(config)
    except RecursionError as error:
        raise UserError("The policy is nested too deeply; policies hold a few others.") from error


def _built(config: Any) -> Policy:
    if isinstance(config, Policy):
        return config
    if isinstance(config, str):
        config = read_short(config) or read_text(config)
    config = named_settings(config, "policy", '{"name": "entropy", "threshold": 0.1}')
    cls = POLICIES.get(str(config["name"]))
    types = {f.name: f.type for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    settings = settings_of(config, cls, "policy")
    values = {k: _revive(v, types[k]) for k, v in settings.items()}
    try:
        return cls(**values)
    except TypeError as error:
        raise UserError(
            f"Policy {config['name']!r} cannot be built from {values}: {error}. "
            f"Its settings are: {', '.join(types) or 'none'}."
        ) from error


def _revive(value: Any, wanted: Any = None) -> Any:
    if isinstance(value, Mapping):
        # A table may have a key "name" as well, but there it does not lead to a string.
        if isinstance(value.get("name"), str):
            return _built(value)
        return {k: _revive(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_revive(v) for v in value)
    if wanted == "float" and isinstance(value, str):
        # NaN and infinity, as Python writes them in JSON's place, are text to YAML.
        with contextlib.suppress(ValueError):
            return float(value)
    return value
