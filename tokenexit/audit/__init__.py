"""Audit: while a model serves, a random share of its texts is run again at full depth.

What exits lose is watched by a test that may be looked at whenever one likes; an alarm makes the
model stricter, and calm lets it back. It guards the exits: what full depth itself gets wrong on
texts of another kind it does not see.
"""

from __future__ import annotations

from tokenexit.audit.auditor import Audit
from tokenexit.audit.detector import Detector

__all__ = ["Audit", "Detector"]
