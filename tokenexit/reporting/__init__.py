"""Views of a finished run: an HTML report, figures for papers, tables. They read saved files."""

from __future__ import annotations

from tokenexit.reporting.figures import save_figures
from tokenexit.reporting.page import write_report
from tokenexit.reporting.tables import results_markdown, results_text

__all__ = ["results_markdown", "results_text", "save_figures", "write_report"]
