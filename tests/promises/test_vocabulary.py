"""A promise is one file: what it is held to, how it is searched, how it is worded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from tokenexit.calibration import CalibrateConfig
from tokenexit.calibration.goal import check_promises
from tokenexit.errors import UserError
from tokenexit.promises import PROMISES, Promise, Seen, promises_of
from tokenexit.promises.sentences import goal_text, promise_sentences
from tokenexit.reporting.candidates import tried
from tokenexit.testing import check_promise


class FewTags(Promise):
    """Words that differ from full depth."""

    at_least: ClassVar[bool] = False

    def measured(self, seen: Seen) -> float | None:
        return seen.words

    def aim(self, target: Mapping[str, Any], alone: bool) -> str:
        return f"change at most {target['few_tags']:g} of the tags"

    def told(self, value: float, asked: float, past: bool) -> str:
        return f"it changed {value:g} of the tags"


@pytest.fixture
def few_tags() -> Iterator[None]:
    PROMISES.register("few_tags")(FewTags)
    yield
    del PROMISES._members["few_tags"]


@pytest.mark.usefixtures("few_tags")
def test_a_promise_of_ones_own_is_worded_and_judged_by_itself():
    target = {"few_tags": 0.1, "min_quality": 0.9}
    assert goal_text(target) == (
        "keep at least 90% of the full-depth quality and change at most 0.1 of the tags"
    )
    row = {"policy": {"name": "never"}, "verified": True, "relative_quality": 0.95}
    held = {"target": {"few_tags": 0.1}, "policy": {"name": "entropy"}, "candidates": [row]}
    assert tried(held)[0][0].kept is None  # of candidates that is not saved
    results = {"test": {"figures": {"words_changed": 0.2}, "n_sentences": 9}}
    assert "it changed 0.2 of the tags, more than asked." in promise_sentences(held, results)[-1]


def test_what_nobody_knows_is_refused_with_the_nearest_name():
    with pytest.raises(UserError, match=r"min_qualty.*min_quality"):
        check_promises(CalibrateConfig(promises={"min_qualty": 0.9}))
    assert promises_of({"min_qualty": 0.9}) == []


@pytest.mark.usefixtures("few_tags")
@pytest.mark.parametrize("asked", [float("nan"), True, "much"])
def test_a_number_is_asked_for(asked):
    with pytest.raises(UserError, match=r"promises\.few_tags must be a number"):
        CalibrateConfig(promises={"few_tags": asked})


def test_what_has_a_key_of_its_own_is_given_there():
    with pytest.raises(UserError, match=r"give calibrate\.latency itself"):
        CalibrateConfig(promises={"latency": 2.0})
    with pytest.raises(UserError, match="leave one out"):
        CalibrateConfig(risk=0.1, promises={"few_tags": 0.1})


# A guarantee is tested, text by text: it has no number of a run that is compared.
COMPARED = [(name, cls) for name, cls in PROMISES.items() if name != "guarantee"]
OWN = [name for name, cls in COMPARED if cls.__module__.startswith("tokenexit.")]


@pytest.mark.parametrize("name", OWN)
def test_a_promise_keeps_what_all_keep(name: str):
    check_promise(name)


class Backwards(FewTags):
    """Asks for few, and says that strict settings break it."""

    strict_first: ClassVar[bool] = False


class Sure(FewTags):
    """Knows what nobody measured."""

    def measured(self, seen: Seen) -> float | None:
        return seen.words or 0.0


class Vague(FewTags):
    """Does not say how many."""

    def aim(self, target: Mapping[str, Any], alone: bool) -> str:
        return "change few of the tags"


class Lenient(FewTags):
    """Lets one more pass than it says."""

    def keeps(self, asked: float, seen: Seen) -> bool | None:
        return None if seen.words is None else seen.words <= asked + 1


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (Backwards, "strict_first = True"),
        (Sure, r"measured\(\) gives 0.0, not None"),
        (Vague, "name the number"),
        (Lenient, "at_least = False"),
    ],
)
def test_a_broken_promise_is_told_what_to_mend(broken, told, monkeypatch):
    monkeypatch.setitem(PROMISES._members, "few_tags", broken)
    with pytest.raises(AssertionError, match=f"(?s){broken.__name__}.*{told}"):
        check_promise(broken)
