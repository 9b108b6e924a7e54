"""An evolutionary search over shares of rows (Length-Adaptive Transformer, Kim and Cho 2021).

As released: it begins with settings of one ratio from layer to layer; each round adds settings in
which a layer's share is drawn anew, by a chance, between those of its neighbours, and settings that
are averages of two; what lies on the frontier of work and quality goes on. Published numbers of
rows are of padded texts, these shares of each text's own length.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

Shares = tuple[float, ...]
"""Share of a text's rows after each layer, from the first; never growing."""

BEGIN = 20
"""Settings of one ratio."""

CHANCE = 0.5
"""Of a layer to be drawn anew in a mutation."""

LEAST = 1e-3
"""Share of the last layer at least; its reducer has a least number of rows as well."""


def evolve(
    survivors: Callable[[Sequence[Shares]], Sequence[Shares]],
    depth: int,
    *,
    ratio: float,
    rounds: int,
    children: int,
    seed: int = 0,
) -> None:
    """Search; whoever judges also remembers.

    Args:
        survivors: Judges new settings, and says which of all so far go on.
        depth: Layers.
        ratio: Smallest of the ratios to begin with.
        rounds: Of the search.
        children: Mutations a round, and as many averages.
        seed: Of what is drawn.
    """
    draw = random.Random(seed)
    parents = survivors(beginning(depth, ratio))
    for _ in range(rounds):
        mutated = [mutation(draw.choice(parents), draw) for _ in range(children)]
        pairs = [draw.sample(parents, 2) for _ in range(children)] if len(parents) > 1 else []
        parents = survivors([*mutated, *(average(*pair) for pair in pairs)])


def beginning(depth: int, ratio: float) -> list[Shares]:
    """Settings of one ratio from layer to layer, from the smallest up to just below 1."""
    ratios = [ratio + (1 - ratio) * n / BEGIN for n in range(BEGIN)]
    return [tuple(one**layer for layer in range(1, depth + 1)) for one in ratios]


def mutation(shares: Shares, draw: random.Random) -> Shares:
    """Some layers drawn anew between their neighbours, the lower one as it has become."""
    found: list[float] = []
    for place, share in enumerate(shares):
        least = shares[place + 1] if place + 1 < len(shares) else LEAST
        most = found[-1] if found else 1.0
        found.append(draw.uniform(least, most) if draw.random() < CHANCE else share)
    return tuple(found)


def average(one: Shares, other: Shares) -> Shares:
    """The mean of two, layer by layer."""
    return tuple((a + b) / 2 for a, b in zip(one, other, strict=True))
