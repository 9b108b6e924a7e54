"""Settings of a context gate: what it looks at, and how it is fitted."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from tokenexit.config.limits import about, check_limits
from tokenexit.context.config import AROUND, OF_STATES, OF_TEXTS, OWN, GateConfig
from tokenexit.context.learn import FitOptions
from tokenexit.errors import UserError, unknown_name


def _rounds(default: int) -> int:
    told = "1 on full-depth states; each more on states drawn with exits on"
    return field(default=default, metadata=about(told, low=1))


def _epochs(default: int) -> int:
    return field(default=default, metadata=about("times it sees every row", low=1))


@dataclass(frozen=True)
class ContextGateConfig:
    """A context gate, fitted after training to what the exits say of training texts."""

    fit: bool = field(default=False, metadata=about("fit a gate for the policy context_gate"))
    target: str = field(
        default="agreement",
        metadata=about(
            "what it is taught: agreement with the top, right or mended by gold, or cost"
        ),
    )
    features: list[str] = field(
        default_factory=lambda: [*OWN], metadata=about("numbers of a row that it reads")
    )
    neighbours: list[str] = field(
        default_factory=lambda: [*AROUND], metadata=about("those it reads of its neighbours")
    )
    reach: int = field(default=1, metadata=about("neighbours on either side", low=0, high=16))
    history: int = field(default=2, metadata=about("earlier exits remembered", low=1, high=16))
    projection: int = field(
        default=0, metadata=about("numbers of a state, for the feature projection", low=0, high=256)
    )
    inner: int = field(
        default=32, metadata=about("units of its hidden layer; 0 for a linear gate", low=0)
    )
    shared: bool = field(default=False, metadata=about("one gate for all exits"))
    rounds: int = _rounds(2)
    epochs: int = _epochs(12)
    dropout: float = field(
        default=0.2,
        metadata=about(
            "share of its numbers hidden at random while its units are fitted", low=0, below=1
        ),
    )
    limit: int | None = field(
        default=20_000,
        metadata=about("training texts at most, drawn at random; all when empty", low=1),
    )

    def __post_init__(self) -> None:
        check_limits(self, "context_gate.")

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Self:
        """From settings by name.

        Raises:
            UserError: There is no such setting, or it has no such value.
        """
        allowed = [one.name for one in fields(cls) if one.name != "fit"]
        for name in settings:
            if name not in allowed:
                raise unknown_name("setting of a context gate", name, allowed)
        return cls(fit=True, **settings)

    def looking(
        self,
        exits: Sequence[int],
        num_classes: int,
        unit: str,
        fingerprint: Mapping[str, Any],
        classes: tuple[str, ...] = (),
    ) -> GateConfig:
        """What a gate looks at that is fitted so.

        Args:
            exits: Layers with an exit, the top's last.
            num_classes: Of the exits, or words of the vocabulary.
            unit: Kind of the rows.
            fingerprint: Of the heads.
            classes: Their names, where they have names.

        Raises:
            UserError: A bad setting, or there is no exit below the top.
        """
        if len(exits) < 2:
            raise UserError("The model has no exit below the top, so there is nothing to judge.")
        return GateConfig(
            exits=tuple(exits[:-1]),
            num_layers=exits[-1],
            num_classes=num_classes,
            classes=classes,
            unit=unit,
            fingerprint=fingerprint,
            **self._asked(),
        )

    def _asked(self) -> dict[str, Any]:
        """What a gate's own configuration has as well."""
        both = {field.name for field in fields(GateConfig)} & vars(self).keys()
        told = {name: getattr(self, name) for name in both}
        return {name: tuple(v) if isinstance(v, list) else v for name, v in told.items()}

    def chosen(self, count: int, seed: int) -> list[int]:
        """Which of ``count`` texts it is fitted on, in order: all, or ``limit`` drawn at random."""
        if self.limit is None or count <= self.limit:
            return list(range(count))
        return sorted(random.Random(seed).sample(range(count), self.limit))

    def fit_options(self, seed: int) -> FitOptions:
        """How it is fitted."""
        return FitOptions(epochs=self.epochs, dropout=self.dropout, seed=seed)


@dataclass(frozen=True)
class TextGateConfig(ContextGateConfig):
    """A context gate of a text classifier: few rows, without neighbours."""

    target: str = field(
        default="mended",
        metadata=about("what it is taught: mended or right by gold, or agreement with the top"),
    )
    features: list[str] = field(
        default_factory=lambda: [*OF_TEXTS], metadata=about("numbers of a text that it reads")
    )
    neighbours: list[str] = field(
        default_factory=list, metadata=about("none: a text leaves as a whole")
    )
    reach: int = field(default=0, metadata=about("0: there are no neighbours", low=0, high=16))
    rounds: int = field(default=1, metadata=about("1: states are the same whoever has left", low=1))
    dropout: float = field(
        default=0.0,
        metadata=about(
            "share of its numbers hidden at random while its units are fitted", low=0, below=1
        ),
    )


@dataclass(frozen=True)
class StepGateConfig(ContextGateConfig):
    """A context gate of a generator, fitted to the states of texts that it wrote itself."""

    target: str = field(default="agreement", metadata=about("what it is taught: agreement"))
    features: list[str] = field(
        default_factory=lambda: [*OF_STATES],
        metadata=about("numbers of a state that it reads; none that scores the vocabulary"),
    )
    neighbours: list[str] = field(
        default_factory=list, metadata=about("none: what came before is in the state")
    )
    reach: int = field(
        default=0,
        metadata=about("last tokens, for last_depths and last_doubts", low=0, high=16),
    )
    rounds: int = _rounds(1)
    epochs: int = _epochs(24)
    noise: float = field(
        default=0.15,
        metadata=about(
            "share of tokens replaced in a second copy of the sources, against trusting texts "
            "that were trained on; 0: no copy",
            low=0,
            below=1,
        ),
    )
    limit: int | None = field(
        default=5_000,
        metadata=about("different sources at most, drawn at random; all when empty", low=1),
    )
