"""What calibration may be asked for."""

from __future__ import annotations

import math

import pytest

from tokenexit.calibration import CalibrateConfig
from tokenexit.errors import UserError
from tokenexit.policies.context_gate import ContextGate
from tokenexit.policies.per_class import PerClass
from tokenexit.tasks import labelled_task


@pytest.mark.parametrize(
    ("given", "name"),
    [({"min_quality": value}, "min_quality") for value in (math.nan, 1.01, 0, -0.5, math.inf)]
    + [({"speedup": value}, "speedup") for value in (math.nan, 0.99, 0, -2, math.inf)]
    + [({"confidence": value}, "confidence") for value in (math.nan, 0, 1, -1)]
    + [({"latency": value}, "latency") for value in (math.nan, 0, -1, math.inf)]
    + [({"minimise": "tiem"}, "minimise"), ({"speedup": 2, "minimise": "time"}, "minimise")]
    + [({"latency": 1, "minimise": "macs"}, "minimise=macs")]
    + [
        ({"risk": 0.1, "minimise": "macs"}, "minimise=macs"),
        ({"risk": 0.1, "latency": 1}, "latency"),
    ]
    + [({"latency": 1, "confidence": 0.9}, "confidence"), ({"latency": 1, "speedup": 2}, "latency")]
    + [({"limit": 0}, "limit"), ({"verify": 0}, "verify"), ({"grid": 1}, "grid")],
)
def test_impossible_wishes_are_refused(given, name):
    with pytest.raises(UserError, match=rf"calibrate\.{name}"):
        CalibrateConfig(**given)


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ({}, ("min_quality", 0.99)),
        ({"min_quality": 1, "loose": True}, ("min_quality", 1)),
        ({"speedup": 1}, ("speedup", 1)),
        ({"min_quality": 0.5, "speedup": 2.0}, ("min_quality", 0.5)),
        ({"latency": 3.0}, ("latency", 3.0)),
        ({"latency": 3.0, "min_quality": 0.5}, ("min_quality", 0.5)),
        ({"minimise": "time"}, ("min_quality", 0.99)),
    ],
)
def test_the_target(given, target):
    assert CalibrateConfig(**given).target == target


def test_the_nearest_name_is_told():
    with pytest.raises(UserError, match="Did you mean 'layers'"):
        CalibrateConfig(minimise="layer")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "asked", "clock"),
    [
        ({}, False, False),
        ({"minimise": "macs"}, True, False),
        ({"minimise": "time"}, True, True),
        ({"latency": 1.0}, True, True),
    ],
)
def test_what_has_to_be_timed(given, asked, clock):
    config = CalibrateConfig(**given)
    assert (config.asked, config.by_clock) == (asked, clock)


def test_entities_get_families_of_their_own():
    def per_class(labels):
        return [f for f in labelled_task("ner").families(labels) if isinstance(f, PerClass)]

    assert per_class(("O", "B-PER", "I-PER"))
    assert not per_class(("NOUN", "VERB"))
    for labels in (("O", "B-PER", "I-PER"), ("NOUN", "VERB")):
        assert all(family.threshold_spec() for family in labelled_task("ner").families(labels))


@pytest.mark.parametrize("task", ["ner", "classification"])
def test_a_context_gate_is_tried_first_where_there_is_one(task):
    with_one = labelled_task(task).families(("O", "B-PER"), context=True)
    assert isinstance(with_one[0], ContextGate)
    assert with_one[1:] == labelled_task(task).families(("O", "B-PER"))
