"""An objective: how are the exits trained?

An objective is an immutable value. For each batch it starts a ``BatchLoss``: a visitor of
the engine that may halt words, as inference would, and sums up a loss on the way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.errors import UserError
from tokenexit.objectives.info import BatchInfo
from tokenexit.objectives.settings import CHECK
from tokenexit.objectives.sub_network import SubNetwork
from tokenexit.objectives.weights import layer_weights as _layer_weights
from tokenexit.policies import Policy
from tokenexit.reducers import Reducer
from tokenexit.registry import Registry, settings_of
from tokenexit.renamed import renamed
from tokenexit.signals import Signals

OBJECTIVES: Registry[Objective] = Registry("objective", "tokenexit.objectives")


class BatchLoss:
    """One batch under one objective: a visitor with a loss. Sums are over words.

    Attributes:
        label_smoothing: Of every cross-entropy; see ``Objective``.
        scored: Exits whose logits are wanted this step, None for all. Who teaches beside the
            loss keeps to them: with a large vocabulary, scoring is what takes the time.
        guide: Part of the loss whose gradient the rest must not oppose, summed over words; see
            ``training.projection``. None where all parts are equals.
        unlabelled: Whether words without a gold class teach in this step, too.
        deciding: A policy that says who halts; None where nobody does, or the host knows without
            asking. Words that some policies halt can be held in place, see ``training.hold``.
        part: What of the network the pass goes through; None for the model as it is used.
    """

    label_smoothing: float = 0.0
    scored: Collection[int] | None = None
    guide: Tensor | None = None
    unlabelled: bool = False
    deciding: Policy | None = None
    part: SubNetwork | None = None

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

    def passes(self) -> Iterable[BatchLoss]:
        """Further passes of the step over the same batch, each with its own loss; none by default.

        Each is run before the next one is asked for, and this one before all of them. All losses
        are added up, and gradients go back once: memory is that of all passes together, for which
        ``train.accumulation`` makes room. How many there are depends on the step alone.
        """
        return ()

    def watch(self, states: Sequence[Tensor]) -> None:
        """See all rows after each layer, ``[T, H]``, where ``Objective.reads_states``."""

    def loss(self) -> Tensor:
        """The batch's loss, summed over its words."""
        assert self.total is not None, "no exit was reached"
        return self.total

    def add(self, loss: Tensor) -> None:
        """Add a term to the loss."""
        self.total = loss if self.total is None else self.total + loss

    def cross_entropy(self, signals: Signals, weight: float | Tensor) -> Tensor:
        """Add the weighted cross-entropy of the words that arrived.

        It is noted unweighted and unsmoothed, so that logs of different settings compare.

        Returns:
            What was added.
        """
        loss = self.note(signals)
        if self.label_smoothing:  # never of a regression, see check_regression
            assert signals.target is not None
            logits, known = signals.logits.float(), signals.target != -100
            even = logits.logsumexp(dim=-1) - logits.mean(dim=-1)
            even = even.masked_fill(~known, 0.0).sum()
            loss = (1 - self.label_smoothing) * loss + self.label_smoothing * even
        self.add(weight * loss)
        return weight * loss

    def note(self, signals: Signals) -> Tensor:
        """Log the cross-entropy of the words that arrived without learning from it.

        Where targets are numbers, it is the squared error of the one score instead.

        Returns:
            The cross-entropy, summed.
        """
        assert signals.target is not None
        logits, known = signals.logits.float(), signals.target != -100
        if signals.target.is_floating_point():
            rows = signals.known
            told, gold = logits[:, 0].index_select(0, rows), signals.target.index_select(0, rows)
            loss = F.mse_loss(told, gold, reduction="sum")
        else:
            loss = F.cross_entropy(logits, signals.target, ignore_index=-100, reduction="sum")
        self.by_layer[signals.layer] = (loss.detach(), known.sum())
        return loss


