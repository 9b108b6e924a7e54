"""Picture of reliability: does an exit know how good it is?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tokenexit.reporting.charts import Key, Line, Point, axis, line_chart
from tokenexit.reporting.panels.base import PANELS, Panel
from tokenexit.reporting.panels.picture import Picture
from tokenexit.reporting.reliability import ENOUGH, Reliability, reliability
from tokenexit.reporting.run import RunData
from tokenexit.wording.naming import fixed, whole


@PANELS.register("reliability")
class ReliabilityDiagram(Panel):
    """Accuracy against confidence."""

    section = "reliability"

    def draw(self, run: RunData) -> list[Picture]:
        """See ``Panel``."""
        found = reliability(run.words) if run.words is not None else []
        if not found:
            return []
        pooled, *exits = found
        lines = [Line("perfect", [Point(0, 0), Point(1, 1)], "static dashed", marked=False)]
        for exit_ in exits:
            points = [Point(b.confidence, b.accuracy) for b in exit_.solid()]
            lines.append(Line(f"exit {exit_.layer}", points, f"l{exit_.layer} thin", marked=False))
        most = max(b.count for b in pooled.bins)
        points = [
            Point(
                b.confidence,
                b.accuracy,
                f"confidence {b.confidence:.2f}\naccuracy {b.accuracy:.2f}\n{whole(b.count)} words",
                3 + 5 * math.sqrt(b.count / most),
            )
            for b in pooled.solid()
        ]
        lines.append(Line("all exits", points, "k0"))
        keys = [Key("all exits", "k0", "circle"), Key("as good as it says", "static dashed")]
        keys += [Key(f"exit {e.layer}", f"l{e.layer} thin") for e in exits]
        low = lowest(found)
        chart = line_chart(
            "reliability",
            "Reliability",
            f"Accuracy against confidence; expected calibration error {fixed(pooled.ece)}.",
            axis("Confidence when leaving", (), low=low, high=1.01),
            axis("Accuracy", (), low=low, high=1.02),
            lines,
        )
        note = f"Larger dots hold more words; bins with fewer than {ENOUGH} are left out."
        return [Picture("Accuracy against confidence", chart, keys, note)]


def lowest(found: Sequence[Reliability]) -> float:
    """Where both axes of a reliability plot begin: a round value below everything drawn."""
    values = [value for r in found for b in r.solid() for value in (b.confidence, b.accuracy)]
    return max(0.0, math.floor(10 * min(values) - 0.5) / 10)
