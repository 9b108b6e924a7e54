"""Typed configuration of recipes: a dataclass, a YAML file, ``key=value`` arguments."""

from __future__ import annotations

from tokenexit.config.load import dump_config, load_config
from tokenexit.config.user_errors import friendly_errors
from tokenexit.config.yaml12 import from_yaml, to_yaml

__all__ = ["dump_config", "friendly_errors", "from_yaml", "load_config", "to_yaml"]
