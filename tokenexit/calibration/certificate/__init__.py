"""Certificates: what a promise about unseen texts rests on, so that anybody can test it again.

``certificate.json`` in the folder of a model says what was promised, of which model and policy, and
which settings were tested on which texts; ``traces/certificate.parquet`` holds what was counted of
each text.
"""

from __future__ import annotations

from tokenexit.calibration.certificate.evidence import Evidence
from tokenexit.calibration.certificate.required import require_certificate

__all__ = ["Evidence", "require_certificate"]
