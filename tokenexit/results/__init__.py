"""Results as values: what evaluation measures, and reports read again from files."""

from __future__ import annotations

from tokenexit.results.quality import kept, lower_is_better
from tokenexit.results.result import Result

__all__ = ["Result", "kept", "lower_is_better"]