@dataclass(frozen=True)
class Objective(ABC):
    """Starts a ``BatchLoss`` for each batch. Subclasses are frozen, registered dataclasses.

    Args:
        label_smoothing: Share of every target that is spread evenly over all classes, from 0
            to below 1; ``train.label_smoothing`` sets it for whatever objective is used.
    """

    label_smoothing: float = field(default=0.0, kw_only=True)

    unlabelled: ClassVar[bool] = False
    """Whether words without a gold class teach anything, in some step."""

    regression: ClassVar[bool] = False
    """Whether it serves regressions: all that it asks of an exit is ``cross_entropy``."""

    staged: ClassVar[bool] = False
    """Whether exits learn on when the top is done, so that it does not tell the best weights."""

    own_heads: ClassVar[bool] = False
    """Whether exits that share the top's head, as those of text generators, would spoil it."""

    asks: ClassVar[Mapping[str, str]] = {}
    """Kinds of ``head`` and ``gate`` that it trains, where it trains no other; encoders only."""

    projects: ClassVar[bool] = False
    """Whether its losses have a ``guide``."""

    reduces: ClassVar[bool] = False
    """Whether it has passes with a reducer, weights or widths, which text generators have not."""

    scores: ClassVar[bool] = False
    """Whether it trains scorers of rows, and needs some."""

    selects: ClassVar[bool] = False
    """Whether it trains selectors of heads and neurons, and needs some."""

    bars: ClassVar[bool] = False
    """Whether it trains bars of scorers, and needs some."""

    upper_every: ClassVar[int] = 0
    """Steps between those on the upper level, see ``training.bilevel``; 0 for no such level."""

    trains: ClassVar[tuple[str, ...]] = ()
    """Of ``gate`` and ``depth``, what it trains itself; the model has to have it."""

    reads_states: ClassVar[bool] = False
    """Whether its losses ``watch`` all rows after each layer; a teacher's can then be read, too."""

    reads_teacher: ClassVar[bool] = False
    """Whether it learns from ``BatchInfo.teacher``, and not without."""

    reads_columns: ClassVar[Mapping[str, str]] = {}
    """Columns that it needs, each with its unit: ``text``, ``word`` or ``row``."""

    def __post_init__(self) -> None:
        for one in fields(self):
            if CHECK in one.metadata:
                name = f"{OBJECTIVES.name_of(type(self))}.{one.name}"
                one.metadata[CHECK](name, getattr(self, one.name))

    def learned(self, exit_layers: tuple[int, ...]) -> nn.Module | None:
        """Parameters of the objective's own, such as weights of the exits; none by default."""
        return None

    def stepped(self, learned: nn.Module | None) -> None:  # noqa: B027 - most have no bounds
        """Called after each update, to bring what ``learned`` gave back into its bounds."""

    def finished(self, learned: nn.Module | None, reducer: Reducer | None) -> Reducer | None:
        """What the model takes rows out with after the training; as it is, by default.

        Args:
            learned: What ``learned`` gave, trained.
            reducer: What takes them out now.
        """
        return reducer

    def outer(self, info: BatchInfo) -> BatchLoss:
        """By what the upper level is judged; as ``start`` by default."""
        return self.start(info)

    def begin(self, info: BatchInfo, outer: bool = False) -> BatchLoss:
        """``start`` or ``outer``, with the settings that all objectives share."""
        loss = self.outer(info) if outer else self.start(info)
        loss.label_smoothing = self.label_smoothing
        return loss

    @abstractmethod
    def start(self, info: BatchInfo) -> BatchLoss:
        """The visitor for one batch."""


KEYS = {"head": "heads.name", "gate": "heads.gate.name"}


def check_heads(objective: Objective, heads: Mapping[str, Any] | None) -> None:
    """Refuse heads that an objective cannot train, and those that only another one can.

    Args:
        objective: With or without wishes.
        heads: As ``heads`` of a model; None for a generator, whose exits share one head.

    Raises:
        UserError: Says which heads it needs, or which objective the heads need.
    """
    if heads is None:
        if objective.asks or objective.own_heads:
            raise UserError(
                f"The objective {OBJECTIVES.name_of(type(objective))} trains heads or gates of "
                "their own, which text generators do not have; it serves taggers and text "
                "classifiers."
            )
        if objective.reduces:
            raise UserError(
                f"The objective {OBJECTIVES.name_of(type(objective))} takes out or weighs rows of "
                "texts, which text generators have not; it serves taggers and text classifiers."
            )
        return
    scorers = heads.get("scorers") or {}
    if (objective.scores and not scorers) or (objective.bars and not scorers.get("bar")):
        what = "bars of scorers" if objective.bars else "scorers of rows"
        wanted = '{"name": "mlp", "bar": 0.25}' if objective.bars else '{"name": "mlp"}'
        raise UserError(
            f"The objective {OBJECTIVES.name_of(type(objective))} trains {what}, and the model has "
            f"none: set heads.scorers={wanted}."
        )
    if objective.selects and not heads.get("selectors"):
        raise UserError(
            f"The objective {OBJECTIVES.name_of(type(objective))} trains selectors of heads and "
            "neurons, and the model has none: set heads.selectors=true."
        )
    given = {"head": heads.get("name", "linear"), "gate": heads.get("gate")}
    for kind, found in given.items():
        found = found.get("name") if isinstance(found, Mapping) else found
        key, wanted = KEYS[kind], objective.asks.get(kind, found)
        if found != wanted:
            raise UserError(
                f"The objective {OBJECTIVES.name_of(type(objective))} needs {key}={wanted}, and "
                f"the model has {found!r}."
            )
        teachers = [name for name, cls in OBJECTIVES.items() if cls.asks.get(kind) == found]
        if found is not None and teachers and kind not in objective.asks:
            raise UserError(
                f"{key}={found} learns from the objective {' or '.join(teachers)} alone: set "
                f"train.objective.name={teachers[0]}, or choose another {kind}."
            )


def check_regression(objective: Objective) -> None:
    """Refuse an objective that cannot train exits to predict numbers.

    Raises:
        UserError: Names those that can.
    """
    if objective.label_smoothing:
        raise UserError("label_smoothing spreads targets over classes; a regression has none.")
    if not objective.regression:
        serving = ", ".join(name for name, cls in OBJECTIVES.items() if cls.regression)
        raise UserError(
            f"The objective {OBJECTIVES.name_of(type(objective))} compares probabilities of "
            f"classes, which a regression has not; give train.objective.name one of {serving}."
        )


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
    settings = settings_of(config, cls, "objective")
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


def draw(info: BatchInfo, count: int, salt: int = 0) -> Tensor:
    """Uniform numbers in 0..1 that depend on seed and step alone, ``[count]``."""
    generator = torch.Generator().manual_seed(
        (info.seed * 1_000_003 + info.step * 9_176 + salt) % (2**63 - 1)
    )
    return torch.rand(count, generator=generator)


_FORMER = {"Lesson": BatchLoss, "Occasion": BatchInfo, "layer_weights": _layer_weights}


def __getattr__(name: str) -> Any:
    return renamed(__name__, name, _FORMER)
