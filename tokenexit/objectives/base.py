"""An objective: how are the exits trained?

An objective is an immutable value. For each batch it starts a *lesson*: a visitor of the
engine that may halt words, as inference would, and sums up a loss on the way.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.errors import UserError, unknown_name
from tokenexit.registry import Registry
from tokenexit.signals import Signals

OBJECTIVES: Registry[Objective] = Registry("objective", "tokenexit.objectives")


@dataclass(frozen=True)
class Occasion:
    """What an objective may know of the batch it starts on.

    Attributes:
        step: Optimiser step, from 0.
        progress: Share of the training that is done, 0 to 1.
        seed: Seed of the run.
        exit_layers: Depths with a head, the top included.
        num_words: Words in the batch.
        sentence: Place of each sentence in the step's whole batch over all processes and
            micro-batches, ``[S]``, so that draws do not depend on how it was cut.
    """

    step: int
    progress: float
    seed: int
    exit_layers: tuple[int, ...]
    num_words: int
    sentence: Tensor


class Lesson:
    """One batch under one objective: a visitor with a loss. Sums are over words.

    Attributes:
        label_smoothing: Of every cross-entropy; see ``Objective``.
        scored: Exits whose logits are wanted this step, None for all. Who teaches beside the
            lesson keeps to them: with a large vocabulary, scoring is what takes the time.
    """

    label_smoothing: float = 0.0
    scored: Collection[int] | None = None

    def __init__(self) -> None:
        self.total: Tensor | None = None
        self.by_layer: dict[int, tuple[Tensor, Tensor]] = {}

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Add this exit's loss; by default nobody halts."""
        raise NotImplementedError

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """Nothing to keep, by default."""

    def fork(self, layer: int, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """States for the head and for the next layer; the same, by default."""
        return hidden, hidden

    def skip(self, layer: int) -> Tensor | None:
        """Sentences that leave out a layer (from 1), ``[S]`` bool; nobody, by default."""
        return None

    def loss(self) -> Tensor:
        """The batch's loss, summed over its words."""
        assert self.total is not None, "no exit was reached"
        return self.total

    def add(self, loss: Tensor) -> None:
        """Add a term to the loss."""
        self.total = loss if self.total is None else self.total + loss

    def cross_entropy(self, signals: Signals, weight: float) -> None:
        """Add the weighted cross-entropy of the words that arrived.

        It is noted unweighted and unsmoothed, so that logs of different settings compare.
        """
        assert signals.target is not None
        logits, known = signals.logits.float(), signals.target != -100
        loss = F.cross_entropy(logits, signals.target, ignore_index=-100, reduction="sum")
        self.by_layer[signals.layer] = (loss.detach(), known.sum())
        if self.label_smoothing:
            even = logits.logsumexp(dim=-1) - logits.mean(dim=-1)
            even = even.masked_fill(~known, 0.0).sum()
            loss = (1 - self.label_smoothing) * loss + self.label_smoothing * even
        self.add(weight * loss)


@dataclass(frozen=True)
class Objective(ABC):
    """Starts a lesson for each batch. Subclasses are frozen, registered dataclasses.

    Args:
        label_smoothing: Share of every target that is spread evenly over all classes, from 0
            to below 1; ``train.label_smoothing`` sets it for whatever objective is used.
    """

    label_smoothing: float = field(default=0.0, kw_only=True)

    def begin(self, occasion: Occasion) -> Lesson:
        """``start``, with the settings that all objectives share."""
        lesson = self.start(occasion)
        lesson.label_smoothing = self.label_smoothing
        return lesson

    @abstractmethod
    def start(self, occasion: Occasion) -> Lesson:
        """The visitor for one batch."""


def from_config(config: Mapping[str, Any] | str) -> Objective:
    """Build an objective from ``{"name": "joint", "weights": "depth"}`` or a bare name.

    Raises:
        UserError: Unknown objective or setting, or a bad value.
    """
    if isinstance(config, str):
        config = {"name": config}
    if "name" not in config:
        raise UserError(f"An objective needs a 'name'; {dict(config)!r} has none.")
    cls = OBJECTIVES.get(str(config["name"]))
    settings = {key: value for key, value in config.items() if key != "name"}
    allowed = list(inspect.signature(cls).parameters)
    for key in settings:
        if key not in allowed:
            raise unknown_name(f"setting of objective {config['name']}", key, allowed)
    try:
        built = cls(**settings)
        check_smoothing(f"{config['name']}.label_smoothing", built.label_smoothing)
        return built
    except UserError:
        raise
    except (TypeError, ValueError) as error:
        raise UserError(
            f"Objective {config['name']!r} cannot be built from {settings}: {error}."
        ) from error


def check_smoothing(name: str, value: float) -> None:
    """Refuse label smoothing that leaves nothing of the target.

    Raises:
        UserError: ``value`` is not from 0 to below 1.
    """
    if not 0 <= value < 1:
        raise UserError(f"{name} must be from 0 to below 1, not {value!r}; 0.1 is usual.")


WEIGHTS = ("depth", "top", "uniform")
"""Rules for weighing the exits' losses, besides a number."""


def layer_weights(rule: str | float, exit_layers: tuple[int, ...]) -> dict[int, float]:
    """Weights of the exits' losses, adding up to 1.

    Args:
        rule: ``depth`` (in proportion to the layer, as PABEE and TOKEE), ``uniform``, or the
            share of the top, the rest going by depth: a number, or ``top`` for a half. The
            larger it is, the less the lower exits cost the top.
        exit_layers: Depths with a head.

    Raises:
        UserError: Unknown rule, or a share that is not between 0 and 1.
    """
    share = 0.5 if rule == "top" else rule
    if isinstance(share, str):
        if share not in WEIGHTS:
            raise unknown_name("rule for loss weights", share, WEIGHTS)
        raw = {layer: 1.0 if rule == "uniform" else float(layer) for layer in exit_layers}
        return {layer: weight / sum(raw.values()) for layer, weight in raw.items()}
    if isinstance(share, bool) or not 0 < share <= 1:
        raise UserError(f"The top's share of the loss must be above 0 and up to 1, not {rule!r}.")
    *lower, top = exit_layers
    shared = {layer: (1 - share) * layer / sum(lower) for layer in lower}
    return {**shared, top: share if lower else 1.0}


def draw(occasion: Occasion, count: int, salt: int = 0) -> Tensor:
    """Uniform numbers in 0..1 that depend on seed and step alone, ``[count]``."""
    generator = torch.Generator().manual_seed(
        (occasion.seed * 1_000_003 + occasion.step * 9_176 + salt) % (2**63 - 1)
    )
    return torch.rand(count, generator=generator)
