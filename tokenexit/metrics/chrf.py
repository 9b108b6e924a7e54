"""Corpus chrF."""

from __future__ import annotations

from tokenexit.metrics.base import METRICS
from tokenexit.metrics.by_sacrebleu import BySacreBleu


@METRICS.register("chrf")
class Chrf(BySacreBleu):
    """chrF2 of the whole split, by sacreBLEU with its defaults, from 0 to 1."""

    title = "chrF"
    kind = "chrf.CHRF"
