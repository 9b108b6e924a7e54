"""What every exit says of every word when nobody halts, and who would leave under a policy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from tokenexit.context import ContextGate
from tokenexit.errors import UserError
from tokenexit.models.words.constrained import legal_decoder
from tokenexit.policies import Policy, State, index_state
from tokenexit.scores import log_probabilities
from tokenexit.signals import Signals


@dataclass(frozen=True, eq=False)
class ExitTable:
    """Scores of all exits for all words of all windows, at full depth.

    Attributes:
        logits: ``[E, W, C]`` in float32, exits from the first, words by window and position.
        gate: Of the exits below the top, ``[E - 1, W]``, or None.
        window: Window of each word, ``[W]``.
        position: Place of the word in its window, ``[W]``.
        item_id: Vocabulary id of its first sub-word, ``[W]``.
        gold: As in a `Trace`, ``[W]``.
        text: Text of each word, ``[W]``.
        mine: Whether the window answers for the word, ``[W]``.
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
    window: Tensor
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

    def log_probs_at(self, layers: np.ndarray) -> np.ndarray:
        """Log-probabilities at the exit of each word, ``[W] -> [W, C]``."""
        exits = torch.from_numpy(np.searchsorted(self.exit_layers, layers))
        return self.log_probs[exits, torch.arange(len(layers))].numpy()

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
        windows = int(self.window.max()) + 1 if num_words else 0
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
                    sequence=self.window[words],
                    position=self.position[words],
                    item_id=self.item_id[words],
                    num_sequences=windows,
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
