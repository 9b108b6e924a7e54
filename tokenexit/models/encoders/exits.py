"""Run texts to full depth and keep what every exit said: the table that calibration searches."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tokenexit.halting import encode, pack
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.encoders.exit_encoder import ExitEncoder
from tokenexit.models.encoders.exit_table import ExitTable
from tokenexit.models.encoders.run_compiled import exits_compiled
from tokenexit.models.encoders.vocabulary import check_windows
from tokenexit.models.progress import tracked
from tokenexit.signals import Signals


class _Collector:
    """A visitor that halts nobody and keeps every exit's scores, and its states if asked to."""

    def __init__(self, states: bool = False) -> None:
        self._states = states
        self.logits: list[Tensor] = []
        self.gates: list[Tensor] = []
        self.hidden: list[Tensor] = []

    def arrive(self, signals: Signals, words: Tensor) -> None:
        self.logits.append(signals.logits.float().cpu())
        if signals.gate_head is not None and signals.layer < signals.num_layers:
            self.gates.append(signals.gate.cpu())
        if self._states and signals.layer < signals.num_layers:
            self.hidden.append(signals.hidden.float().cpu())

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        pass


@torch.inference_mode()
def _columns(
    model: ExitEncoder, windows: Sequence[TextWindow], batch_size: int, states: bool
) -> dict[str, list[Tensor]]:
    """What every exit says of each batch, by name."""
    check_windows(model, windows)
    backbone, heads = model.inference_backbone, model.inference_heads
    compiled = model.compiled(backbone)
    if compiled is not None:
        return exits_compiled(
            model, compiled, windows, batch_size, lambda: _Collector(states), states
        )
    columns: dict[str, list[Tensor]] = {}
    for start in tracked(range(0, len(windows), batch_size), "texts"):
        chunk = windows[start : start + batch_size]
        batch = pack([window.sentence for window in chunk], model.device)
        collector = _Collector(states)
        encode(backbone, heads, batch, collector, classes=model.labels, reducer=model.reducer)
        number = torch.from_numpy(batch.order)[batch.word_sequence.cpu()] + start
        order = number.argsort(stable=True)
        gold = batch.word_target
        found = {
            "logits": torch.stack(collector.logits, dim=1)[order],
            "window": number[order],
            "position": batch.word_position.cpu()[order],
            "item_id": batch.word_item.cpu()[order],
            "gold": (torch.full_like(number, -100) if gold is None else gold.cpu())[order],
        }
        if collector.gates:
            found["gate"] = torch.stack(collector.gates, dim=1)[order]
        if collector.hidden:
            found["hidden"] = torch.stack(collector.hidden, dim=1)[order]
        for key, value in found.items():
            columns.setdefault(key, []).append(value)
    return columns


def collect_exits(
    model: ExitEncoder,
    windows: Sequence[TextWindow],
    batch_size: int = 32,
    states: bool | None = None,
) -> ExitTable:
    """Run windows to full depth and keep what every exit said.

    The table is made of ordinary tensors, which may be changed and learned from.

    Args:
        model: The model.
        windows: From its encoder.
        batch_size: Windows a batch.
        states: Whether to keep states below the top; where the context gate reads them when None.
    """
    context = model.heads.context
    if states is None:
        states = context is not None and context.config.reads_states
    columns = _columns(model, windows, batch_size, states)
    joined = {key: torch.cat(values) for key, values in columns.items()}
    window = joined["window"].numpy()
    first = np.array([p.first for p in windows])
    keep = np.array([p.keep for p in windows]).reshape(-1, 2)
    place = joined["position"].numpy() + first[window]
    gate, gold, hidden = joined.get("gate"), joined["gold"], joined.get("hidden")
    if model.scale is not None:
        gold = gold.float().masked_fill(gold == -100, torch.nan)
    return ExitTable(
        logits=joined["logits"].transpose(0, 1).contiguous(),
        gate=None if gate is None else gate.transpose(0, 1).contiguous(),
        window=joined["window"],
        position=joined["position"],
        item_id=joined["item_id"],
        gold=gold,
        text=np.array([p.text for p in windows])[window],
        mine=(place >= keep[window, 0]) & (place < keep[window, 1]),
        exit_layers=model.settings.exit_layers,
        num_layers=model.backbone.num_layers,
        classes=model.labels,
        regression=model.scale is not None,
        legal=model.settings.decode == "legal",
        context=None if context is None else copy.deepcopy(context).cpu(),
        hidden=None if hidden is None else hidden.transpose(0, 1).contiguous(),
    )
