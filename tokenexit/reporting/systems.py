"""The methods as a Markdown table: what each is for, departs from, and was checked by."""

from __future__ import annotations

import re

from tokenexit.methods import METHODS, UNITS

_TESTS = re.compile(r"\btests/[\w/]+\.py")


def systems_table() -> str:
    """One row a method, in alphabetical order."""
    lines = [
        "| method | paper | for | fidelity | checked |",
        "| :-- | :-- | :-- | :-- | :-- |",
    ]
    for name, cls in sorted(METHODS.items()):
        units = ", ".join(UNITS[unit] for unit in cls.units)
        checked = _TESTS.sub(lambda found: f"[{_short(found[0])}](../{found[0]})", cls.checked)
        cells = (f"`{name}`", cls.paper, units, cls.fidelity, checked or "–")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _short(path: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(".py")
