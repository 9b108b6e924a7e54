"""Testing texts that the model was trained on: they flatter what exits lose."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from tokenexit.data.split import Split
from tokenexit.errors import UserError
from tokenexit.evaluation.processes import is_main
from tokenexit.workflows.commands import Commands

logger = logging.getLogger(__name__)


def trained_on(
    opened: Commands, data: str | None, split: Any, name: str, options: Mapping[str, Any]
) -> int | None:
    """How many texts of a split stand in the training split as well, whatever their answers.

    Said where there are any: a text that comes again by itself may, and a split that was trained on
    may not test.

    Args:
        opened: The model.
        data: The data set of the split; where the run's own is known, its training split counts.
        split: The texts.
        name: Of the split.
        options: How data is read.

    Returns:
        None where no training split is known.
    """
    train = _training(opened, data, options)
    if train is None or split.origin.startswith(train.origin):  # a part of it
        return None
    return shared(train, split, name)


def shared(train: Split, split: Split, name: str) -> int:
    """How many texts of a split stand in another as well; said where there are any."""
    seen = set(_asked(train))
    count = sum(text in seen for text in _asked(split))
    if count and is_main():
        logger.warning(
            "%d of the %d texts of the %s split stand in the training split as well; what exits "
            "lose on them says less of texts not yet seen.",
            count, len(split), name,
        )  # fmt: skip
    return count


def _training(opened: Commands, data: str | None, options: Mapping[str, Any]) -> Any:
    """The training split of the run's own data if it is there, else that of the data set."""
    for source in dict.fromkeys((opened.reading.data, data)):
        if source is not None:
            try:
                return opened.split(source, "train", False, **options)
            except UserError:  # not there any more, or read otherwise
                continue
    return None


def _asked(split: Split) -> Iterator[str]:
    """What is read of each row, without what is meant to be said of it."""
    return (key.partition("\x1e")[0] for key in split.keys())  # noqa: SIM118
