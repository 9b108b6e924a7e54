"""A model and texts, as calibration runs them: what differs between labels and generated texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.risk import Losses, Of
from tokenexit.evaluation.evaluate import Result
from tokenexit.guarantees.losses import Columns
from tokenexit.models.encoders.exit_table import ExitTable
from tokenexit.models.settings import task_of
from tokenexit.policies import Policy

Run = tuple[Result, Any]
"""Figures of a run, and its trace."""


class Workload(ABC):
    """A model and the texts of one split.

    Args:
        model: In the precision it is in.
        split: Texts.
        name: Name of the split.
        batch_size: Texts a batch.
    """

    simulated: ClassVar[bool]
    """Whether one full-depth pass foretells what settings give, so that ``table`` gives one."""

    def __init__(self, model: Any, split: Any, name: str, batch_size: int) -> None:
        self.model, self.split, self.name, self.batch_size = model, split, name, batch_size

    def on(self, split: Any) -> Self:
        """The same model on other texts."""
        return type(self)(self.model, split, self.name, self.batch_size)

    @property
    @abstractmethod
    def inputs(self) -> Sequence[Any]:
        """The texts as the model reads them."""

    @property
    @abstractmethod
    def labelled(self) -> bool:
        """Whether the texts come with right answers."""

    @property
    def kept(self) -> str | None:
        """What is promised where a share of quality is to be kept, such as ``f1 kept``."""
        settings = self.model.settings
        return task_of(settings).kept_by(settings.metric)

    @property
    @abstractmethod
    def usual(self) -> str:
        """What is minimised where the user does not say."""

    @abstractmethod
    def families(self, by_clock: bool) -> list[Policy]:
        """Policies that are searched when the user names none."""

    @abstractmethod
    def check(self, config: CalibrateConfig, families: Sequence[Policy], on_unknown: str) -> None:
        """Refuse what has no meaning for this model or these texts.

        Args:
            config: What is asked.
            families: Policies whose thresholds are turned.
            on_unknown: ``error`` or ``keep`` labels outside the training set, as wrong.
        """

    def check_texts(self) -> None:
        """Refuse texts of which nothing can be learned."""
        return

    @abstractmethod
    def trace(self, policy: Policy) -> Any:
        """Run a policy."""

    @abstractmethod
    def evaluate(self, policy: Policy, full: Run | None = None) -> Run:
        """Run a policy and measure it, against a run at full depth where there was one."""

    @abstractmethod
    def exits(self, trace: Any) -> Any:
        """Where the rows of a run left, as the clock wants it."""

    @abstractmethod
    def sure_share(self, trace: Any, full: Run, confidence: float) -> float:
        """Share of full-depth quality that a run keeps in so many resamples."""

    @abstractmethod
    def losses(self, trace: Any, full: Any, of: Of) -> Losses:
        """How much of each text differs between a run and full depth."""

    @abstractmethod
    def counted(self, trace: Any, full: Any) -> Columns:
        """What promises count of each text of a run, beside one at full depth."""

    @abstractmethod
    def answered(self) -> Self:
        """The texts with what full depth answers as right answers."""

    def table(self, gold: bool = False) -> ExitTable:
        """What every exit says of every row, in one full-depth pass.

        Args:
            gold: Whether to score it by right answers.
        """
        raise NotImplementedError(f"{type(self).__name__} is not simulated.")
