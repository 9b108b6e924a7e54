"""Every token leaves at an exit drawn by lot (Depth-Adaptive Transformer, mixed training)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective, draw
from tokenexit.objectives.settings import choice, exit_weights
from tokenexit.objectives.weights import layer_weights
from tokenexit.signals import Signals
from tokenexit.transfer import send

UNITS = ("sequence", "token")
_SALT = 2000
_APART = 1_000_003  # draws of a step, each of which takes a salt a sentence


@OBJECTIVES.register("mixed_depth")
@dataclass(frozen=True)
class MixedDepth(Objective):
    """Depth-Adaptive Transformer (Elbayad et al. 2020, arXiv 1910.10073), mixed training.

    Each token leaves at an exit drawn anew every step, whatever the model thinks, and its loss
    is the cross-entropy there; tokens that go deeper read its copied state, as in generation. A
    token is scored once, so a step costs less than joint training. The exits' losses weigh what
    they are drawn with, so the expected weights are those of ``joint``.

    The paper averages over ``M`` drawn sequences of exits a step; one is drawn here, and a
    larger batch does the rest. It found *aligned* training better (validation BLEU on IWSLT
    De-En, exits drawn uniformly when decoding: 35.5 against 34.1, 35.1 and 35.3 with M = 1, 3,
    6): that is ``joint`` with ``weights: uniform``. The halting losses that go with either are
    not part of this, and there is no official code to compare with. ``halt_and_copy`` is the
    relative that halts where a policy would.

    In the log, ``reached`` is the share of words that left at each exit.

    Args:
        per: ``token``, or ``sequence`` to let all words of one sentence leave at one exit, where
            nobody reads a copied state.
        weights: Chances of the exits: ``uniform``, as published, ``depth``, ``top``, or the
            share of the top.

    Raises:
        UserError: A setting is unknown or out of range.
    """

    per: str = choice("token", UNITS)
    weights: str | float = exit_weights("uniform")

    def start(self, info: BatchInfo) -> BatchLoss:
        """Exits are drawn by the place of a sentence in the step, and of a word in it."""
        return MixedLoss(self, info)


class MixedLoss(BatchLoss):
    """Words leave at drawn exits.

    Args:
        settings: How exits are drawn.
        info: The batch.
        number: Of several draws of a step.
        weight: Of the loss.
    """

    def __init__(
        self, settings: MixedDepth, info: BatchInfo, number: int = 0, weight: float = 1.0
    ) -> None:
        super().__init__()
        self._settings, self._occasion = settings, info
        self._salt, self._weight = _SALT + number * _APART, weight
        self._leaves: Tensor | None = None

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Score the words that leave."""
        if self._leaves is None:
            self._leaves = self._exits_of_words(signals)
        # Drawn on the host, which so need not ask who has left.
        leaving = self._leaves == signals.layer
        self._leaves = self._leaves[~leaving]
        rows = send([leaving.nonzero().squeeze(-1)], signals.hidden.device)[0]
        # Also where nobody leaves, so that the same weights are reached however a step is cut.
        self.cross_entropy(signals.select(rows), self._weight)
        return leaving

    def _exits_of_words(self, signals: Signals) -> Tensor:
        """Exit layer of each word, ``[W]``."""
        sentence, place = self._occasion.word_sentence, self._occasion.word_place
        if sentence is None or place is None:
            sentence, place = signals.sequence.cpu(), signals.position.cpu()
        return self._draw(signals.extent)[sentence, place]

    def _draw(self, extent: int) -> Tensor:
        """Exit layer of every place of every sentence, ``[S, extent]``."""
        info, places = self._occasion, self._occasion.sentence.tolist()
        if self._settings.per == "token":
            lots = torch.stack([draw(info, extent, self._salt + place) for place in places])
        else:
            lots = draw(info, max(places) + 1, self._salt)[places][:, None]
        chances = layer_weights(self._settings.weights, info.exit_layers)
        bounds = torch.tensor(list(accumulate(chances.values()))[:-1], dtype=lots.dtype)
        layers = torch.tensor(list(chances))
        return layers[torch.bucketize(lots, bounds, right=True)].expand(-1, extent)
