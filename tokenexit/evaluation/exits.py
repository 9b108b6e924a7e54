"""Quality of every exit at full depth, over all processes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tokenexit.data.tagged import TaggedSplit
from tokenexit.evaluation.evaluate import class_numbers
from tokenexit.evaluation.metrics import score_classes
from tokenexit.evaluation.processes import gather, my_share
from tokenexit.models.exits import collect_exits
from tokenexit.models.token_classification import ExitModelForTokenClassification


def exit_quality(
    model: ExitModelForTokenClassification, split: TaggedSplit, batch_size: int
) -> dict[str, Any]:
    """Quality of every exit at full depth; ``quality`` is that of the top.

    Args:
        model: The tagger.
        split: Labelled texts; shared out among processes.
        batch_size: Texts a batch.
    """
    mine = my_share(len(split))
    part = split.take(mine)
    table = collect_exits(
        model, model.encoder.encode(part.tokens, class_numbers(part, model.labels)), batch_size
    )
    own = table.mine
    found = gather(
        [
            (
                table.log_probs.argmax(dim=-1).numpy()[:, own],
                table.gold.numpy()[own],
                np.array(mine, dtype=np.int64)[table.text[own]],
            )
        ]
    )
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
