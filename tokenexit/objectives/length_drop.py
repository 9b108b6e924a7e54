"""The full network and smaller ones that imitate it, in one step (Length-Adaptive Transformer)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from operator import mul

from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective, draw
from tokenexit.objectives.joint import JointLoss
from tokenexit.objectives.passes import DistilledPass, Taught
from tokenexit.objectives.sub_network import SubNetwork
from tokenexit.reducers import ReducerLike, from_config
from tokenexit.reducers.counts import Counted
from tokenexit.signals import Signals

_SALT = 2000


@OBJECTIVES.register("length_drop")
@dataclass(frozen=True)
class LengthDrop(Objective):
    """Length-Adaptive Transformer (Kim and Cho 2021): LengthDrop, LayerDrop, in-place distillation.

    Each step goes several times over its texts. The full network learns from the gold classes. The
    smallest keeps ``ratio`` of the rows of the layer before at every layer, the random ones a share
    that is drawn for each layer between ``ratio`` and 1, the same for all texts of the step; these
    learn from the logits of the full one alone, and each leaves layers out by chance. All weigh the
    same, together 1. Begin with a network that was fine-tuned. Only the top is trained.

    Published lengths are of padded texts, here of each text's own. The released code takes the
    divergence the other way round than is usual, and so does the default.

    Args:
        ratio: Of the smallest network, above 0 and below 1.
        random: Random networks a step, 0 or more.
        layer_drop: Chance of a layer to be left out of a smaller network, from 0 to below 1.
        reverse: Minimise ``KL(smaller || full)``, as released; else ``KL(full || smaller)``.
        reducer: Who chooses the rows: ``significance`` or ``core_set`` with their settings. Its
            numbers and shares are not used.

    Raises:
        UserError: A setting is unknown or out of range.
    """

    ratio: float = 0.8
    random: int = 2
    layer_drop: float = 0.2
    reverse: bool = True
    reducer: ReducerLike = "significance"
    regression = True
    reduces = True

    def __post_init__(self) -> None:
        if not 0 < self.ratio < 1:
            raise UserError(f"length_drop.ratio must be between 0 and 1, not {self.ratio!r}.")
        if type(self.random) is not int or not 0 <= self.random <= 16:
            raise UserError(
                f"length_drop.random must be a whole number from 0 to 16, not {self.random!r}; "
                "each is one more pass over the texts of every step."
            )
        if not 0 <= self.layer_drop < 1:
            raise UserError(
                f"length_drop.layer_drop must be from 0 to below 1, not {self.layer_drop!r}."
            )
        reducer = from_config(self.reducer)
        if not isinstance(reducer, Counted):
            raise UserError(
                "length_drop.reducer must be one that keeps so many rows at each layer, such as "
                f"significance or core_set, not {reducer!r}."
            )
        object.__setattr__(self, "reducer", replace(reducer, ratio=1.0, counts=(), shares=()))  # type: ignore[type-var]

    def start(self, info: BatchInfo) -> BatchLoss:
        """The full network; the others follow."""
        return _Full(self, info)

    def smaller(self, info: BatchInfo) -> Iterator[SubNetwork]:
        """The smallest network and the random ones of a step."""
        depth = info.exit_layers[-1]
        reducer = from_config(self.reducer)
        assert isinstance(reducer, Counted)
        draws = draw(info, (1 + self.random) * 2 * depth, _SALT).view(-1, 2, depth).tolist()
        for number, (chances, places) in enumerate(draws):
            without = frozenset(n for n, u in enumerate(chances, 1) if u < self.layer_drop)
            here = tuple(n for n in reducer.layers or range(1, depth + 1) if n not in without)
            given = {"ratio": self.ratio} if number == 0 else {"shares": self._drawn(places, here)}
            fewer = replace(reducer, layers=here, **given) if here else None  # type: ignore[type-var]
            yield SubNetwork(fewer, without=without)

    def _drawn(self, places: list[float], here: tuple[int, ...]) -> tuple[float, ...]:
        """Shares of a text after each layer, for numbers from 0 to 1."""
        numbered = enumerate(places, 1)
        shares = (self.ratio + u * (1 - self.ratio) if n in here else 1.0 for n, u in numbered)
        return tuple(accumulate(shares, mul))


class _Full(JointLoss):
    part = SubNetwork()

    def __init__(self, settings: LengthDrop, info: BatchInfo) -> None:
        self._share = 1 / (2 + settings.random)
        super().__init__({info.exit_layers[-1]: self._share})
        self._settings, self._info, self._top = settings, info, Taught()

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        if signals.layer == signals.num_layers:
            self._top.keep(signals, words, self._info.num_words)
        return super().arrive(signals, words)

    def passes(self) -> Iterator[BatchLoss]:
        for part in self._settings.smaller(self._info):
            yield DistilledPass(self._top, part, self._share, self._settings.reverse)
