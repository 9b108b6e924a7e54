"""What every exit says of every word when nobody halts: the table calibration searches."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tokenexit.context import ContextGate
from tokenexit.errors import UserError
from tokenexit.halting import encode, pack
from tokenexit.models.encoders.encoding import Piece
from tokenexit.models.encoders.run_compiled import exits_compiled
from tokenexit.models.encoders.vocabulary import check_pieces
from tokenexit.models.progress import tracked
from tokenexit.models.words.constrained import legal_decoder
from tokenexit.policies import Policy, State, index_state
from tokenexit.scores import log_probabilities
from tokenexit.signals import Signals

if TYPE_CHECKING:
    from tokenexit.models.encoders.encoder_model import EncoderModel


@dataclass(frozen=True, eq=False)
class ExitTable:
    """Scores of all exits for all words of all pieces, at full depth.

    Attributes:
        logits: ``[E, W, C]`` in float32, exits from the first, words by piece and position.
        gate: Of the exits below the top, ``[E - 1, W]``, or None.
        piece: Piece of each word, ``[W]``.
        position: Place of the word in its piece, ``[W]``.
        item_id: Vocabulary id of its first sub-word, ``[W]``.
        gold: As in a `Trace`, ``[W]``.
        text: Text of each word, ``[W]``.
        mine: Whether the piece answers for the word, ``[W]``.
        exit_layers: Depth of each exit.
        num_layers: Depth of the network.
        classes: Names of the classes.
        regression: Whether the one score of each exit is its answer, a deviation from the mean.
        legal: Whether labels are chosen as the BIO scheme allows, for each text as a whole.
        context: The model's context gate.
        hidden: States at the exits below the top, ``[E - 1, W, H]``, where that gate reads them.
    """

    logits: Tensor
    gate: Tensor | None
    piece: Tensor
    position: Tensor
    item_id: Tensor
    gold: Tensor
    text: np.ndarray
    mine: np.ndarray
    exit_layers: tuple[int, ...]
    num_layers: int
    classes: tuple[str, ...]
    regression: bool = False
    legal: bool = False
    context: ContextGate | None = None
    hidden: Tensor | None = None

    @cached_property
    def log_probs(self) -> Tensor:
        """Log-probabilities of the classes, ``[E, W, C]``."""
        return log_probabilities(self.logits)

    @property
    def known(self) -> np.ndarray:
        """Words with a gold class or value, ``[W]``."""
        gold = self.gold.numpy()
        return ~np.isnan(gold) if self.regression else gold != -100

    def said(self, logits: Tensor) -> np.ndarray:
        """What scores of all words say: their classes, or numbers, ``[..., W, C] -> [..., W]``."""
        if self.regression:
            return logits[..., 0].numpy()
        best = logits.argmax(dim=-1).numpy()
        if self.legal:
            scores = log_probabilities(logits[..., torch.from_numpy(self.mine), :]).numpy()
            rows = scores.reshape(-1, *scores.shape[-2:])
            decoder, text = legal_decoder(self.classes), self.text[self.mine]
            chosen = [decoder.all(row, text) for row in rows]
            best[..., self.mine] = np.array(chosen).reshape(scores.shape[:-1])
        return best

    def simulate(self, policy: Policy) -> tuple[np.ndarray, np.ndarray]:
        """Exit layers and predictions if halting changed nobody's states, ``[W]`` each.

        An approximation, for searching only: once neighbours halt, states differ.
        """
        num_words = self.logits.shape[1]
        words = torch.arange(num_words)
        state: State = policy.init(num_words)
        layers = np.full(num_words, self.exit_layers[-1])
        scores = self.logits[-1].clone()
        extent = int(self.position.max()) + 1 if num_words else 0
        pieces = int(self.piece.max()) + 1 if num_words else 0
        for number, layer in enumerate(self.exit_layers[:-1]):
            if len(words) == 0:
                break
            logits = self.logits[number][words]
            gate = None if self.gate is None else self.gate[number][words]
            halt, state = policy.step(
                Signals(
                    layer=layer,
                    num_layers=self.num_layers,
                    hidden=logits if self.hidden is None else self.hidden[number][words],
                    sequence=self.piece[words],
                    position=self.position[words],
                    item_id=self.item_id[words],
                    num_sequences=pieces,
                    extent=extent,
                    head=lambda _, logits=logits: logits,
                    gate_head=None if gate is None else lambda _, gate=gate: gate,
                    classes=self.classes,
                    target=self.gold[words],
                    previous=_not_kept if number else None,
                    context=self.context,
                ),
                state,
            )
            left = words[halt].numpy()
            layers[left] = layer
            scores[left] = logits[halt]
            state, words = index_state(state, ~halt), words[~halt]
        return layers, self.said(scores)


def _not_kept() -> Tensor:
    raise UserError(
        "This policy compares the states of successive exits, which the table of exits does not "
        "keep, so it cannot be calibrated for taggers. Give it a threshold and evaluate it."
    )


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
    model: EncoderModel, pieces: Sequence[Piece], batch_size: int, states: bool
) -> dict[str, list[Tensor]]:
    """What every exit says of each batch, by name."""
    check_pieces(model, pieces)
    backbone, heads = model.inference_backbone, model.inference_heads
    compiled = model.compiled(backbone)
    if compiled is not None:
        return exits_compiled(
            model, compiled, pieces, batch_size, lambda: _Collector(states), states
        )
    columns: dict[str, list[Tensor]] = {}
    for start in tracked(range(0, len(pieces), batch_size), "texts"):
        chunk = pieces[start : start + batch_size]
        batch = pack([piece.sentence for piece in chunk], model.device)
        collector = _Collector(states)
        encode(backbone, heads, batch, collector, classes=model.labels)
        number = torch.from_numpy(batch.order)[batch.word_sequence.cpu()] + start
        order = number.argsort(stable=True)
        gold = batch.word_target
        found = {
            "logits": torch.stack(collector.logits, dim=1)[order],
            "piece": number[order],
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
    model: EncoderModel,
    pieces: Sequence[Piece],
    batch_size: int = 32,
    states: bool | None = None,
) -> ExitTable:
    """Run pieces to full depth and keep what every exit said.

    The table is made of ordinary tensors, which may be changed and learned from.

    Args:
        model: The model.
        pieces: From its encoder.
        batch_size: Pieces a batch.
        states: Whether to keep states below the top; where the context gate reads them when None.
    """
    context = model.heads.context
    if states is None:
        states = context is not None and context.config.reads_states
    columns = _columns(model, pieces, batch_size, states)
    joined = {key: torch.cat(values) for key, values in columns.items()}
    piece = joined["piece"].numpy()
    first = np.array([p.first for p in pieces])
    keep = np.array([p.keep for p in pieces]).reshape(-1, 2)
    place = joined["position"].numpy() + first[piece]
    gate, gold, hidden = joined.get("gate"), joined["gold"], joined.get("hidden")
    if model.scale is not None:
        gold = gold.float().masked_fill(gold == -100, torch.nan)
    return ExitTable(
        logits=joined["logits"].transpose(0, 1).contiguous(),
        gate=None if gate is None else gate.transpose(0, 1).contiguous(),
        piece=joined["piece"],
        position=joined["position"],
        item_id=joined["item_id"],
        gold=gold,
        text=np.array([p.text for p in pieces])[piece],
        mine=(place >= keep[piece, 0]) & (place < keep[piece, 1]),
        exit_layers=model.settings.exit_layers,
        num_layers=model.backbone.num_layers,
        classes=model.labels,
        regression=model.scale is not None,
        legal=model.settings.decode == "legal",
        context=None if context is None else copy.deepcopy(context).cpu(),
        hidden=None if hidden is None else hidden.transpose(0, 1).contiguous(),
    )
