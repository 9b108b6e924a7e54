"""What evaluation and calibration ask of a model that labels words or texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from tokenexit.halting import Halted, Trace
from tokenexit.models.encoders.exits import ExitTable
from tokenexit.models.settings import ExitSettings
from tokenexit.policies import Policy


class Labeller(Protocol):
    """One network with exits, or several networks of which one is the last.

    Attributes:
        settings: What is saved with the model.
        uniform_depth: Whether one step of depth costs as much as another, so that depth tells
            the cost.
    """

    settings: ExitSettings
    uniform_depth: ClassVar[bool]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    @property
    def policy(self) -> Policy:
        """The policy used when none is given."""
        ...

    @property
    def precision(self) -> str:
        """What inference computes with."""
        ...

    @property
    def products(self) -> str:
        """By what: kernels, with their instruction set, or torch."""
        ...

    @property
    def runtime_used(self) -> str:
        """Who plans it."""
        ...

    def tag(
        self,
        texts: Sequence[Sequence[str]],
        targets: Sequence[Sequence[int]] | None = None,
        *,
        policy: Policy | Mapping[str, Any] | str | None = None,
        batch_size: int = 32,
        halted: Halted | None = None,
        decode: str | None = None,
    ) -> Trace:
        """Label texts and tell what happened to each."""
        ...

    def exit_table(
        self,
        texts: Sequence[Sequence[str]],
        targets: Sequence[Sequence[int]] | None = None,
        batch_size: int = 32,
    ) -> ExitTable:
        """What every exit says when nobody halts."""
        ...

    def mac_ratio(self, trace: Trace) -> float:
        """Multiply-accumulates of a run, over those of the plain model on the same texts."""
        ...
