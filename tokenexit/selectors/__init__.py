"""Selectors: small networks that say which heads and neurons of a layer a text needs."""

from __future__ import annotations

from tokenexit.selectors.choice import Asked, Choose, at_least, kept
from tokenexit.selectors.stack import Selector, WidthSelectors, check_selectors

__all__ = [
    "Asked", "Choose", "Selector", "WidthSelectors", "at_least", "check_selectors", "kept",
]  # fmt: skip
