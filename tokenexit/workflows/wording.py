"""How a run's tagger reads raw text and chooses labels, where the recipe leaves it open."""

from __future__ import annotations

from typing import Any

from tokenexit.data.bio import is_bio
from tokenexit.data.tagged import TaggedSplit
from tokenexit.models.splitting.learn_splitter import agreement, learn_splitter
from tokenexit.models.splitting.splitter import splitter
from tokenexit.workflows.config import TaggingConfig
from tokenexit.workflows.logs import logger

FEW = 0.8
"""Share of training texts below which the splitter is warned of."""


def wording(config: TaggingConfig, train: TaggedSplit, labels: tuple[str, ...]) -> dict[str, Any]:
    """Settings of a tagger to be trained: ``decode`` and ``splitter``.

    A CRF decides only once it is learned.
    """
    decode = config.decode
    if decode == "auto":
        decode = "legal" if is_bio(labels) else "argmax"
    chosen = (
        learn_splitter(train.tokens) if config.splitter == "auto" else splitter(config.splitter)
    )
    share = agreement(train.tokens, chosen)
    say = logger.info if share >= FEW else logger.warning
    say(
        "raw text: %s gives back the words of %.1f %% of the training texts",
        chosen.name,
        100 * share,
    )
    return {"decode": "argmax" if decode == "crf" else decode, "splitter": chosen.name}
