"""Token-level early exit for Hugging Face transformers.

Names are loaded when first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenexit import policies
    from tokenexit.models.cascades.cascade import CascadeForSequenceClassification
    from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
    from tokenexit.models.sequences.sequence_classification import (
        ExitModelForSequenceClassification,
    )
    from tokenexit.models.words.token_classification import ExitModelForTokenClassification
    from tokenexit.registry import load_plugin
    from tokenexit.workflows.fit import fit
    from tokenexit.workflows.train import train

    __version__: str

__all__ = [
    "CascadeForSequenceClassification",
    "ExitModelForSeq2SeqLM",
    "ExitModelForSequenceClassification",
    "ExitModelForTokenClassification",
    "__version__",
    "fit",
    "load_plugin",
    "policies",
    "train",
]

# Two caches of oneDNN keep a compiled product, most of a megabyte, for each number of rows they
# have met: by default 1,024 each, which texts of all lengths fill with a gigabyte. They ask for
# their size at the first product, so torch may have been imported before.
for _cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(_cache, "128")

_HOMES = {
    "CascadeForSequenceClassification": "tokenexit.models.cascades.cascade",
    "ExitModelForSeq2SeqLM": "tokenexit.models.generation.seq2seq",
    "ExitModelForSequenceClassification": "tokenexit.models.sequences.sequence_classification",
    "ExitModelForTokenClassification": "tokenexit.models.words.token_classification",
    "fit": "tokenexit.workflows.fit",
    "load_plugin": "tokenexit.registry",
    "train": "tokenexit.workflows.train",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name == "policies":
        value = importlib.import_module("tokenexit.policies")
    elif name == "__version__":
        value = _installed_version()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _installed_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tokenexit")
    except PackageNotFoundError:  # used from a checkout that was never installed
        return "0+unknown"
