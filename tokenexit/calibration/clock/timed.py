"""A model as the clock sees it: batches that can be run, and what a run of them consists of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tokenexit.calibration.clock.counts import Counts
from tokenexit.policies import Policy

Exits = Any
"""Exit layers of the rows of some texts, in the form of the kind of model."""


class Timed(ABC):
    """A model with the texts that it is calibrated on, in batches of the size that will run.

    Attributes:
        batch_size: Texts a batch.
        exit_layers: Layers with an exit, the top included.
        num_layers: Depth.
        device: Where it runs.
    """

    batch_size: int
    exit_layers: tuple[int, ...]
    num_layers: int
    device: torch.device

    @abstractmethod
    def batches(self) -> list[Any]:
        """All texts, in their order."""

    @abstractmethod
    def probes(self) -> list[Any]:
        """Batches that are timed to learn what operations cost, from few rows to many."""

    @abstractmethod
    def run(self, batch: Any, policy: Policy) -> Any:
        """What is timed; tokenising is outside."""

    def probe(self, batch: Any, policy: Policy) -> Any:
        """The same or less, from which costs are learned as well."""
        return self.run(batch, policy)

    @abstractmethod
    def exits(self, done: Any) -> Exits:
        """Where the rows of a run left."""

    @abstractmethod
    def counts(self, batches: Sequence[Any], policy: Policy, exits: Exits) -> Counts:
        """What a run of batches under a policy consisted of, from where rows left.

        Args:
            batches: As ``batches`` gives them.
            policy: Who halted.
            exits: Of all their rows, in order.
        """

    @abstractmethod
    def scores(self, done: Any) -> bool:
        """Whether heads below the top scored rows that did not leave."""

    @abstractmethod
    def tokens(self, batch: Any) -> int:
        """Tokens of a batch."""

    def texts(self, batch: Any) -> int:
        """Texts of a batch."""
        return len(batch)


def sizes(batch_size: int) -> list[int]:
    """Numbers of texts to probe: 1, 2, 4, ... and the size of a batch."""
    powers = [2**n for n in range(batch_size.bit_length()) if 2**n < batch_size]
    return [*powers, batch_size]


def spread(count: int, wanted: int) -> list[int]:
    """As many of ``count`` places as wanted, evenly spaced; repeated where there are too few."""
    if wanted <= count:
        return np.linspace(0, count - 1, wanted).round().astype(int).tolist()
    return [place % count for place in range(wanted)]
