"""The check of a report's panel."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tokenexit.reporting.panels.base import PANELS, SECTIONS, Panel
from tokenexit.reporting.panels.picture import Picture
from tokenexit.reporting.run import RunData, load_run
from tokenexit.testing.contract import Contract, require

PARTS = (
    "metrics", "results", "calibration", "pareto", "words", "generated_trace", "log", "exits",
    "settings", "benches",
)  # fmt: skip
"""What a run may be without."""


@dataclass(frozen=True)
class PanelCase:
    """A panel and a run to draw."""

    panel: Panel
    run: RunData

    def without(self, *names: str) -> RunData:
        """The run without some of its files."""
        empty: dict[str, Any] = {"results": {}, "benches": ()}
        empty = {name: empty.get(name) for name in names}
        known = {field.name for field in fields(self.run)}
        return replace(self.run, **{name: part for name, part in empty.items() if name in known})


PANEL: Contract[PanelCase] = Contract("report panel")


def check_panel(panel: str | type[Panel], run: str | Path | RunData) -> None:
    """Check that a report's panel keeps its promises.

    Args:
        panel: A registered class or its name.
        run: A run folder that it can draw.

    Raises:
        AssertionError: It breaks one; the message says which, and how to mend it.
    """
    name = panel if isinstance(panel, str) else PANELS.name_of(panel)
    data = run if isinstance(run, RunData) else load_run(run)
    cls = PANELS.get(name)
    PANEL.hold(PanelCase(cls(), data), f"{cls.__name__}({name!r})")


@PANEL.promise
def has_a_place(case: PanelCase) -> None:
    """It stands in a section of the page, and says what it shows."""
    require(type(case.panel).__doc__, "give the class a docstring.")
    section = case.panel.section
    require(section in SECTIONS, f"section is {section!r}, not one of {', '.join(SECTIONS)}.")


@PANEL.promise
def draws_pictures(case: PanelCase) -> None:
    """It draws titled SVGs or pieces of HTML that fetch nothing, the same each time."""
    pictures = case.panel.draw(case.run)
    again = case.panel.draw(case.run)
    require(list(pictures) == list(again), "drawn twice, its pictures differ.")
    for picture in pictures:
        require(isinstance(picture, Picture) and picture.title, f"{picture!r} has no title.")
        chart = ElementTree.fromstring(str(picture.chart))
        tag = chart.tag.rpartition("}")[2]
        require(tag in ("svg", "div"), f"the chart of {picture.title!r} is a {tag}, no svg or div.")
        links = [value for node in chart.iter() for value in node.attrib.values() if "//" in value]
        require(not links, f"the chart of {picture.title!r} fetches {links}; a page stands alone.")


@PANEL.promise
def misses_nothing(case: PanelCase) -> None:
    """Of a run without some of its files it draws what it can, or nothing, and does not fail."""
    for names in (*((name,) for name in PARTS), PARTS):
        run = case.without(*names)
        for picture in case.panel.draw(run):
            require(isinstance(picture, Picture), f"without {names} it draws {picture!r}.")
        case.panel.keys(run)
