"""Quality of every exit at full depth, over all processes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError
from tokenexit.evaluation.gold import class_numbers
from tokenexit.evaluation.metrics import score_classes
from tokenexit.evaluation.processes import gather, my_share
from tokenexit.models.labeller import Labeller


def exit_quality(model: Labeller, split: TaggedSplit, batch_size: int) -> dict[str, Any]:
    """Quality of every exit at full depth; ``quality`` is that of the top.

    Args:
        model: The tagger.
        split: Labelled texts; shared out among processes.
        batch_size: Texts a batch.

    Raises:
        UserError: The split has no word.
    """
    mine = my_share(len(split))
    part = split.take(mine)
    own: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    if part.num_words:  # a process may have got no word
        gold = class_numbers(split, model.labels)
        table = model.exit_table(part.tokens, [gold[row] for row in mine], batch_size)
        own.append(
            (
                table.said(table.logits)[:, table.mine],
                table.gold.numpy()[table.mine],
                np.array(mine, dtype=np.int64)[table.text[table.mine]],
            )
        )
    found = gather(own)
    if not found:
        raise UserError(f"{split.origin} holds no word; there is nothing to evaluate on.")
    guess = np.concatenate([f[0] for f in found], axis=1)
    gold, text = np.concatenate([f[1] for f in found]), np.concatenate([f[2] for f in found])
    order = np.argsort(text, kind="stable")
    by_exit = [
        float(
            score_classes(model.settings.task, row[order], gold[order], text[order], model.labels)[
                "quality"
            ]
        )
        for row in guess
    ]
    return {"quality": by_exit[-1], "by_exit": by_exit}
