"""What promises count of each text of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenexit.data.pairs import PairSplit
from tokenexit.data.tagged import TaggedSplit
from tokenexit.evaluation.text_trace import TextTrace
from tokenexit.guarantees.losses import Columns
from tokenexit.halting import Trace
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.tasks import Rows, labelled_task


def counted_labels(model: Labeller, split: TaggedSplit, trace: Trace, full: Trace) -> Columns:
    """Of a run that labels, ``[texts]`` each; right answers only where there are any.

    Args:
        model: What labels.
        split: The texts.
        trace: The run.
        full: The same texts at full depth.
    """
    said = trace.prediction, trace.exit_layer, full.prediction, trace.num_layers
    return counted_rows(model, split, trace, *said, trace.log_probs)


def counted_rows(
    model: Labeller,
    split: TaggedSplit,
    words: Any,
    prediction: NDArray[Any],
    exit_layer: NDArray[np.int64],
    deep: NDArray[Any],
    num_layers: int,
    log_probs: NDArray[np.float32] | None = None,
) -> Columns:
    """The same of rows that need not have been run, such as simulated ones.

    Args:
        model: What labels.
        split: The texts.
        words: Has ``text`` and ``gold``, ``[W]``, of the rows.
        prediction: What is said of each row.
        exit_layer: Where each left.
        deep: What full depth says.
        num_layers: Depth of the network.
        log_probs: ``[W, C]``; None where probabilities are not known.
    """
    task, texts = labelled_task(model.settings.task), len(split)

    def total(weights: NDArray[Any]) -> NDArray[np.float64]:
        summed: Any = np.bincount(words.text, weights.astype(np.float64), texts)
        return summed

    rows = total(np.ones(len(prediction)))
    found: dict[str, Any] = {
        "rows": rows,
        "length": np.array([len(tokens) for tokens in split.tokens]),
        "changed": total(prediction != deep),
        "layers": total(exit_layer),
        "deep": num_layers * rows,
    }
    if split.tags is None:
        return found
    known = task.known(words.gold)
    answers = Rows(prediction[known], words.gold[known], words.text[known], model.labels)
    found |= task.counted(answers, texts)
    if task.countable and log_probs is not None:
        gold = np.where(known, words.gold, -1)[:, None] == np.arange(log_probs.shape[1])
        missed = np.square(np.exp(log_probs.astype(np.float64)) - gold).sum(axis=1)
        found["brier"] = total(missed * known)
    if task.whole and task.countable:
        found["class"] = np.array([tags[0] if tags else "" for tags in split.tags], dtype=object)
    scale = getattr(model, "scale", None)
    if scale is not None:
        found["most"] = np.full(texts, 2 * scale.std)
    return found


def counted_texts(split: PairSplit, trace: TextTrace, full: TextTrace) -> Columns:
    """Of a run that writes texts.

    Args:
        split: Sources, with or without references.
        trace: The run.
        full: The same sources at full depth.
    """
    pairs = zip(trace.outputs, full.outputs, strict=True)
    rows = np.array([len(one.exit_layers) for one in trace.outputs], dtype=np.float64)
    found: dict[str, Any] = {
        "rows": rows,
        "length": np.array([len(source.split()) for source in split.sources]),
        "changed": np.array([a.token_ids != b.token_ids for a, b in pairs], dtype=np.float64),
        "layers": np.array([sum(one.exit_layers) for one in trace.outputs], dtype=np.float64),
        "deep": trace.num_layers * rows,
        "said": trace.texts,
    }
    references = split.references or [[text] for text in split.targets or ()]
    if references:
        found["references"] = references
        said = zip(trace.texts, references, strict=True)
        found["exact"] = np.array([text in known for text, known in said], dtype=np.float64)
    return found
