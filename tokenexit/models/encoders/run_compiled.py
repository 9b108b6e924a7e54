"""Run an encoder over texts by compiled kernels: windows in, columns of a trace out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.halting import Halted, LayerWork, PolicyVisitor, Work, add_work
from tokenexit.halting.compiled import (
    CompiledEncoder,
    Decided,
    compiled_rule,
    run_exits,
    run_rule,
    run_visitor,
)
from tokenexit.halting.flat import FlatTexts, lay
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.encoders.exit_encoder import ExitEncoder
from tokenexit.models.progress import tracked
from tokenexit.policies import Policy
from tokenexit.scores import log_probabilities


def run_compiled(
    model: ExitEncoder,
    backbone: Backbone,
    compiled: CompiledEncoder,
    windows: Sequence[TextWindow],
    policy: Policy,
    batch_size: int,
    halted: Halted,
) -> tuple[dict[str, np.ndarray], Work]:
    """Columns of the words that windows answer for, and the work done; see ``run.run``."""
    texts = lay([window.sentence for window in windows])
    batches = _batches(len(windows), batch_size)
    rule = compiled_rule(policy, compiled, model.labels, model.inference_heads.context)
    if rule is None:
        decided = _visited(model, backbone, compiled, texts, policy, batches, halted)
    else:
        decided = run_rule(compiled, texts, rule, batches, halted)
    logits = torch.from_numpy(decided.logits)
    scores = logits if model.scale is not None else log_probabilities(logits)
    gold = np.full(texts.num_words, -100) if texts.target is None else texts.target
    columns = {
        **_place(windows, texts),
        "exit_layer": decided.exit_layers.astype(np.int64),
        "log_probs": scores.numpy(),
        "gold": gold,
    }
    return _answered(columns, windows, texts), decided.work


def exits_compiled(
    model: ExitEncoder,
    compiled: CompiledEncoder,
    windows: Sequence[TextWindow],
    batch_size: int,
    collector: Callable[[], Any],
    states: bool = False,
) -> dict[str, list[Tensor]]:
    """What every exit says of every word when nobody leaves; see ``exits.collect_exits``.

    Args:
        model: The model.
        compiled: Its network.
        windows: From its encoder.
        batch_size: Windows a batch.
        collector: Makes visitors that keep ``logits``, ``gates`` and ``hidden``, for heads or
            gates that kernels do not know.
        states: Whether states are kept, which kernels do not show.
    """
    texts = lay([window.sentence for window in windows])
    batches = _batches(len(windows), batch_size)
    gold = texts.target
    columns = {
        "window": [torch.from_numpy(texts.sequence)],
        "position": [torch.from_numpy(texts.position)],
        "item_id": [torch.from_numpy(texts.item)],
        "gold": [torch.from_numpy(np.full(texts.num_words, -100) if gold is None else gold)],
    }
    if compiled.scores and model.heads.gate is None and not states:
        table = torch.from_numpy(run_exits(compiled, texts, batches))
        return {**columns, "logits": [table.transpose(0, 1)]}
    backbone, heads = model.inference_backbone, model.inference_heads
    for batch in batches:
        found, part = collector(), texts.part(batch)
        run_visitor(compiled, backbone, heads, part, found, classes=model.labels)
        columns.setdefault("logits", []).append(torch.stack(found.logits, dim=1))
        if found.gates:
            columns.setdefault("gate", []).append(torch.stack(found.gates, dim=1))
        if found.hidden:
            columns.setdefault("hidden", []).append(torch.stack(found.hidden, dim=1))
    return columns


def _batches(count: int, size: int) -> Iterable[range]:
    starts = tracked(range(0, count, size), "texts")
    return (range(start, min(start + size, count)) for start in starts)


def _visited(
    model: ExitEncoder,
    backbone: Backbone,
    compiled: CompiledEncoder,
    texts: FlatTexts,
    policy: Policy,
    batches: Iterable[range],
    halted: Halted,
) -> Decided:
    """A policy asked in Python, batch by batch."""
    heads = model.inference_heads
    logits = [np.empty((0, len(model.labels)), dtype=np.float32)]
    layers = [np.empty(0, dtype=np.int64)]
    work: list[Work] = [tuple(LayerWork() for _ in range(compiled.num_layers))]
    for batch in batches:
        part = texts.part(batch)
        visitor = PolicyVisitor(
            policy,
            part.num_words,
            "cpu",
            score=(lambda signals: backbone.classify(signals.for_top))
            if halted == "restore"
            else None,
        )
        done = run_visitor(
            compiled, backbone, heads, part, visitor, halted=halted, classes=model.labels
        )
        if halted == "restore":  # the top head scored every word, wherever it left
            done = (*done[:-1], done[-1] + LayerWork(head=part.num_words))
        work.append(done)
        if part.num_words:
            decided = visitor.decisions()
            logits.append(decided.logits.float().numpy())
            layers.append(decided.exit_layers.numpy())
    return Decided(np.concatenate(logits), np.concatenate(layers), reduce(add_work, work))


def _place(windows: Sequence[TextWindow], texts: FlatTexts) -> dict[str, np.ndarray]:
    """Text of each word and its place there, ``[W]``; nothing to look up for one text."""
    if len(windows) == 1:
        text, first = np.zeros(texts.num_words, dtype=np.int64), windows[0].first
        text += windows[0].text
        return {"text": text, "position": texts.position + first if first else texts.position}
    sequence = texts.sequence
    text = np.array([window.text for window in windows], dtype=np.int64)[sequence]
    first = np.array([window.first for window in windows], dtype=np.int64)[sequence]
    return {"text": text, "position": texts.position + first}


def _whole(window: TextWindow, words: int) -> bool:
    """Whether a window answers for all of its words."""
    start, end = window.keep
    return start <= window.first and window.first + words <= end


def _answered(
    columns: dict[str, np.ndarray], windows: Sequence[TextWindow], texts: FlatTexts
) -> dict[str, np.ndarray]:
    """Columns of the words that their window answers for; of overlapping windows one each."""
    if len(windows) == 1 and _whole(windows[0], texts.num_words):
        return columns
    sizes = np.diff(texts.word_start)
    keep = np.array([window.keep for window in windows]).reshape(-1, 2)
    first = np.array([window.first for window in windows])
    if ((keep[:, 0] <= first) & (first + sizes <= keep[:, 1])).all():
        return columns
    position, sequence = columns["position"], texts.sequence
    mine = (position >= keep[sequence, 0]) & (position < keep[sequence, 1])
    return {key: values[mine] for key, values in columns.items()}
