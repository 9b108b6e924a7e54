"""The check of an objective."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from tokenexit.halting import Sentence
from tokenexit.models.words.token_classification import ExitModelForTokenClassification
from tokenexit.objectives import OBJECTIVES, Objective, from_config
from tokenexit.testing.contract import Contract, require, require_raises
from tokenexit.testing.tagger import tiny_sentences, tiny_tagger
from tokenexit.training.batches import MicroBatch
from tokenexit.training.column import Column, counts
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.loss_module import Beside, Losses

MOMENTS = ((0, 0.0), (1, 0.3), (7, 0.9))
"""Steps and shares of the training at which losses are computed: whatever an objective
alternates or goes through stage by stage."""


@dataclass(frozen=True)
class ObjectiveCase:
    """An objective, and a tagger with the heads and the gate that it asks for."""

    objective: Objective

    @cached_property
    def tagger(self) -> ExitModelForTokenClassification:
        """A seeded tagger in double precision, without dropout, in training mode."""
        asks = self.objective.asks
        gate: Any = {"name": asks["gate"]} if "gate" in asks else "gate" in self.objective.trains
        scorers: Any = {"name": "mlp", "inner": 4, "bar": 0.5} if self.objective.scores else None
        selectors: Any = {"inner": 4, "blocks": 4} if self.objective.selects else None
        beside: Any = {"gate": gate, "scorers": scorers, "selectors": selectors}
        head = asks.get("head", "linear")
        return tiny_tagger(sharp=4.0, head=head, double=True, **beside).train()

    def sentences(self, count: int = 5) -> list[Sentence]:
        """Some with words that have no gold class."""
        return tiny_sentences(self.tagger, count, unlabelled=0.3)

    def teach(
        self, sentences: list[Sentence], step: int, progress: float, outer: bool = False
    ) -> Losses:
        """Losses of a batch; gradients are left in the tagger."""
        self.tagger.zero_grad(set_to_none=True)
        words = sum(target != -100 for s in sentences for target in s.targets or ())
        part = MicroBatch(sentences, list(range(len(sentences))), words)
        room = EncoderLossModule(self.tagger, self.objective)
        room.beside = self.beside(sentences)
        losses = room(part, step, progress, 0, outer)
        require(
            isinstance(losses.total, Tensor) and losses.total.shape == (),
            f"loss() is {_shape(losses.total)}, not a number: sum over the rows that arrived.",
        )
        if losses.total.requires_grad:
            losses.total.backward()
        return losses

    def beside(self, sentences: list[Sentence]) -> Beside:
        """The teacher and the columns that the objective asks for, made up."""
        teacher = None
        if self.objective.reads_teacher:
            other = tiny_tagger(seed=1, sharp=4.0, double=True).requires_grad_(False)
            teacher = EncoderLossModule(other, from_config("single")).eval()
        columns = {}
        for name, unit in self.objective.reads_columns.items():
            many = int(counts(unit, sentences).sum())
            columns[name] = Column(unit, torch.linspace(0, 1, many, dtype=torch.float64))
        return Beside(teacher, columns, sentences)

    def learned(self) -> dict[str, Tensor]:
        """Gradients other than zero, by name of the weight."""
        found = self.tagger.named_parameters()
        return {name: w.grad for name, w in found if w.grad is not None and w.grad.any()}


OBJECTIVE: Contract[ObjectiveCase] = Contract("objective")


def check_objective(objective: Objective | type[Objective] | str, **settings: Any) -> None:
    """Check that an objective keeps its promises, on a tiny tagger.

    Args:
        objective: An objective, or a registered class or its name.
        settings: Of the class, other than its defaults.

    Raises:
        AssertionError: It breaks one; the message says which, and how to mend it.
    """
    if isinstance(objective, str):
        objective = OBJECTIVES.get(objective)
    if isinstance(objective, type):
        objective = objective(**settings)
    OBJECTIVE.hold(ObjectiveCase(objective), repr(objective))


@OBJECTIVE.promise
def settings_round_trip(case: ObjectiveCase) -> None:
    """It is a value found by its name: its fields are its settings, and none can be set."""
    objective, cls = case.objective, type(case.objective)
    name = next((name for name, known in OBJECTIVES.items() if known is cls), None)
    require(name is not None, f'decorate it with @OBJECTIVES.register("{cls.__name__.lower()}").')
    require(cls.__doc__, "give the class a docstring.")
    values = {f.name: getattr(objective, f.name) for f in dataclasses.fields(objective)}
    again = from_config({"name": name, **values})
    require(again == objective, f"from its settings, {values}, one gets {again!r}.")
    for key, value in values.items():
        require_raises(
            dataclasses.FrozenInstanceError,
            lambda key=key, value=value: setattr(objective, key, value),
            f"the field {key} can be changed: decorate with @dataclass(frozen=True).",
        )


@OBJECTIVE.promise
def loss_is_a_number_that_teaches(case: ObjectiveCase) -> None:
    """At any step the loss is one finite number, from which some weight learns."""
    for outer in (False, True) if case.objective.upper_every else (False,):
        for step, progress in MOMENTS:
            losses = case.teach(case.sentences(), step, progress, outer)
            total = float(losses.total.detach())
            require(
                losses.total.isfinite(),
                f"at step {step} the loss is {total}: rows without a gold class have the target "
                "-100, which self.cross_entropy leaves out.",
            )
            require(case.learned(), f"at step {step} no weight has a gradient: detach less.")
            broken = [name for name, grad in case.learned().items() if not grad.isfinite().all()]
            require(not broken, f"at step {step} gradients of {broken} are not finite.")
            require(
                losses.by_layer,
                f"at step {step} nothing is logged: call self.note(signals) at each exit that "
                "learns, as self.cross_entropy does.",
            )


@OBJECTIVE.promise
def draws_come_from_the_occasion(case: ObjectiveCase) -> None:
    """The same batch at the same step has the same loss."""
    for step, progress in MOMENTS:
        first, second = (
            float(case.teach(case.sentences(), step, progress).total.detach()) for _ in range(2)
        )
        require(
            first == second,
            f"twice at step {step} the loss is {first} and {second}: draw with "
            "objectives.base.draw(occasion, count), and keep nothing between batches.",
        )


@OBJECTIVE.promise
def nothing_to_learn_is_nothing(case: ObjectiveCase) -> None:
    """Of sentences without gold classes the loss is finite; only if ``unlabelled`` it teaches."""
    idle = [sentence.unlabelled() for sentence in case.sentences()]
    for step, progress in MOMENTS:
        losses = case.teach(idle, step, progress)
        total = float(losses.total.detach())
        require(
            losses.total.isfinite(),
            f"at step {step} the loss of a batch without labels is {total}: divide by no number of "
            "labelled words; the loop divides the sum.",
        )
        counted = sum(int(count) for _, count in losses.by_layer.values())
        require(counted == 0, f"at step {step} it counts {counted} labelled words, and has none.")
        taught = sorted(case.learned())
        require(
            case.objective.unlabelled or not taught,
            f"at step {step} a batch without labels teaches {', '.join(taught[:3])}: leave out "
            "rows whose target is -100, or say unlabelled = True.",
        )


def _shape(value: Any) -> str:
    return f"a tensor of {list(value.shape)}" if isinstance(value, Tensor) else repr(value)
