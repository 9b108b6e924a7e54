"""What goes with a model by what it does."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM


@singledispatch
def by_kind(model: Any, labels: Any, writes: Any) -> Any:
    """What goes with models that label, which most do, or with those that write texts."""
    return labels


@by_kind.register
def _(model: ExitModelForSeq2SeqLM, labels: Any, writes: Any) -> Any:
    return writes
