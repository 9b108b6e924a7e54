"""Pictures of a run's page: one file each, and your own by a plug-in."""

from __future__ import annotations

from tokenexit.reporting.panels.base import PANELS, SECTIONS, Drawn, Panel, draw
from tokenexit.reporting.panels.picture import Picture

__all__ = ["PANELS", "SECTIONS", "Drawn", "Panel", "Picture", "draw"]
