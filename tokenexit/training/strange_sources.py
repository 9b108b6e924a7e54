"""Sources that a generator was not trained on, made from those it was."""

from __future__ import annotations

import random


def strange(ids: list[list[int]], share: float, seed: int) -> list[list[int]]:
    """Sources with some tokens taken from others, the last of each, which ends it, kept.

    On texts that it was trained on a model is surer than on others, and so would its gate be. What
    agreeing with the top means needs no human's text: any source will do.

    Args:
        ids: Tokens of each source.
        share: Of the tokens that are replaced.
        seed: Of the draw.
    """
    draw = random.Random(seed)
    pool = [token for row in ids for token in row[:-1]]
    return [
        [draw.choice(pool) if draw.random() < share else token for token in row[:-1]] + row[-1:]
        for row in ids
    ]
