"""Halt at the depth that the first exit takes for the likeliest (Depth-Adaptive Transformer)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec
from tokenexit.policies.value import number
from tokenexit.signals import Signals


@POLICIES.register("likeliest_depth")
@dataclass(frozen=True)
class LikeliestDepth(Policy):
    """Halt at ``argmax_n (log q_n - price n)``, with ``q`` as the first exit predicts it.

    The multinomial halting of the Depth-Adaptive Transformer (Elbayad et al. 2020), which takes
    the likeliest layer: a price of 0. The price is ours, for more or less depth from one model. Of
    equal layers it is the lowest. No logits are read.

    Args:
        price: Of a layer, in natural logarithms of probability; below 0, depth is preferred.

    Raises:
        UserError: ``price`` is no number; when asked, the model has no such head.
    """

    in_words = "at the depth that the first exit expects, a layer costing {price}"

    price: float = number(0.0, -1e6, 1e6)
    own_threshold = ThresholdSpec("price", strict=-8.0, loose=8.0)
    units = ("token",)
    reads_logits = False

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Look up the layer that was chosen at the first exit.

        The state is None or, once chosen, the layer of each row, ``[N]``.
        """
        if state is None:
            layers = torch.arange(1, signals.depth.shape[-1] + 1, device=signals.depth.device)
            worth = signals.depth - self.price * layers
            best = worth.max(dim=-1, keepdim=True).values
            state = (worth == best).int().argmax(dim=-1) + 1
        assert isinstance(state, Tensor)
        return state <= signals.layer, state

    @classmethod
    def examples(cls) -> list[Self]:
        """As published, and a shallower one."""
        return [cls(), cls(1.0)]
