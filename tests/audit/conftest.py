"""The trained tagger of ``tests/workflows/trained.py``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_path = Path(__file__).parents[1] / "workflows" / "trained.py"
_spec = importlib.util.spec_from_file_location("trained", _path)
assert _spec is not None
assert _spec.loader is not None
_trained = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_trained)

_no_accelerator_left = _trained._no_accelerator_left
corpus, splits = _trained.corpus, _trained.splits
trained_run, own_run, tagger = _trained.trained_run, _trained.own_run, _trained.tagger
