"""When to leave is a distribution over exits, trained into the network (Depth-Adaptive)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.errors import UserError, unknown_name
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.mixed_depth import MixedDepth, MixedLoss
from tokenexit.objectives.weights import layer_weights
from tokenexit.signals import Signals

ORACLES = ("likelihood", "correctness")
HALTING = ("geometric", "multinomial")
_SURE = 1e-6


@OBJECTIVES.register("exit_distribution")
@dataclass(frozen=True)
class ExitDistribution(Objective):
    """Depth-Adaptive Transformer (Elbayad et al. 2020): ``L_dec + share * CE(q*, q)``.

    ``L_dec`` is the exits' cross-entropy: *aligned*, at every exit of every word, or *mixed*,
    averaged over further passes in which each word leaves at a drawn exit and its state is copied.
    ``q`` says where a word leaves, and its loss reaches the network. *Geometric-like* (the "Poisson
    binomial" of drafts): at each exit the gate gives ``chi``, and
    ``q_n = chi_n prod_(m<n) (1 - chi_m)``; the top takes the rest. The gate's own number is
    ``1 - chi``, so that ``learned_gate`` asks it. *Multinomial*: the depth head at the first exit.

    The oracle ``q*`` is the one exit of the best ``LL_n - price n`` (``likelihood``) or
    ``[right_n] - price n`` (``correctness``), with ``n`` the number of the exit from 1, the lowest
    of equals. Both may be smoothed over neighbours: ``sum_t' exp(-|t - t'|^2 / sigma) LL_t'``.

    Args:
        share: Weight of the distribution's loss, 0 for the first steps of a training.
        oracle: ``likelihood`` or ``correctness``.
        price: ``lambda``, what a further exit has to gain, 0 or more.
        sigma: Width of the kernel over a text's words; 0 for no smoothing.
        halting: ``geometric`` or ``multinomial``, which needs a generator with ``depth``.
        mixed: Passes of drawn exits a step, ``M``; 0 for aligned training.

    Raises:
        UserError: A setting is unknown or out of range, or the model has no gate or depth head.
    """

    share: float = 0.1
    oracle: str = "likelihood"
    price: float = 0.1
    sigma: float = 0.0
    halting: str = "geometric"
    mixed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (("oracle", ORACLES), ("halting", HALTING)):
            if getattr(self, name) not in allowed:
                raise unknown_name(f"exit_distribution.{name}", getattr(self, name), allowed)
        for name in ("share", "price", "sigma", "mixed"):
            value = getattr(self, name)
            if isinstance(value, bool) or not value >= 0:
                raise UserError(f"exit_distribution.{name} must be 0 or more, not {value!r}.")

    @property
    def trains(self) -> tuple[str, ...]:  # type: ignore[override]
        """What says when to leave."""
        return ("gate",) if self.halting == "geometric" else ("depth",)

    def start(self, info: BatchInfo) -> BatchLoss:
        """Nobody halts in the pass that asks the oracle."""
        return _Distributed(self, info)


def geometric(chi: Tensor) -> Tensor:
    """Log-probabilities of leaving at each exit, ``[N, E + 1]``, the top last.

    Args:
        chi: Of leaving at each exit below the top, once there, ``[N, E]``.
    """
    sure = chi.clamp(_SURE, 1 - _SURE)
    stayed = F.pad((1 - sure).log().cumsum(dim=-1), (1, 0))
    return torch.cat([sure.log() + stayed[:, :-1], stayed[:, -1:]], dim=-1)


def chosen_exits(worth: Tensor, price: float) -> Tensor:
    """The oracle's exit of each word, numbers from 0, ``[N]``; the lowest of equals.

    Args:
        worth: Likelihood or correctness at each exit, ``[N, E]``.
        price: Of a further exit.
    """
    numbers = torch.arange(1, worth.shape[-1] + 1, device=worth.device)
    paid = worth - price * numbers
    return (paid == paid.max(dim=-1, keepdim=True).values).int().argmax(dim=-1)


def smoothed(worth: Tensor, text: Tensor, place: Tensor, sigma: float) -> Tensor:
    """Each word's worth with that of its neighbours, by a Gaussian kernel, ``[N, E]``.

    Args:
        worth: ``[N, E]``.
        text: Whose word it is, ``[N]``.
        place: Which, ``[N]``.
        sigma: Width; 0 for the word alone.
    """
    if not sigma:
        return worth
    near = (-(place[:, None] - place[None, :]).float().square() / sigma).exp()
    near = near.masked_fill(text[:, None] != text[None, :], 0.0)
    return near.to(worth.dtype) @ worth


class _Distributed(BatchLoss):
    def __init__(self, settings: ExitDistribution, info: BatchInfo) -> None:
        super().__init__()
        self._settings, self._info = settings, info
        self._weights = layer_weights("uniform", info.exit_layers)
        self._worth: list[Tensor] = []
        self._chi: list[Tensor] = []
        self._needed: Tensor | None = None

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        settings, top = self._settings, signals.layer == signals.num_layers
        if settings.mixed:
            self.note(signals)
        else:
            self.cross_entropy(signals, self._weights[signals.layer])
        known = signals.known
        if not settings.share:
            return None
        self._worth.append(self._worth_of(signals, known))
        if settings.halting == "geometric" and not top:
            self._chi.append(1 - signals.select(known).gate)
        elif settings.halting == "multinomial" and self._needed is None:
            self._needed = signals.select(known).depth
        if top:
            self._compare(signals, known)
        return None

    def _worth_of(self, signals: Signals, known: Tensor) -> Tensor:
        """What the oracle sees of an exit, ``[K]``."""
        assert signals.target is not None
        with torch.no_grad():
            logits, gold = signals.logits[known].float(), signals.target[known]
            if self._settings.oracle == "correctness":
                return (logits.argmax(dim=-1) == gold).float()
            return -F.cross_entropy(logits, gold, reduction="none")

    def _compare(self, signals: Signals, known: Tensor) -> None:
        settings = self._settings
        text, place = signals.sequence[known], signals.position[known]
        worth = smoothed(torch.stack(self._worth, dim=-1), text, place, settings.sigma)
        wanted = chosen_exits(worth, settings.price)
        if settings.halting == "geometric":
            said = geometric(torch.stack(self._chi, dim=-1)) if self._chi else worth[:, :1] * 0
        else:
            assert self._needed is not None
            exits = torch.tensor(self._info.exit_layers, device=wanted.device) - 1
            said = self._needed[:, exits].log_softmax(dim=-1)
        self.add(settings.share * F.nll_loss(said, wanted, reduction="sum"))

    def passes(self) -> Iterable[BatchLoss]:
        """Drawn exits, a pass each."""
        for number in range(self._settings.mixed):
            yield MixedLoss(MixedDepth(), self._info, number, 1 / self._settings.mixed)

    def loss(self) -> Tensor:
        """Nothing where only further passes teach."""
        if self.total is None:
            return next(iter(self.by_layer.values()))[0] * 0.0
        return super().loss()
