"""One batch through a network under an objective, as one module for Accelerate to wrap."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from tokenexit.gates import ExitGate
from tokenexit.halting import Fork, Skip, Visitor
from tokenexit.objectives import BatchInfo, BatchLoss, Objective
from tokenexit.objectives.equilibrium import balanced
from tokenexit.objectives.sub_network import SubNetwork
from tokenexit.objectives.teacher import Teacher
from tokenexit.reducers import Reducer
from tokenexit.training.batches import MicroBatch
from tokenexit.training.column import Column
from tokenexit.training.depth_loss import WithDepth
from tokenexit.training.freezing import learns
from tokenexit.training.gate_loss import WithGate
from tokenexit.training.hold import holds
from tokenexit.training.teacher import TeacherView


@dataclass
class Losses:
    """What one micro-batch gave.

    Attributes:
        total: To be minimised; a sum over words.
        by_layer: Sum of cross-entropy and number of labelled words at each exit that had a loss.
        guide: Part of ``total`` whose gradient the rest must not oppose, if there is one.
        unlabelled: Whether words without a gold class have a share in ``total``.
        by_pass: Loss of each further pass over the batch, summed over words.
    """

    total: Tensor
    by_layer: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    guide: Tensor | None = None
    unlabelled: bool = False
    by_pass: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class Laid:
    """A micro-batch as its network reads it.

    Attributes:
        batch: Packed or padded.
        num_words: Words, or target tokens, ``W``.
        texts: Place of each text in the step's whole batch, ``[S]``, on the host.
        word_text: Text of each word, ``[W]``, on the host.
        word_place: Place of each word in its text, likewise.
        numbers: Number of each text in the training split, ``[S]``, on the host.
        row_text: Text of each token row, ``[T]``, on the host.
    """

    batch: Any
    num_words: int
    texts: Tensor
    word_text: Tensor
    word_place: Tensor
    numbers: Tensor
    row_text: Tensor

    def places(self) -> dict[str, Tensor]:
        """Where its words and rows are, as ``BatchInfo`` calls it."""
        return {
            "sentence": self.texts,
            "word_sentence": self.word_text,
            "word_place": self.word_place,
            "row_sentence": self.row_text,
        }


@dataclass(frozen=True)
class Route:
    """How a batch goes through its network.

    Attributes:
        fork: Splits states between heads and network.
        skip: Texts that leave out a layer.
        compact: Whether words that halt leave.
        part: What it goes through; None for the model as it is used.
        states: If given, receives the states of all rows after each layer.
    """

    fork: Fork | None = None
    skip: Skip | None = None
    compact: bool = True
    part: SubNetwork | None = None
    states: list[Tensor] | None = None


WHOLE = Route()
"""All of the model, as it is used."""


@dataclass(frozen=True)
class Beside:
    """What a phase learns from beside its texts. No module: none of it is trained or saved.

    Attributes:
        teacher: Wraps the model that teaches, if there is one.
        columns: What was computed before.
        texts: The training texts that they are about.
    """

    teacher: LossModule | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    texts: Sequence[Any] = ()

    def of(self, laid: Laid, device: Any) -> dict[str, Tensor]:
        """The columns of a batch."""
        return {
            name: column.of(self.texts, laid.numbers).to(device)
            for name, column in self.columns.items()
        }


class LossModule(nn.Module):
    """Holds the model being trained; ``forward`` gives a loss. Subclasses run the network.

    Args:
        model: With exits.
        objective: How they are trained.
        gradient_equilibrium: Whether to balance the exits' gradients.
    """

    def __init__(
        self, model: Any, objective: Objective, gradient_equilibrium: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        self.learned = objective.learned(model.settings.exit_layers)
        self.objective = objective
        self.beside = Beside()
        self._balance = gradient_equilibrium

    @property
    @abstractmethod
    def classes(self) -> Sequence[str] | int:
        """Names of the classes, or how many there are where they have none."""

    @property
    @abstractmethod
    def gate(self) -> ExitGate | None:
        """A gate that is trained beside the objective."""

    @abstractmethod
    def lay(self, part: MicroBatch) -> Laid:
        """Make a micro-batch what the network reads."""

    @abstractmethod
    def run(self, laid: Laid, visitor: Visitor, route: Route = WHOLE) -> None:
        """Send a batch through, showing every exit to a visitor; see ``halting.encode``."""

    @property
    def lower(self) -> int:
        """Layers that embeddings stand for."""
        return 0

    @property
    def reducer(self) -> Reducer | None:
        """What takes rows out of texts, if anything."""
        return None

    def finish(self) -> None:
        """After the training: give the model the reducer that the objective has found."""
        found = self.objective.finished(self.learned, self.reducer)
        if found != self.reducer:
            self.model.use_reducer(found)

    def with_gate(self, loss: BatchLoss, gate: ExitGate, words: int) -> WithGate:
        """The gate's loss beside that of the objective."""
        return WithGate(loss, gate, words)

    def with_depth(self, visitor: Visitor, words: int) -> WithDepth | None:
        """The loss of a depth head beside that, if there is such a head."""
        return None

    def forward(
        self, part: MicroBatch, step: int, progress: float, seed: int, outer: bool = False
    ) -> Losses:
        """Loss of one micro-batch, summed over words or target tokens.

        Args:
            part: Its sentences or pairs.
            step: Optimiser step.
            progress: Share of the training that is done.
            seed: Seed of the run.
            outer: By what the objective's upper level is judged, instead of the loss.
        """
        model, laid = self.model, self.lay(part)
        exits, words = model.settings.exit_layers, laid.num_words
        info = BatchInfo(
            step,
            progress,
            seed,
            exits,
            words,
            learned=self.learned,
            device=model.device,
            **laid.places(),
            reducer=self.reducer,
            teacher=self._teacher(laid),
            lower=self.lower,
            columns=self.beside.of(laid, model.device),
        )
        loss = self.objective.begin(info, outer)
        gate = self.gate
        if gate is not None and (not learns(gate) or "gate" in self.objective.trains):
            gate = None
        gated = None if gate is None else self.with_gate(loss, gate, words)
        inner: Visitor = loss if gated is None else gated
        deep = self.with_depth(inner, words)
        self._pass(laid, loss, inner if deep is None else deep, gate)
        total = loss.loss()
        for beside in (gated, deep):
            total = total if beside is None else total + beside.loss()
        by_pass = []
        for further in loss.passes():
            further.label_smoothing = loss.label_smoothing
            self._pass(laid, further, further)
            by_pass.append(further.loss().detach())
            total = total + further.loss()
        return Losses(total, loss.by_layer, loss.guide, loss.unlabelled, by_pass)

    def _pass(
        self, laid: Laid, loss: BatchLoss, visitor: Visitor, gate: ExitGate | None = None
    ) -> None:
        model, exits = self.model, self.model.settings.exit_layers
        held = holds(loss, model.device, max(exits), self.classes, exits[:-1], gate=gate)
        fork = balanced(loss.fork, exits) if self._balance else loss.fork
        states: list[Tensor] | None = [] if self.objective.reads_states else None
        self.run(laid, visitor, Route(fork, loss.skip, not held, loss.part, states))
        if states is not None:
            loss.watch(states)

    def _teacher(self, laid: Laid) -> Teacher | None:
        teacher = self.beside.teacher
        if teacher is None:
            return None

        def run(visitor: Visitor, states: list[Tensor] | None) -> None:
            teacher.run(laid, visitor, Route(part=SubNetwork(), states=states))

        return TeacherView(run, self.objective.reads_states)
