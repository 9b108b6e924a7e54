"""A model folder: a plain transformers checkpoint, and the exits beside it."""

from __future__ import annotations

from tokenexit.models.folders.kinds import check_kind, is_cascade, kind_of, read_settings
from tokenexit.models.folders.load import Loaded, load, load_kind
from tokenexit.models.folders.names import CASCADE, CONFIG, WEIGHTS
from tokenexit.models.folders.network import load_network
from tokenexit.models.folders.place import replace_model
from tokenexit.models.folders.plain import read_json
from tokenexit.models.folders.save import save, save_settings, settings_files, write_model
from tokenexit.models.folders.source import resolve
from tokenexit.models.folders.tokenizer import load_tokenizer

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
