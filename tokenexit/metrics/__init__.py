"""Metrics of quality: one file each, and your own by a plug-in."""

from __future__ import annotations

from tokenexit.metrics.base import METRICS, Metric, build_metric, measure

__all__ = ["METRICS", "Metric", "build_metric", "measure"]
