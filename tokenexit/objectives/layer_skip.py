"""Layers dropped at random, and a few exits scored a step (LayerSkip)."""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1, log

from torch import Tensor

from tokenexit.errors import UserError, unknown_name
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective, draw
from tokenexit.objectives.joint import JointLoss, check_count, sample_exits
from tokenexit.transfer import send

CURRICULA = ("all", "gradual", "rotate")
_SALT = 1000


@OBJECTIVES.register("layer_skip")
@dataclass(frozen=True)
class LayerSkip(Objective):
    """LayerSkip (Elhoushi et al. 2024, arXiv 2404.16710): layer dropout and an early-exit loss.

    Each sentence leaves out layer ``l = 0 .. L-1`` with probability
    ``dropout * (exp(l ln 2 / (L-1)) - 1)``: never the first, ``dropout`` at the top. Exits weigh
    ``scale * l(l+1)/2``, the top ``L + scale * L(L-1)/2`` with ``l`` from 1, then all those of
    the step are divided by their sum.

    Settings for fine-tuning were ``dropout=0.1 scale=1`` rotating every 16th of 32 layers (code)
    and ``dropout=0.2 scale=1`` gradual (TOPv2); for continued pre-training ``dropout=0.1
    scale=0.2`` every 8th. These and the top's weight are from memory and could not be verified.
    The paper counts ``l`` from 0, which leaves the first exit untrained; like torchtune's
    ``sum_l`` we count from 1. Only decoders of language models were trained so: here an
    encoder-decoder's encoder keeps all its layers, and a tagger's encoder drops them.

    Args:
        dropout: Rate of the topmost layer, from 0 to below 1.
        scale: Weight of the exits below the top, above 0.
        curriculum: Which exits a step scores besides the top. ``rotate``: every ``every``-th,
            by turns. ``gradual``: from the top down, one layer more each ``1/(2L)`` of the
            training, all in its second half. ``all``.
        every: Distance of rotating exits; None for half of them, which is two a step or so.
        sampled: Score at most so many of those, see ``joint``.
        from_scratch: Let ``dropout`` grow from nothing, by ``exp(t ln 2) - 1`` for the share
            ``t`` of the training that is done, as published for pre-training.

    Raises:
        UserError: A setting is unknown or out of range.
    """

    dropout: float = 0.1
    scale: float = 1.0
    curriculum: str = "rotate"
    every: int | None = None
    sampled: int | None = None
    from_scratch: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise UserError(
                f"layer_skip.dropout must be from 0 to below 1, not {self.dropout!r}; "
                "0.1 and 0.2 are published."
            )
        if not self.scale > 0:
            raise UserError(
                f"layer_skip.scale must be above 0, not {self.scale!r}; the objective 'single' "
                "trains the top alone."
            )
        if self.curriculum not in CURRICULA:
            raise unknown_name("layer_skip.curriculum", self.curriculum, CURRICULA)
        check_count("layer_skip.every", self.every)
        check_count("layer_skip.sampled", self.sampled)
        if self.every is not None and self.curriculum != "rotate":
            raise UserError(
                f"layer_skip.every={self.every} goes with curriculum='rotate', not "
                f"{self.curriculum!r}: leave one of them out."
            )

    def rates(self, num_layers: int, progress: float) -> list[float]:
        """Chance of each layer to be left out, lowest first."""
        grown = expm1(progress * log(2)) if self.from_scratch else 1.0
        steps = max(num_layers - 1, 1)
        return [grown * self.dropout * expm1(i * log(2) / steps) for i in range(num_layers)]

    def weights(self, info: BatchInfo) -> dict[int, float]:
        """Weights of the exits that the curriculum has at this step, adding up to 1."""
        *lower, top = info.exit_layers
        if self.curriculum == "rotate":
            every = self.every or max((len(lower) + 1) // 2, 1)
            lower = lower[info.step % every :: every]
        elif self.curriculum == "gradual":
            lower = [layer for layer in lower if info.progress >= (top - layer) / (2 * top)]
        raw = {layer: self.scale * layer * (layer + 1) / 2 for layer in lower}
        raw[top] = top + self.scale * top * (top - 1) / 2
        return {layer: weight / sum(raw.values()) for layer, weight in raw.items()}

    def start(self, info: BatchInfo) -> BatchLoss:
        """Draw who leaves out what, by the place of each sentence in the step."""
        places = info.sentence
        count = int(places.max()) + 1
        rates = self.rates(info.exit_layers[-1], info.progress)
        left_out = {
            layer: draw(info, count, _SALT + layer)[places] < rate
            for layer, rate in enumerate(rates, start=1)
            if rate > 0
        }
        sent = send([*left_out.values()], info.device)
        skips = dict(zip(left_out, sent, strict=True))
        return _LayerSkipLoss(sample_exits(self.weights(info), info, self.sampled), skips)


class _LayerSkipLoss(JointLoss):
    def __init__(self, weights: dict[int, float], skips: dict[int, Tensor]) -> None:
        super().__init__(weights)
        self.score_few()
        self._skips = skips

    def skip(self, layer: int) -> Tensor | None:
        return self._skips.get(layer)
