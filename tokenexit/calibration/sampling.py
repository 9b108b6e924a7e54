"""Which texts a calibration uses, and a word when they are few."""

from __future__ import annotations

import logging
import random
from typing import TypeVar

from tokenexit.calibration.config import CalibrateConfig
from tokenexit.data.split import Split
from tokenexit.evaluation.processes import is_main
from tokenexit.promises.sentences import FEW, few_texts

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=Split)


def drawn(split: S, design: S | None, limit: int | None) -> tuple[S, S | None]:
    """The texts that are used: all, or ``limit`` of both together, drawn at random.

    Args:
        split: Texts to measure on.
        design: Texts that choose among families before, if there are such.
        limit: See ``CalibrateConfig``.

    Returns:
        The same two; the draw is always the same.
    """
    if limit is None:
        return split, design
    if design is None:
        return sample(split, limit), None
    few = min(len(design), limit // 2)
    return sample(split, limit - few), sample(design, few)


def sample(split: S, count: int) -> S:
    """As many texts drawn at random, always the same ones, in their order."""
    if count >= len(split):
        return split
    return split.take(sorted(random.Random(0).sample(range(len(split)), count)))


def warn_of_few(config: CalibrateConfig, texts: int) -> None:
    """Say it when a share of quality is to be kept on texts too few to tell of others."""
    certified = config.promise is not None or config.guarantee is not None
    if not certified and config.target[0] == "min_quality" and texts < FEW and is_main():
        logger.warning("%s", few_texts(texts))
