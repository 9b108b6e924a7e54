"""Depths of tokens beforehand: how deep a network must be to guess each when it is masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModel

from tokenexit.errors import UserError
from tokenexit.halting import Sentence, Visitor, encode, pack
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.encoders.masked_model import MaskedModel, load_masked
from tokenexit.models.folders import load_network
from tokenexit.reducers.reconstruction import Reconstruction, least_cost
from tokenexit.signals import Signals

BATCH = 64


class _Losses:
    """Loss of each masked token at each exit."""

    def __init__(self) -> None:
        self.by_exit: list[Tensor] = []

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Add what an exit says; nobody halts."""
        assert signals.target is not None
        logits = signals.logits.float()
        self.by_exit.append(F.cross_entropy(logits, signals.target, reduction="none"))
        return None

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """Nothing to keep."""


def reconstruction_losses(
    model: MaskedModel, sentence: Sentence, mask_id: int, special: frozenset[int], every: int
) -> tuple[list[int], Tensor]:
    """Loss of each token but special ones, when it is masked, at each exit.

    Args:
        model: In evaluation mode.
        sentence: A text as it is read.
        mask_id: Of the mask.
        special: Tokens that are not guessed.
        every: Tokens masked at once are so far apart.

    Returns:
        Places of the tokens, and their losses, ``[N, E]``.
    """
    ids = list(sentence.input_ids)
    places = [place for place, token in enumerate(ids) if token not in special]
    copies = []
    for start in range(min(every, len(places))):
        chosen = places[start::every]
        masked = [mask_id if place in chosen else token for place, token in enumerate(ids)]
        gold = [ids[place] for place in chosen]
        copies.append(Sentence(masked, [[p] for p in chosen], gold, sentence.segments))
    order = [place for start in range(len(copies)) for place in places[start::every]]
    found: list[Tensor] = []
    for start in range(0, len(copies), BATCH):
        told: Any = _Losses()
        visitor: Visitor = told
        encode(
            model.backbone, model.heads, pack(copies[start : start + BATCH], model.device), visitor
        )
        found.append(torch.stack(told.by_exit, dim=1))
    exits = len(model.settings.exit_layers)
    return order, torch.cat(found) if found else torch.zeros(0, exits, device=model.device)


class DepthEstimator:
    """Gives sentences their depths.

    Args:
        reducer: Says which network guesses, and at what price.
        tokenizer: Of the model whose rows are computed no further.
        num_layers: Its depth.

    Raises:
        UserError: There is no such network, or another tokenizer or depth.
    """

    def __init__(self, reducer: Reconstruction, tokenizer: Any, num_layers: int) -> None:
        if not reducer.model:
            raise UserError(
                "The reducer reconstruction wants the folder of a network with heads for masked "
                'tokens, which `tokenexit pretrain` writes: {"name": "reconstruction", "model": '
                '"runs/elastic"}.'
            )
        network = load_network(reducer.model, AutoModel, dtype=torch.float32)
        self._model = load_masked(network, tokenizer, reducer.model).eval()
        depth = self._model.backbone.num_layers
        if depth != num_layers:
            raise UserError(
                f"{reducer.model} has {depth} layers, and the model whose depths it would say has "
                f"{num_layers}: start from the same network."
            )
        self._reducer, self._mask = reducer, int(tokenizer.mask_token_id)
        self._special, self._depth = frozenset(tokenizer.all_special_ids), depth

    @torch.no_grad()
    def depths(self, sentence: Sentence) -> list[int]:
        """Of each row; that of the network for special tokens."""
        told = self._mask, self._special, self._reducer.every
        places, losses = reconstruction_losses(self._model, sentence, *told)
        layers = torch.tensor(self._model.settings.exit_layers, device=losses.device)
        found = [self._depth] * sentence.length
        cheapest = least_cost(losses, layers, self._reducer.price).tolist()
        for place, depth in zip(places, cheapest, strict=True):
            found[place] = depth
        return found

    def estimate(self, windows: Sequence[TextWindow]) -> list[TextWindow]:
        """Windows with depths."""
        return [
            replace(one, sentence=replace(one.sentence, depths=self.depths(one.sentence)))
            for one in windows
        ]
