"""What a panel is, and where panels are found by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from tokenexit.errors import unknown_name
from tokenexit.registry import Registry
from tokenexit.reporting.charts import Key
from tokenexit.reporting.panels.picture import Picture
from tokenexit.reporting.run import RunData

PANELS: Registry[Panel] = Registry("report panel", "tokenexit.reporting.panels")
"""Every panel by name. To add one, register a subclass of ``Panel`` in a file of its own."""

SECTIONS = (
    "clock", "curve", "words", "use", "exits", "classes", "oracle", "reliability", "training",
    "more",
)  # fmt: skip
"""Parts of the page that hold panels."""


class Panel(ABC):
    """One picture of a run's page, or a few of one kind; or a piece of HTML in its place.

    Attributes:
        section: Where they stand; ``more`` is a section of its own, after the others.
        order: Those of a section stand in the order of these numbers.
    """

    section: ClassVar[str] = "more"
    order: ClassVar[int] = 100

    @abstractmethod
    def draw(self, run: RunData) -> Sequence[Picture]:
        """The pictures; none where the files of the run do not tell what they need."""

    def keys(self, run: RunData) -> Sequence[Key]:
        """A legend that they share, below the section's pictures."""
        return ()


@dataclass(frozen=True)
class Drawn:
    """Pictures of one section, with the legend below them."""

    pictures: list[Picture] = field(default_factory=list)
    legend: list[Key] = field(default_factory=list)


def draw(run: RunData) -> dict[str, Drawn]:
    """All panels of a run, by section.

    Raises:
        UserError: A panel names a section that there is not.
    """
    found = {section: Drawn() for section in SECTIONS}
    for _, cls in sorted(PANELS.items(), key=lambda item: (item[1].order, item[0])):
        if cls.section not in found:
            raise unknown_name("section of the report", cls.section, SECTIONS)
        panel = cls()
        found[cls.section].pictures.extend(panel.draw(run))
        found[cls.section].legend.extend(panel.keys(run))
    return found
