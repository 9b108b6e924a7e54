"""Methods: published systems as short compositions. Every module registers its own."""

from __future__ import annotations

from tokenexit.methods.base import METHODS, UNITS, Method, settings_of

__all__ = ["METHODS", "UNITS", "Method", "settings_of"]
