"""Marks that can be told apart without colour."""

from __future__ import annotations

SHAPES = ("circle", "square", "triangle", "diamond", "down", "cross")

_CORNERS = {
    "square": ((-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)),
    "triangle": ((0, -1.2), (1.1, 0.8), (-1.1, 0.8)),
    "diamond": ((0, -1.3), (1.15, 0), (0, 1.3), (-1.15, 0)),
    "down": ((0, 1.2), (1.1, -0.8), (-1.1, -0.8)),
    "star": (
        (0, -1.7), (0.42, -0.57), (1.62, -0.53), (0.67, 0.22), (1.0, 1.38),
        (0, 0.7), (-1.0, 1.38), (-0.67, 0.22), (-1.62, -0.53), (-0.42, -0.57),
    ),
    "cross": (
        (-1.2, -0.4), (-0.4, -0.4), (-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4),
        (1.2, 0.4), (0.4, 0.4), (0.4, 1.2), (-0.4, 1.2), (-0.4, 0.4), (-1.2, 0.4),
    ),
}  # fmt: skip


def outline(shape: str, x: float, y: float, size: float) -> str:
    """The path of a mark around a place."""
    if shape not in _CORNERS:
        return (
            f"M{x - size:.1f} {y:.1f}a{size:.1f} {size:.1f} 0 1 0 {2 * size:.1f} 0"
            f"a{size:.1f} {size:.1f} 0 1 0 {-2 * size:.1f} 0z"
        )
    corners = (f"{x + dx * size:.1f} {y + dy * size:.1f}" for dx, dy in _CORNERS[shape])
    return "M" + "L".join(corners) + "z"
