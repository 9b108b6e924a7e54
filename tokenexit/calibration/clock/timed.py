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


TURN = 16
"""Texts that are run together at least, as in a bench: nobody calls a model for one."""


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
    def probes(self) -> list[list[Any]]:
        """Batches that are run together to learn what operations cost, from few rows to many."""

    @abstractmethod
    def run(self, batches: Sequence[Any], policy: Policy) -> Any:
        """What is timed, in one call as far as one serves; tokenising is outside."""

    def probe(self, batches: Sequence[Any], policy: Policy) -> Any:
        """The same or less, from which costs are learned as well."""
        return self.run(batches, policy)

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


def repeated(size: int) -> int:
    """Batches of a size that are run together, so that what is timed takes its time."""
    return -(-TURN // size)


def sizes(batch_size: int) -> list[int]:
    """Numbers of texts to probe: 1, 2, 4, ... and the size of a batch."""
    powers = [2**n for n in range(batch_size.bit_length()) if 2**n < batch_size]
    return [*powers, batch_size]


def spread(lengths: Sequence[int], wanted: int) -> list[int]:
    """As many places as wanted, of texts of all lengths but the outermost ones.

    Args:
        lengths: Of the texts.
        wanted: How many; some come twice where there are too few.
    """
    order = np.argsort(lengths, kind="stable")
    among = (np.arange(wanted) + 0.5) / wanted * len(lengths)
    # A few steps through all lengths, so that every stretch of them has short and long ones.
    stride = next((n for n in (7, 11, 13, 17) if wanted % n), 1)
    return order[among.astype(int)][np.arange(wanted) * stride % wanted].tolist()
