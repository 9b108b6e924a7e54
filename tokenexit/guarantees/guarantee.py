"""A guarantee: a promise about texts not yet seen, as a value and as a line of text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

from tokenexit.errors import UserError, unknown_name
from tokenexit.guarantees.bounds import BOUNDS
from tokenexit.guarantees.losses import LOSSES, Loss

USUAL_DELTA = 0.1
"""Probability with which a promise may be broken where nothing is said."""

_FORM = re.compile(
    r"(?:every\s+(?P<every>\S+)\s+)?(?P<loss>[A-Za-z][\w ]*?)\s*(?P<sign><=|>=)\s*"
    r"(?P<number>[-+.\de]+)(?:\s+(?:with\s+(?P<sure>[-+.\de]+)\s*%|(?P<average>on average)))?"
    r"(?:\s+by\s+(?P<bound>[a-z][-\w ]*?))?\s*"
)
_EXAMPLES = '"f1 kept >= 0.99 with 90%", "differs <= 0.05 with 95%", "layers saved >= 1.5"'


@dataclass(frozen=True)
class Guarantee:
    """What a policy may cost on texts drawn like those it is tested on.

    Attributes:
        loss: Phrase of a member of ``LOSSES``.
        allowed: Its number.
        delta: Probability, over the draw of the texts, that a broken promise passes; None for a
            promise that holds on average over draws.
        every: ``class``, or ``length:0-10,11-``, or the name of a column: each group of texts is
            promised the same. No ``delta`` is divided: a setting passes where all groups do, so
            that the first one that breaks a promise must fool that promise's own test.
        bound: Name of the bound it is tested by; the sharpest when None.
    """

    loss: str
    allowed: float
    delta: float | None = USUAL_DELTA
    every: str | None = None
    bound: str | None = None

    def __post_init__(self) -> None:
        LOSSES.get(self.loss)().check(self.allowed)
        if self.bound is not None:
            BOUNDS.get(self.bound)
            if self.delta is None:
                raise UserError("A promise on average is tested by no bound; leave out the bound.")
        if self.delta is not None and not 0 < self.delta < 1:
            raise UserError(
                f"A promise holds with more than 0% and less than 100%, not with "
                f"{100 * (1 - self.delta):.10g}%."
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one promise, as ``str`` writes it.

        Raises:
            UserError: It is none; says what one looks like, or which losses there are.
        """
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise UserError(f"{text!r} is no promise; these are: {_EXAMPLES}.")
        loss, allowed = _named(" ".join(found["loss"].split())), _number(found["number"], text)
        wanted = ">=" if loss.at_least else "<="
        if found["sign"] != wanted:
            raise UserError(f"The promise {loss.name!r} is written with {wanted}: {text!r}.")
        if found["average"]:
            return cls(loss.name, allowed, None, found["every"], found["bound"])
        delta = USUAL_DELTA
        if found["sure"]:
            delta = round(1 - _number(found["sure"], text) / 100, 12)
        return cls(loss.name, allowed, delta, found["every"], found["bound"])

    def __str__(self) -> str:
        every = f"every {self.every} " if self.every else ""
        sure = "on average" if self.delta is None else f"with {100 * (1 - self.delta):.10g}%"
        sign = ">=" if self.kind.at_least else "<="
        by = f" by {self.bound}" if self.bound else ""
        return f"{every}{self.loss} {sign} {self.allowed:.10g} {sure}{by}"

    @property
    def kind(self) -> Loss:
        """What is lost."""
        return LOSSES.get(self.loss)()

    @property
    def sentence(self) -> str:
        """In words, the same wherever it is told."""
        return self.told()

    def told(self, unit: str = "texts") -> str:
        """The same where documents count.

        Args:
            unit: What was tested, ``texts`` or ``documents``.
        """
        each = ""
        if self.every is not None:
            name, _, spans = self.every.partition(":")
            each = f"of every {name}: "
            if spans:
                each = f"of every {name} of {spans.replace(',', ', ')}: "
        sure = "on average over calibrations"
        if self.delta is not None:
            sure = f"with {100 * (1 - self.delta):.10g}% probability"
        mean = "" if unit == "texts" else f", {unit} counting alike, each by the mean of its texts"
        return f"{each}{self.kind.words(self.allowed)}{mean}, {sure}"

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        told = {
            "loss": self.loss, "allowed": self.allowed, "delta": self.delta, "every": self.every,
        }  # fmt: skip
        return told if self.bound is None else {**told, "bound": self.bound}


def parse(text: str) -> tuple[Guarantee, ...]:
    """Read promises joined by ``and``, all of which have to hold.

    Raises:
        UserError: One of them is none, or two are about the same.
    """
    found = tuple(Guarantee.parse(part) for part in re.split(r"\s+and\s+", text.strip()))
    named = [(one.loss, one.every) for one in found]
    for name in named:
        if named.count(name) > 1:
            raise UserError(f"Two promises are about {name[0]!r}; give the stricter one alone.")
    return found


def _named(phrase: str) -> Loss:
    names = [name for name, _ in LOSSES.items()]
    if phrase.lower().startswith("bleu"):
        raise UserError(
            "BLEU is no mean over texts, so that nothing bounds it on texts not yet seen; promise "
            f"'chrf {phrase[5:] or 'loss'}' or 'sentence bleu {phrase[5:] or 'loss'}' instead."
        )
    known = {name.lower(): name for name in names}
    if phrase.lower() not in known:
        raise unknown_name("promise", phrase, names)
    return LOSSES.get(known[phrase.lower()])()


def _number(text: str, promise: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{text!r} in {promise!r} is no number.") from None
