"""Texts to begin with: a few of those that a run was tested on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tokenexit.errors import UserError
from tokenexit.reporting.run import RunData, load_run

COUNT, LONGEST = 4, 240


def examples_of(folder: str | Path) -> list[str]:
    """Short texts at even distances of a run's test texts; none where no trace was kept."""
    try:
        run = load_run(folder)
    except UserError:  # a model that is no run's, or files that only a report needs
        return []
    texts = [text for text in _texts(run) if 0 < len(text) <= LONGEST]
    places = np.linspace(0, len(texts) - 1, COUNT).astype(int) if texts else ()
    return list(dict.fromkeys(texts[place] for place in places))


def _texts(run: RunData) -> list[str]:
    if run.generated_trace is not None:
        return [text.source or "" for text in run.generated_trace.texts]
    words = run.words
    if words is None:
        return []
    return [" ".join(words.word[start:end]) for start, end in words.bounds]
