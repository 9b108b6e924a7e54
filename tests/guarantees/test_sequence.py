"""Settings one after the other: where it stops, groups, documents, averages."""

from __future__ import annotations

import numpy as np
import pytest

from tokenexit.errors import UserError
from tokenexit.guarantees import FixedSequence, Guarantee, order_of, parse

TEXTS = [f"text {n}" for n in range(400)]
FULL = {"changed": np.zeros(400), "class": np.arange(400) % 4, "length": np.arange(400) % 40}


def lost(count: int, of: int = 1) -> dict[str, np.ndarray]:
    """So many texts lost; of every so manyth."""
    return {"changed": ((np.arange(400) % of == 0) & (np.arange(400) < count * of)) * 1.0}


def sequence(text: str, **changes):
    return FixedSequence(parse(text), FULL, order_of(TEXTS), **changes)


def test_it_stops_at_the_first_that_fails():
    read = []

    def settings():
        for count in (0, 5, 9, 40, 0):
            read.append(count)
            yield lost(count)

    kept, tests = sequence("differs <= 0.05").last(settings())
    assert (kept, read) == (3, [0, 5, 9, 40])
    assert [one.passed for [one] in tests] == [True, True, True, False]
    assert tests[1][0].measured == pytest.approx(5 / 400)
    assert tests[0][0].bound == "exact binomial"
    assert tests[0][0].texts == 400


def test_every_class_needs_texts_of_its_own():
    whole, each = sequence("differs <= 0.02"), sequence("every class differs <= 0.02")
    assert whole.last([lost(0)])[0] == 1
    kept, [tests] = each.last([lost(0)])
    assert (kept, len(tests)) == (0, 4)  # a hundred of each, of which 114 are needed
    assert each.needed() == {"every class differs <= 0.02 with 90%": 114}
    one_class = lost(30, of=4)
    assert sequence("differs <= 0.1").last([one_class])[0] == 1
    assert sequence("every class differs <= 0.1").last([one_class])[0] == 0


def test_lengths_are_groups():
    kept, [tests] = sequence("every length:0-9,10-19,20- differs <= 0.1").last([lost(2)])
    assert kept == 1
    assert {one.group: one.texts for one in tests} == {"0-9": 100, "10-19": 100, "20-": 200}
    with pytest.raises(UserError, match="lie in none of the ranges"):
        sequence("every length:0-9,20- differs <= 0.1").test(lost(0))
    with pytest.raises(UserError, match="is no range"):
        sequence("every length:short differs <= 0.1").test(lost(0))
    with pytest.raises(UserError, match="no 'domain' to be told apart by; they have: class"):
        sequence("every domain differs <= 0.1").test(lost(0))


def test_all_of_several():
    both = sequence("differs <= 0.05 and words of a text changed <= 0.001")
    both.full = {**FULL, "rows": np.full(400, 2.0)}
    kept, [tests] = both.last([lost(5)])
    assert kept == 0
    assert [one.passed for one in tests] == [True, False]


def test_documents_are_the_texts_that_count():
    documents = np.arange(400) // 50
    alone, together = sequence("differs <= 0.1"), sequence("differs <= 0.1", documents=documents)
    assert alone.last([lost(0)])[0] == 1
    kept, [[tested]] = together.last([lost(0)])
    assert (kept, tested.texts) == (0, 8)


def test_what_is_counted_has_a_name():
    full, order = {"changed": np.zeros(6)}, np.array([0, 1, 2, 4])
    texts = FixedSequence([Guarantee("differs", 0.05)], full, order)
    documents = FixedSequence(texts.guarantees, full, order, np.array([0, 0, 1, 2, 1, 3]))
    assert (texts.units, texts.unit) == (4, "texts")
    assert (documents.units, documents.unit) == (2, "documents")


def test_on_average_texts_that_were_lost_stay_lost():
    first, other = lost(8), {"changed": (np.arange(400) >= 392) * 1.0}
    given = sequence("differs <= 0.05 on average")
    kept, tests = given.last([first, other, {"changed": (np.arange(400) // 8 == 3) * 1.0}])
    # (8 + 1) / 401 and (16 + 1) / 401 are within it, not the third, though it loses 8 alone
    assert kept == 2
    assert tests[1][0].evidence == pytest.approx(0.05 - 17 / 401)
    assert given.needed() == {"differs <= 0.05 on average": 19}
    with pytest.raises(UserError, match="counts gains against losses"):
        FixedSequence(
            parse("accuracy loss <= 0.05 on average"), {"right": np.ones(3)}, np.arange(3)
        ).test({"right": np.ones(3)})


def test_the_order_is_the_texts_own():
    order = order_of(TEXTS)
    assert sorted(order) == list(range(400))
    shuffled = np.random.default_rng(0).permutation(400)
    again = order_of([TEXTS[n] for n in shuffled])
    assert [TEXTS[shuffled[n]] for n in again] == [TEXTS[n] for n in order]
    assert len(order_of(["a", "b", "a"])) == 2
    assert sorted(order_of(["a", "b", "a"])) == [0, 1]
    assert list(order_of(TEXTS, seed=1)) != list(order)


def test_no_texts_promise_nothing():
    empty = {name: values[:0] for name, values in FULL.items()}
    given = FixedSequence([Guarantee("differs", 0.05)], empty, np.arange(0))
    assert given.last([{"changed": np.zeros(0)}])[0] == 0


@pytest.mark.parametrize("allowed", [0.1, 0.05, 0.02, 0.01])
def test_on_average_what_is_needed_is_enough(allowed):
    for texts, passes in ((round(1 / allowed) - 1, True), (round(1 / allowed) - 2, False)):
        full = {"changed": np.zeros(texts)}
        one = FixedSequence([Guarantee("differs", allowed, None)], full, np.arange(texts))
        assert one.needed() == {str(one.guarantees[0]): round(1 / allowed) - 1}
        assert one.test(full)[0].passed == passes


@pytest.mark.parametrize(
    ("every", "said"),
    [
        ("class:0-10", "Ranges are of numbers, and 'class' is none"),
        ("length:10-0", "ends before it begins"),
        ("changed", "is what is counted of texts"),
        ("length:0-10", "lie in none of the ranges"),
    ],
)
def test_groups_that_are_none_are_refused(every, said):
    full = {
        "changed": np.zeros(3), "length": np.array([3, 4, 50]),
        "class": np.array(["a", "b", "b"], dtype=object),
    }  # fmt: skip
    one = FixedSequence([Guarantee("differs", 0.05, every=every)], full, np.arange(3))
    with pytest.raises(UserError, match=said):
        one.test(full)
