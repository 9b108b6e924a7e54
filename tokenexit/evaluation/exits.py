"""What every exit says at full depth, and how good that is, over all processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError
from tokenexit.evaluation.processes import gather, my_share
from tokenexit.models.encoders.exit_table import ExitTable
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.tasks import labelled_task
from tokenexit.tasks.scoring.gold import class_numbers


class ExitAnswers(NamedTuple):
    """Answers of all exits, words in order of text and position.

    Attributes:
        said: ``[E, W]``.
        gold: As in a `Trace`, ``[W]``.
        text: Number of each word's text, ``[W]``.
    """

    said: np.ndarray
    gold: np.ndarray
    text: np.ndarray


def read_exits(
    model: Labeller,
    split: TaggedSplit,
    batch_size: int,
    read: Callable[[ExitTable], np.ndarray],
) -> ExitAnswers:
    """Run a split to full depth and read every exit.

    Args:
        model: The tagger.
        split: Its texts; shared out among processes.
        batch_size: Texts a batch.
        read: Answers of a table, ``[E, W]``.

    Raises:
        UserError: The split has no word.
    """
    mine = my_share(len(split))
    part = split.take(mine)
    own: list[ExitAnswers] = []
    if part.num_words:  # a process may have got no word
        gold = None if split.tags is None else class_numbers(split, model.labels)
        told = gold and [gold[row] for row in mine]
        table = model.exit_table(part.tokens, told, batch_size)
        text = np.array(mine, dtype=np.int64)[table.text[table.mine]]
        own.append(ExitAnswers(read(table)[:, table.mine], table.gold.numpy()[table.mine], text))
    found = gather(own)
    if not found:
        raise UserError(f"{split.origin} holds no word; there is nothing to evaluate on.")
    order = np.argsort(np.concatenate([f.text for f in found]), kind="stable")
    return ExitAnswers(
        *(np.concatenate(part, axis=-1)[..., order] for part in zip(*found, strict=True))
    )


def exit_quality(model: Labeller, split: TaggedSplit, batch_size: int) -> dict[str, Any]:
    """Quality of every exit at full depth; ``quality`` is that of the top.

    Args:
        model: The tagger.
        split: Labelled texts; shared out among processes.
        batch_size: Texts a batch.

    Raises:
        UserError: The split has no word.
    """
    found = read_exits(model, split, batch_size, lambda table: table.said(table.logits))
    task, labels = labelled_task(model.settings.task), model.labels
    by_exit = [
        float(task.graded(row, found.gold, found.text, labels)["quality"]) for row in found.said
    ]
    return {"quality": by_exit[-1], "by_exit": by_exit}
