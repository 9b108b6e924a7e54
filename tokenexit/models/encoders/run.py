"""Run an encoder with exits over texts: windows in, one trace out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tokenexit.backbones.precise import check_numbers
from tokenexit.halting import (
    Halted,
    PolicyVisitor,
    Trace,
    Work,
    add_work,
    encode,
    pack,
)
from tokenexit.halting.by_rule import RuleVisitor, stated
from tokenexit.halting.trace import LayerWork
from tokenexit.models.context_gate import check_asked
from tokenexit.models.encoders.columns import columns_of
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.encoders.exit_encoder import ExitEncoder
from tokenexit.models.encoders.run_by_depth import check_by_depth, run_by_depth
from tokenexit.models.encoders.run_compiled import run_compiled
from tokenexit.models.encoders.run_static import planned, run_static
from tokenexit.models.encoders.vocabulary import check_windows
from tokenexit.models.progress import tracked
from tokenexit.policies import Policy


@torch.inference_mode()
def run(
    model: ExitEncoder,
    windows: Sequence[TextWindow],
    policy: Policy,
    *,
    batch_size: int = 32,
    halted: Halted = "copy",
    absorb: bool = True,
) -> Trace:
    """Label windows in their order, ``batch_size`` at a time.

    Args:
        model: The model, in whatever mode; it computes as in evaluation and is left as it is.
        windows: From its encoder.
        policy: Who halts.
        batch_size: Windows a batch.
        halted: What halted words still give to the others.
        absorb: See ``halting.encode``.

    Returns:
        One entry for each word that some window answers for.
    """
    check_asked(model, policy)
    backbone = model.for_inference(sum(len(window.sentence.input_ids) for window in windows))
    static = planned(model, backbone, windows, policy, batch_size)
    compiled = None if static is not None else model.compiled(backbone)
    check_windows(model, windows, None if compiled is None else compiled.entries)
    if compiled is not None:
        columns, work = run_compiled(model, backbone, compiled, windows, policy, batch_size, halted)
        return _trace([columns], windows, work, model)
    if static is not None:
        parts, work = run_static(model, *static, windows, batch_size, halted)
        return _trace(parts, windows, work, model)
    if model.settings.batching == "by_depth" and len(windows) > batch_size:
        check_by_depth(model)
        columns, work = run_by_depth(model, backbone, windows, policy, batch_size)
        return _trace([columns], windows, work, model)
    heads = model.inference_heads
    work: Work = tuple(LayerWork() for _ in range(model.backbone.num_layers))
    rule = None
    if model.precision == "int8" and halted != "restore":
        rule = stated(policy, backbone.num_layers, model.labels, heads.layers)
    parts: list[dict[str, np.ndarray]] = []
    for start in tracked(range(0, len(windows), batch_size), "texts"):
        chunk = windows[start : start + batch_size]
        batch = pack([window.sentence for window in chunk], model.device)
        visitor = (
            PolicyVisitor(
                policy,
                batch.num_words,
                model.device,
                score=(lambda signals: backbone.classify(signals.for_top))
                if halted == "restore"
                else None,
            )
            if rule is None
            else RuleVisitor(policy, rule, batch.num_words)
        )
        done = encode(
            backbone,
            heads,
            batch,
            visitor,
            halted=halted,
            absorb=absorb,
            classes=model.labels,
            reducer=model.reducer,
        )
        if halted == "restore":  # the top head scored every word, wherever it left
            done = (*done[:-1], done[-1] + LayerWork(head=batch.num_words))
        work = add_work(work, done)
        parts.append(columns_of(batch, visitor.decisions(), chunk, model.scale is not None))
    return _trace(parts, windows, work, model)


def _trace(
    parts: list[dict[str, np.ndarray]],
    windows: Sequence[TextWindow],
    work: Work,
    model: ExitEncoder,
) -> Trace:
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        parts = [
            {
                "text": none,
                "position": none,
                "exit_layer": none,
                "log_probs": np.zeros((0, len(model.labels)), dtype=np.float32),
                "gold": none,
            }
        ]
    joined = parts[0]
    if len(parts) > 1:
        joined = {key: np.concatenate([part[key] for part in parts]) for key in joined}
    log_probs, gold = joined["log_probs"], joined["gold"]
    if model.scale is None:
        prediction = log_probs.argmax(axis=-1)
        confidence = np.exp(log_probs.max(axis=-1, initial=-np.inf))
    else:  # a number has no probability
        prediction = model.scale.value(log_probs[:, 0].astype(np.float64))
        confidence = np.full(len(prediction), np.nan, dtype=np.float32)
        gold = np.where(gold == -100, np.nan, model.scale.value(gold.astype(np.float64)))
    if model.precision_chosen and np.isnan(log_probs).any():
        check_numbers(model)  # as when the precision was chosen
    return Trace(
        text=joined["text"],
        position=joined["position"],
        exit_layer=joined["exit_layer"],
        prediction=prediction,
        confidence=confidence,
        gold=gold,
        log_probs=log_probs,
        lengths=np.array([len(p.sentence.input_ids) for p in windows], dtype=np.int64),
        work=work,
        num_layers=model.backbone.num_layers,
    )
