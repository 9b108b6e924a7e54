"""The check of a promise, something that calibration is asked to keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tokenexit.errors import UserError
from tokenexit.promises import PROMISES, Promise, Seen
from tokenexit.promises.base import number
from tokenexit.testing.contract import Contract, require, require_raises

STRICT = Seen(
    texts=400, kept=1.0, saved=1.0, changed=0.0, words=0.0, ms=9.0,
    figures={"texts_changed": 0.0, "words_changed": 0.0, "agreement_exact": 1.0},
)  # fmt: skip
LOOSE = Seen(
    texts=400, kept=0.5, saved=4.0, changed=0.75, words=0.375, ms=3.0,
    figures={"texts_changed": 0.75, "words_changed": 0.375, "agreement_exact": 0.25},
)  # fmt: skip
"""A run in which nobody leaves early, and one in which nearly everybody does at once."""

NUMBERS = (0.25, 0.5, 0.75, 2.0, 3.0)
"""What is asked where the caller names nothing: those of them that the promise allows."""


@dataclass(frozen=True)
class PromiseCase:
    """A promise, numbers to ask of it, and runs: a strict and a loose one."""

    name: str
    promise: Promise
    asked: tuple[float, ...]
    runs: tuple[Seen, Seen]

    def target(self, asked: float) -> MappingProxyType[str, Any]:
        """What was asked, as ``calibration.json`` holds it, to be read only."""
        return MappingProxyType({self.name: asked, "confidence": 0.95})

    def found(self) -> Iterator[tuple[Seen, float]]:
        """Each run with what the promise measures of it."""
        for seen in self.runs:
            value = self.promise.measured(seen)
            require(
                number(value) is not None,
                f"of {seen} measured() gives {value!r}, not a number; where that run lacks what it "
                "reads, give two that have it: check_promise(..., runs=(strict, loose)).",
            )
            assert value is not None
            yield seen, value


PROMISE: Contract[PromiseCase] = Contract("promise")


def check_promise(
    promise: str | type[Promise], *asked: float, runs: tuple[Seen, Seen] = (STRICT, LOOSE)
) -> None:
    """Check that a promise can be kept, searched and worded.

    Args:
        promise: A registered class or its name.
        asked: Numbers that can be asked; some usual ones when none.
        runs: What is measured where nobody leaves early, and where nearly everybody does.

    Raises:
        AssertionError: It breaks one of what all of its kind hold to; the message says which,
            and how to mend it.
    """
    name = promise if isinstance(promise, str) else PROMISES.name_of(promise)
    cls = PROMISES.get(name)
    of = cls()
    case = PromiseCase(name, of, asked or tuple(filter(of_allowing(of), NUMBERS)), runs)
    PROMISE.hold(case, f"{cls.__name__}({name!r})")


def of_allowing(promise: Promise) -> Any:
    """Whether a number can be asked of a promise, as a function."""

    def allows(asked: float) -> bool:
        try:
            promise.check(asked)
        except UserError:
            return False
        return True

    return allows


@PROMISE.promise
def is_a_value(case: PromiseCase) -> None:
    """It has a docstring and a place, and keeps nothing."""
    require(type(case.promise).__doc__, "give the class a docstring.")
    require(not vars(case.promise), f"it holds {vars(case.promise)}: a promise has no state.")
    place = case.promise.place
    require(isinstance(place, int), f"place is {place!r}, not a whole number.")


@PROMISE.promise
def refuses_what_is_no_number(case: PromiseCase) -> None:
    """``check`` lets numbers pass that can be promised, and no others."""
    require(
        case.asked,
        f"check() lets none of {NUMBERS} pass; name some: check_promise(..., 12.0).",
    )
    for asked in case.asked:
        case.promise.check(asked)
    for asked in (float("nan"), float("inf"), float("-inf")):
        require_raises(
            UserError,
            lambda asked=asked: case.promise.check(asked),
            f"check() lets {asked} pass: raise UserError, or leave it to Promise.check.",
        )


@PROMISE.promise
def nobody_knows_what_was_not_measured(case: PromiseCase) -> None:
    """Of a run without figures it measures, judges and says nothing."""
    promise, nothing = case.promise, Seen()
    found = promise.measured(nothing)
    require(found is None, f"of a run without figures measured() gives {found!r}, not None.")
    for asked in case.asked:
        kept = promise.keeps(asked, nothing)
        require(kept is None, f"of a run without figures keeps() gives {kept!r}, not None.")
        told = promise.verdict(case.target(asked), nothing, past=False)
        require(told == "", f"of a run without figures verdict() says {told!r}, not nothing.")
    require(promise.grounds({}) == [], "of an empty calibration grounds() says something.")


@PROMISE.promise
def is_kept_on_one_side(case: PromiseCase) -> None:
    """It is kept exactly at what was asked, and on the side that ``at_least`` says."""
    for seen, value in case.found():
        for by in (-0.125, 0.0, 0.125):
            wanted = by <= 0 if case.promise.at_least else by >= 0
            kept = case.promise.keeps(value + by, seen)
            require(
                kept is wanted,
                f"a run with {value:g} and {value + by:g} asked: keeps() gives {kept!r}, and "
                f"at_least = {case.promise.at_least} means {wanted}.",
            )


@PROMISE.promise
def says_which_settings_keep_it(case: PromiseCase) -> None:
    """``strict_first`` says whether it is the strict run or the loose one that keeps it."""
    (_, strict), (_, loose) = case.found()
    better = strict > loose if case.promise.at_least else strict < loose
    require(
        strict == loose or better == case.promise.strict_first,
        f"the strict run has {strict:g} and the loose one {loose:g}, with at_least = "
        f"{case.promise.at_least}: set strict_first = {better}, or a search turns the wrong way.",
    )


@PROMISE.promise
def is_worded(case: PromiseCase) -> None:
    """What was asked and found follows other words in a sentence, and names the number."""
    for seen, value in case.found():
        for past in (False, True):
            told = case.promise.told(value, case.asked[0], past)
            _phrase("told()", told)
            said = case.promise.verdict(case.target(case.asked[0]), seen, past)
            require(isinstance(said, str), f"verdict() gives {said!r}, not words.")
    for alone in (False, True):
        aims = [case.promise.aim(case.target(asked), alone) for asked in case.asked]
        for aim in aims:
            _phrase("aim()", aim)
        require(
            len(set(aims)) == len(set(case.asked)),
            f"aim() says {aims} of {list(case.asked)} asked: name the number.",
        )


def _phrase(what: str, told: Any) -> None:
    """Refuse what cannot stand in a sentence."""
    whole = isinstance(told, str) and told.strip() == told != "" and "\n" not in told
    require(
        whole and told[-1] not in ".;,",
        f"{what} gives {told!r}: one line without a stop at its end.",
    )
