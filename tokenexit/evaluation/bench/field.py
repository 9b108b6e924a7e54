"""Who takes part in a comparison, and what is told of them, for one kind of model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from tokenexit.evaluation.bench.contender import Answers, Contender, Missing
from tokenexit.evaluation.bench.peers import Peer
from tokenexit.evaluation.bench.race import Timed
from tokenexit.models.settings import task_of
from tokenexit.policies import Policy
from tokenexit.policies.never import Never

FULL, EARLY = "ours, full depth", "ours, policy"

Item = TypeVar("Item")


class Cost(NamedTuple):
    """What is counted, beside seconds.

    Attributes:
        macs: Multiply-accumulates of the plain model, ours at full depth and with the policy.
        mean_exit_layer: Average depth of a word, text or token with the policy.
        num_layers: The whole depth.
    """

    macs: tuple[float, float, float]
    mean_exit_layer: float
    num_layers: int


class Field(ABC, Generic[Item]):
    """Contenders on some texts.

    Args:
        model: With exits.
        texts: What is asked.
        policy: Who halts.
        batch_size: Texts a batch.

    Attributes:
        asked: What there has to be one of.
        turn: Texts at least that one computes before the next.
        network: The plain model's holder.
        items: Encoded texts.
    """

    asked: ClassVar[str] = "text"
    turn: ClassVar[int]
    network: Any
    items: Sequence[Item]

    def __init__(self, model: Any, texts: Sequence[Any], policy: Policy, batch_size: int) -> None:
        self.model, self.texts, self.policy, self.batch_size = model, texts, policy, batch_size
        self.task = task_of(model.settings)

    def own(self) -> list[Contender]:
        """The plain model, ours at full depth and ours with the policy: first and last two."""
        plain = [self.plain(by_length=False)]
        if self.batch_size > 1:  # one by one there is no padding to save
            plain.append(self.plain(by_length=True))
        return [*plain, self.ours(FULL, Never()), self.ours(EARLY, self.policy)]

    def more(self) -> list[Contender]:
        """Others of ours."""
        return []

    def told(self, more: Sequence[Timed | Missing], three: Sequence[Timed]) -> dict[str, Any]:
        """What else there is to tell.

        Args:
            more: Others of ours.
            three: The plain model, ours at full depth, ours with the policy.
        """
        return {}

    @property
    @abstractmethod
    def baseline(self) -> str:
        """What the times are compared with."""

    @abstractmethod
    def plain(self, by_length: bool) -> Contender:
        """The plain model, with padded batches in order or of like lengths."""

    @abstractmethod
    def ours(self, name: str, policy: Policy) -> Contender:
        """Ours with a policy."""

    @abstractmethod
    def peer(self, peer: Peer, precision: str, folder: Path) -> Contender:
        """The same model in another engine."""

    @abstractmethod
    def length(self, item: Item) -> int:
        """Tokens of a text."""

    @abstractmethod
    def compare(self, answers: Answers, plain: Answers) -> dict[str, Any]:
        """What a row says of answers, beside those of the plain model."""

    @abstractmethod
    def cost(self, deep: Timed, early: Timed) -> Cost:
        """What ours at full depth and ours with the policy took."""
