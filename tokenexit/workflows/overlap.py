"""Testing texts that the model was trained on: they flatter what exits lose."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tokenexit.data.split import Split
from tokenexit.data.tagged import held_out_of
from tokenexit.errors import UserError
from tokenexit.evaluation.processes import is_main
from tokenexit.wording.naming import of_texts
from tokenexit.workflows.commands import Commands
from tokenexit.workflows.used_texts import asked

logger = logging.getLogger(__name__)

_WORDS = (("stand", "them"), ("stands", "it"))


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
    if train is None or split.origin in (train.origin, held_out_of(train)):
        return None
    return shared(train, split, name)


def shared(train: Split, split: Split, name: str) -> int:
    """How many texts of a split stand in another as well; said where there are any."""
    seen = set(asked(train))
    count = sum(text in seen for text in asked(split))
    if count and is_main():
        logger.warning(
            "%d of the %s of the %s split %s in the training split as well; what exits "
            "lose on %s says less of texts not yet seen.",
            count, of_texts(len(split)), name, *_WORDS[count == 1],
        )  # fmt: skip
    return count


def _training(opened: Commands, data: str | None, options: Mapping[str, Any]) -> Any:
    """The training split of the run's own data if it is there, else that of the data set."""
    # Columns of the testing texts need not be in it, of documents least of all.
    without = {name: value for name, value in options.items() if name != "group_column"}
    for source in dict.fromkeys((opened.reading.data, data)):
        for told in (without, {}) if source is not None else ():
            try:
                return opened.split(source, "train", False, **told)
            except UserError:  # not there any more, or read otherwise
                continue
    return None
