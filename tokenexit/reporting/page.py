"""The report of a run: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tokenexit.errors import UserError
from tokenexit.files import write_text
from tokenexit.promises.sentences import cautions, goal_text
from tokenexit.reporting import palette
from tokenexit.reporting.calibration_tables import simulated_table, timed_table, verified_table
from tokenexit.reporting.candidates import tried
from tokenexit.reporting.classes import entity_depths
from tokenexit.reporting.curve import curve_of
from tokenexit.reporting.files import AGAIN, read_json
from tokenexit.reporting.headline import headline_figures, headline_sentences
from tokenexit.reporting.heatmap import heat_map
from tokenexit.reporting.missing_files import missing_files
from tokenexit.reporting.oracle_tables import alarms_table, late_table, payers_table
from tokenexit.reporting.panels import Drawn, draw
from tokenexit.reporting.panels.curve import curve_note
from tokenexit.reporting.payers import payers
from tokenexit.reporting.reliability import reliability, reliability_table
from tokenexit.reporting.render import render
from tokenexit.reporting.result_tables import (
    against_full_depth,
    further_table,
    oracle_known,
    results_table,
)
from tokenexit.reporting.run import RunData, load_run
from tokenexit.reporting.seeds import SEEDS, failures, seeds_note, seeds_table
from tokenexit.reporting.text_figures import further_metrics
from tokenexit.reporting.text_map import text_map
from tokenexit.wording.clock import timed_rows, where
from tokenexit.wording.naming import capital

SCRIPTS = ("tooltip.js", "slider.js", "fold.js")


def write_report(run: str | Path) -> Path:
    """Write ``report.html`` into a run folder.

    Args:
        run: The folder. Files may be missing; the page says which, and what makes them.

    Returns:
        The file.

    Raises:
        UserError: It is no run folder, a file in it is damaged, or it cannot be written to.
    """
    folder = Path(run)
    try:
        record = read_json(folder / SEEDS) if folder.is_dir() else None
        html = page(load_run(run)) if record is None else seeds_page(folder, record)
    except UserError:
        raise
    except Exception as error:  # of any kind: the files hold whatever they hold
        told = " ".join(str(error).split())[:200]
        raise UserError(
            f"The files of the run {str(run)!r} are damaged or do not belong together "
            f"({type(error).__name__}: {told}). {AGAIN}"
        ) from error
    write_text(folder / "report.html", html)
    return folder / "report.html"


def seeds_page(folder: Path, record: Mapping[str, Any]) -> str:
    """The report on runs of several seeds as HTML."""
    return render(
        "seeds.html.j2",
        name=folder.resolve().name,
        table=seeds_table(record),
        note=seeds_note(record),
        failed=failures(record),
        colours=_colours(1),
    )


def page(run: RunData) -> str:
    """The report as HTML."""
    curve, panels = curve_of(run), draw(run)
    folder = Path(__file__).parent / "templates"
    script = "\n".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return render(
        "page.html.j2",
        run=run,
        metrics=run.metrics or {},
        made=_made(run),
        links=_links(run, panels),
        missing_files=missing_files(run),
        layers=range(1, run.num_layers + 1),
        colours=_colours(run.num_layers),
        script=Markup(script),
        digest=digest,
        figures=headline_figures(run),
        sentences=headline_sentences(run),
        metric=run.metric,
        panels=panels,
        curve=curve,
        curve_note=curve_note(curve) if curve else "",
        results=results_table(run),
        oracle_known=oracle_known(run),
        against=against_full_depth(run),
        further=further_table(run),
        further_texts=further_metrics(run.headline) if run.headline else {},
        **_exits(run),
        **_oracle(run),
        **_calibration(run),
    )


def _made(run: RunData) -> dict[str, str]:
    """Version and day of the results, as they were saved; not those of this page."""
    made = (run.metrics or {}).get("made")
    told = {key: str(made[key]) for key in ("tokenexit", "date") if made.get(key)} if made else {}
    return {{"date": "measured on"}.get(key, key): value for key, value in told.items()}


def _links(run: RunData, panels: Mapping[str, Drawn]) -> list[tuple[str, str]]:
    """Sections that are there, in order."""
    labelled = not run.generates
    there = {
        "results": "Results",
        "clock": "Clock",
        "curve": "Quality and compute",
        "words": f"{capital(run.unit)}s" if labelled else "Texts",
        "use": "Use it" if panels["use"].pictures else "",
        "classes": "Labels" if panels["classes"].pictures else "",
        "exits": "Exits",
        "oracle": "Oracle" if panels["oracle"].pictures else "",
        "reliability": "Reliability" if labelled else "",
        "training": "Training",
        "more": "More" if panels["more"].pictures else "",
        "calibration": "Calibration",
        "configuration": "Configuration",
    }
    return [(ident, name) for ident, name in there.items() if name]


def _exits(run: RunData) -> dict[str, Any]:
    measured = reliability(run.words) if run.words is not None else []
    return {
        "groups": text_map(run) if run.generates else heat_map(run),
        "entity_depths": entity_depths(run),
        "reliability": measured,
        "reliability_table": reliability_table(measured, run.unit),
    }


def _oracle(run: RunData) -> dict[str, Any]:
    found = payers(run)
    if found is None:
        return {"payers": None}
    return {
        "payers": found,
        "payers_table": payers_table(run, found),
        "alarms_table": alarms_table(run, found),
        "late_table": late_table(run, found),
    }


def _calibration(run: RunData) -> dict[str, Any]:
    calibration = run.calibration or {}
    verified, simulated = tried(calibration)
    timed = timed_rows(calibration)
    own = verified_table(verified, run.metric, bool(timed), not run.generates)
    return {
        "calibration": calibration,
        "target": goal_text(calibration.get("target") or {}),
        "cautions": cautions(calibration),
        "timed": timed,
        "timed_where": where(calibration["timing"]) if timed else "",
        "timed_table": timed_table(timed),
        "verified": own if verified else None,
        "simulated": simulated_table(simulated),
    }


def _colours(layers: int) -> dict[str, list[tuple[str, ...]]]:
    """Colours of layers and families, for each of the two themes."""
    themes = {
        "light": (palette.FILL_LIGHT, palette.LINE_LIGHT, palette.FAMILIES_LIGHT),
        "dark": (palette.FILL_DARK, palette.LINE_DARK, palette.FAMILIES_DARK),
    }
    found: dict[str, list[tuple[str, ...]]] = {}
    for theme, (fill, line, families) in themes.items():
        fills, lines = palette.ramp(fill, layers), palette.ramp(line, layers)
        found[theme] = [
            *((f".f{n}", f"--f:{c};--t:{palette.ink(c)}") for n, c in enumerate(fills, start=1)),
            *((f".l{n}", f"--c:{c}") for n, c in enumerate(lines, start=1)),
            *((f".k{n}", f"--c:{c}") for n, c in enumerate(families)),
        ]
    return found
