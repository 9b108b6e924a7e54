"""A model folder: a plain transformers checkpoint, and the exits beside it."""

from __future__ import annotations

from tokenexit.models.persistence.kinds import check_kind, is_cascade, kind_of, read_settings
from tokenexit.models.persistence.load import Loaded, load, load_kind
from tokenexit.models.persistence.names import CASCADE, CONFIG, WEIGHTS
from tokenexit.models.persistence.network import load_network
from tokenexit.models.persistence.place import replace_model
from tokenexit.models.persistence.plain import read_json
from tokenexit.models.persistence.save import save, save_settings, settings_files, write_model
from tokenexit.models.persistence.source import resolve
from tokenexit.models.persistence.tokenizer import load_tokenizer

__all__ = [
    "CASCADE",
    "CONFIG",
    "WEIGHTS",
    "Loaded",
    "check_kind",
    "is_cascade",
    "kind_of",
    "load",
    "load_kind",
    "load_network",
    "load_tokenizer",
    "read_json",
    "read_settings",
    "replace_model",
    "resolve",
    "save",
    "save_settings",
    "settings_files",
    "write_model",
]
