"""Colours that differ in lightness as well as in hue, for light and for dark pages."""

from __future__ import annotations

from collections.abc import Sequence

Stops = Sequence[str]

# Behind words: the shallow end is calm, because most words leave there.
FILL_LIGHT: Stops = ("#fdf6d6", "#d3ebbd", "#7ccbb4", "#358fb5", "#2f4c9e", "#2a1a5e")
FILL_DARK: Stops = ("#262c38", "#234a63", "#1f7d86", "#4fae82", "#b4d96b", "#fbf0a0")

# For lines, which need contrast with the page at both ends.
LINE_LIGHT: Stops = ("#c28f00", "#5ba04c", "#208a8f", "#2d5ea8", "#40267a")
LINE_DARK: Stops = ("#8497c9", "#4aa9c9", "#46bd9c", "#a5d66a", "#f8e789")

# Okabe and Ito's palette, darkened or lightened where the page asks for it.
FAMILIES_LIGHT: Stops = (
    "#0072b2", "#d55e00", "#00866a", "#b0568c", "#8a6d00", "#2c8fc4", "#6b4fa0", "#555f6b",
)  # fmt: skip
FAMILIES_DARK: Stops = (
    "#5ab4f0", "#ff9142", "#35c79d", "#e89cc6", "#e6c84a", "#9bd4ff", "#b7a0ee", "#b3bcc8",
)  # fmt: skip

_INK, _PAPER = "#14181f", "#ffffff"


def ramp(stops: Stops, count: int) -> list[str]:
    """``count`` colours at even distances between the first stop and the last."""
    if count == 1:
        return [stops[0]]
    return [_between(stops, row / (count - 1)) for row in range(count)]


def ink(background: str) -> str:
    """Black or white, whichever reads better on ``background``."""
    light = _luminance(background)
    on_dark = (1.05) / (light + 0.05)
    on_light = (light + 0.05) / (_luminance(_INK) + 0.05)
    return _PAPER if on_dark > on_light else _INK


def _between(stops: Stops, place: float) -> str:
    scaled = place * (len(stops) - 1)
    low = min(int(scaled), len(stops) - 2)
    share = scaled - low
    first, second = _channels(stops[low]), _channels(stops[low + 1])
    mixed = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))


def _luminance(colour: str) -> float:
    linear = [
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
        for v in (channel / 255 for channel in _channels(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
