"""Models of every kind on the page, and what the slider turns."""

from __future__ import annotations

import pytest

from tokenexit.demo_page.threshold import slider_of
from tokenexit.errors import UserError
from tokenexit.policies import Hash, Never, Patience, from_config


@pytest.mark.parametrize(
    ("kind", "unit", "pieces"),
    [("classifier", "text", 1), ("scorer", "text", 1), ("writer", "token", 5)],
)
def test_kinds(answering, kind, unit, pieces):
    model = answering(kind)
    about, found = model.about(), model.answer("the old man", None, None)
    assert about["unit"] == unit
    assert len(found["pieces"]) == pieces
    assert about["slider"]["own"] is False  # such a model lets nobody out
    assert len(about["slider"]["values"]) > 50
    assert len(about["colours"]["dark"]) == len(found["histogram"]) == about["depth"]
    strict = model.answer("the old man", None, about["slider"]["values"][0])
    assert strict["layers"] == about["depth"]
    assert strict["same"] is True


def test_pairs(answering):
    model = answering("classifier", pairs=True)
    found = model.answer("ada", "paris", None)
    assert [piece["text"] for piece in found["pieces"]] == ["ada", "paris"]
    with pytest.raises(UserError, match="both texts"):
        model.answer("ada", None, None)


def test_warnings_come_along(answering):
    found = answering("classifier").answer("ada " * 500, None, None)
    assert any("cut" in note for note in found["notes"])


def test_a_policy_of_another_kind_is_told_before_there_is_a_page(answering):
    with pytest.raises(UserError, match="no meaning for numbers"):
        answering("scorer", from_config("entropy:0.3")).warm_up()


@pytest.mark.parametrize("policy", [Patience(2), Hash(2, 4), Patience(40)])
def test_layers_are_turned_one_by_one(models, policy):
    slider = slider_of(models["tagger"], policy)
    depth = models["tagger"].settings.exit_layers[-1]
    spec, now = policy.threshold_spec(), policy.threshold_value()
    assert slider.values[slider.start] == now
    assert max(slider.values) == max(depth, now)
    assert list(slider.values) == sorted(slider.values, reverse=spec.strict > spec.loose)
    assert all(slider.at(value).threshold_value() == value for value in slider.values)


@pytest.mark.parametrize("text", ["margin:0.7", "margin:1", "entropy:0.95", "entropy:0"])
def test_every_setting_is_looser_than_the_one_before(models, text):
    policy = from_config(text)
    slider = slider_of(models["tagger"], policy)
    falls = text.startswith("margin")
    assert list(slider.values) == sorted(slider.values, reverse=falls)
    assert slider.values[slider.start] == policy.threshold_value()


def test_a_policy_without_a_threshold_is_shown_as_it_is(models):
    slider = slider_of(models["tagger"], Never())
    assert (slider.values, slider.own) == ((), True)
    assert slider.at(None) == Never()
    assert slider.to_dict()["field"] == ""
