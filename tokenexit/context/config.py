"""What a context gate looks at, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from tokenexit.context.features import FEATURES, Feature, Shape
from tokenexit.context.targets import TARGETS
from tokenexit.errors import UserError, unknown_name
from tokenexit.units import LEVEL_OF, UNIT_OF

OWN = (
    "entropy", "log_entropy", "margin", "log_probabilities",
    "earlier_entropy", "earlier_margin", "agreement", "earlier_log_probability",
)  # fmt: skip
"""Features of a row itself, where exits have a few classes."""

OF_TEXTS = tuple(name for name in OWN if name != "log_probabilities")
"""Features of a whole text: there are few to fit a gate on, and often many classes."""

OF_STATES = ("state", "change", "likeness", "place")
"""Features of a row that cost no head, where there are as many classes as words."""

AROUND = ("entropy", "margin", "probabilities")
"""Features of its neighbours."""

UNITS = ("word", "token", "text")
"""Kinds of rows: words, generated tokens, whole texts."""

MOST = {"reach": 16, "history": 16, "inner": 1024, "projection": 256}


@dataclass(frozen=True)
class GateConfig:
    """What a gate looks at, and whose it is.

    Attributes:
        exits: Layers below the top with an exit.
        num_layers: Depth of the network.
        num_classes: Of the exits, or words of the vocabulary.
        classes: Their names, where they have names.
        unit: Kind of the rows: ``word``, ``token`` or ``text``.
        features: Names of the features of a row.
        neighbours: Names of those that are known of its neighbours.
        reach: Neighbours on either side; steps before. 0 for none.
        history: Earlier exits that a row remembers.
        projection: Numbers of a state, for the feature of that name.
        inner: Units of the gate's one hidden layer; 0 for a linear gate.
        shared: Whether one gate serves all exits.
        target: What it was taught, for the record.
        fingerprint: Of the heads it was fitted to; see ``fingerprint``.
    """

    exits: tuple[int, ...]
    num_layers: int
    num_classes: int
    classes: tuple[str, ...] = ()
    unit: str = "word"
    features: tuple[str, ...] = OWN
    neighbours: tuple[str, ...] = AROUND
    reach: int = 1
    history: int = 2
    projection: int = 0
    inner: int = 32
    shared: bool = False
    target: str = "agreement"
    fingerprint: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("exits", "classes", "features", "neighbours"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise UserError(f"A context gate's {name} must be a list, not {value!r}.")
            object.__setattr__(self, name, tuple(value))
        if self.unit not in UNITS:
            raise unknown_name("unit of a context gate", self.unit, UNITS)
        for name, most in MOST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
                raise UserError(
                    f"A context gate's {name} must be a whole number from 0 to {most}, not "
                    f"{value!r}."
                )
        TARGETS.get(self.target)
        self._check_features()

    def _check_features(self) -> None:
        if not self.features:
            raise UserError("A context gate needs at least one feature, such as margin.")
        for name in (*self.features, *self.neighbours):
            FEATURES.get(name)
        for name in self.neighbours:
            if FEATURES.get(name).remembers:
                raise UserError(
                    f"The feature {name!r} looks at earlier exits, and of neighbours only what "
                    "they last said is known: take it out of neighbours."
                )
        if any(FEATURES.get(name).of_steps for name in self.neighbours):
            raise UserError("What is known of the steps before are features, not neighbours.")
        before = [name for name in self.features if FEATURES.get(name).of_steps]
        if before and self.unit != "token":
            raise UserError(
                f"The feature {before[0]!r} looks at the tokens that were written before; "
                f"{self.unit}s are not written one after the other."
            )
        if before and not self.reach:
            raise UserError(f"The feature {before[0]!r} needs reach=4, say: how many steps before.")
        if "projection" in (*self.features, *self.neighbours) and not self.projection:
            raise UserError("The feature 'projection' needs projection=16, say: how many numbers.")

    def shape(self, width: int = 0) -> Shape:
        """How many numbers features give, of states ``[N, width]``."""
        return Shape(
            self.num_classes,
            self.history,
            self.projection,
            self.exits,
            self.num_layers,
            width,
            self.reach,
        )

    def build(self, names: Sequence[str], width: int = 0) -> list[Feature]:
        """Features by name."""
        return [FEATURES.get(name)(self.shape(width)) for name in names]

    @property
    def reads_states(self) -> bool:
        """Whether states have to be kept for whoever fits the gate."""
        return any(FEATURES.get(n).reads_states for n in (*self.features, *self.neighbours))

    @property
    def around(self) -> bool:
        """Whether it looks at neighbours: words of a text have some."""
        return self.reach > 0 and self.unit == "word"

    @property
    def steps(self) -> int:
        """Steps before that it looks at."""
        seen = any(FEATURES.get(name).of_steps for name in self.features)
        return self.reach if seen else 0

    def to_json(self) -> dict[str, Any]:
        """As plain data; the unit by its name of before, which earlier versions read."""
        data = {**asdict(self), "unit": LEVEL_OF[self.unit]}
        return {"level" if key == "unit" else key: value for key, value in data.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From plain data; entries it does not know are passed over.

        Raises:
            UserError: Something is missing or of another kind.
        """
        known = {one.name for one in fields(cls)}
        if "level" in data:
            data = {**data, "unit": UNIT_OF.get(str(data["level"]), data["level"])}
        try:
            return cls(**{key: value for key, value in data.items() if key in known})
        except TypeError as error:
            raise UserError(f"The settings of the context gate are incomplete: {error}.") from error
