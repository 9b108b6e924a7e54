"""The same choices for a generator, whose questions go to a vocabulary."""

from __future__ import annotations

import pytest

from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.calibration.clock.counts import asked_at
from tokenexit.calibration.text_families import timed_text_families
from tokenexit.errors import UserError
from tokenexit.evaluation.generation import evaluate_texts
from tokenexit.policies import EveryKth, LearnedGate, Margin, from_config
from tokenexit.reporting.calibration_text import calibration_text

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nothing_twice")]


def chosen_by(writer, pairs, machine, families=None, **config):
    given = CalibrateConfig(**{"min_quality": 0.3, "verify": 1, **config})
    return calibrate(writer, pairs, given, families=families, batch_size=4, watch=machine)


def rows(found):
    return {row["name"]: row for row in found.timing["rows"]}


@pytest.fixture(scope="module")
def fast(writer, pairs, make_machine, nothing_twice):
    families = [EveryKth(Margin(0.9), 2), Margin(0.9)]
    return chosen_by(writer, pairs, make_machine(), families, verify=2, minimise="time")


def test_times_are_foretold_and_the_fastest_is_chosen(fast, writer, pairs):
    assert fast.reached
    table = rows(fast)
    for row in table.values():
        assert row["ms_foretold"] == pytest.approx(row["ms"], rel=0.1)
    [chosen] = [row for row in table.values() if row["chosen"]]
    assert chosen["ms"] == min(row["ms"] for row in table.values() if row["keeps"])
    result, _ = evaluate_texts(writer, pairs, "validation", from_config(fast.policy))
    assert result.relative_quality == fast.chosen["relative_quality"] >= 0.3
    assert fast.timing["pays"] == (chosen["ms"] < table["full depth"]["ms"])
    assert "A text took, in turns" in calibration_text(fast.to_json())


def test_a_dear_vocabulary_is_not_asked(writer, pairs, make_machine):
    """All depths ask it once a token, so that only questions below the top are left out."""
    dear = make_machine(head=3e-3)
    found = chosen_by(writer, pairs, dear, [Margin(0.9)], minimise="time")
    assert found.policy["name"] in ("never", "assigned_depth")
    table = rows(found)
    if "policy" in table:
        assert table["policy"]["ms"] > table["full depth"]["ms"]


def test_what_avoids_the_vocabulary_is_tried(writer):
    families = timed_text_families(writer)
    names = {part for family in families for part in str(family.to_config()).split("'")}
    assert {"saturation", "learned_gate", "shortlist", "two_stage", "margin", "decay"} <= names
    assert len({str(family) for family in families}) == len(families)
    layers = writer.settings.exit_layers[:-1]
    asked = {asked_at(family, layers) for family in families}
    assert () not in asked
    assert len(asked) > 2


def test_of_many_families_a_part_of_the_texts_chooses_the_best(writer, pairs, make_machine):
    families = [LearnedGate(0.1), EveryKth(Margin(0.9), 2)]
    found = chosen_by(writer, pairs, make_machine(), families, minimise="time")
    tried = {c.policy["name"] for c in found.candidates} - {"never", "assigned_depth"}
    assert len(tried) == 1


def test_a_time_in_reach_and_one_that_is_not(fast, writer, pairs, make_machine):
    full = rows(fast)["full depth"]["ms"]
    told = {"families": [EveryKth(Margin(0.9), 2)], "min_quality": None}
    found = chosen_by(writer, pairs, make_machine(), latency=0.8 * full, **told)
    assert found.reached
    [chosen] = [row for row in found.timing["rows"] if row["chosen"]]
    assert chosen["ms"] <= 0.8 * full
    with pytest.raises(UserError, match=r"out of reach.*least possible"):
        chosen_by(writer, pairs, make_machine(), latency=1e-3, **told)


def test_in_int8_it_is_held_to_what_float32_writes(writer, pairs, make_machine):
    writer.use(precision="int8")
    try:
        found = chosen_by(
            writer, pairs, make_machine(), [EveryKth(Margin(0.9), 2)], minimise="time"
        )
        assert writer.precision == "int8"
    finally:
        writer.use(precision="fp32")
    assert found.precision == "int8"
    assert found.quality_full_depth == pytest.approx(1.0)
    assert found.timing["conditions"]["precision"] == "int8"
