"""Mistakes are refused at once, in words that say what to write instead."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tokenexit import policies
from tokenexit.errors import UserError
from tokenexit.policies import from_config

UNIT = [policies.Entropy, policies.MaxProb, policies.Margin, policies.LearnedGate]


@pytest.mark.parametrize("cls", [*UNIT, policies.Divergence])
@pytest.mark.parametrize("value", [math.nan, -0.1, 1.1, math.inf, "high", None, True])
def test_thresholds_out_of_range(cls, value):
    with pytest.raises(UserError, match=rf"{cls.__name__}\.threshold must be a number from 0 to 1"):
        cls(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "low"])
def test_energy_is_finite(value):
    with pytest.raises(UserError, match=r"Energy\.threshold must be a number"):
        policies.Energy(value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: policies.Patience(0), "whole number from 1 to 1000, not 0"),
        (lambda: policies.Patience(1.5), r"not 1\.5"),
        (lambda: policies.Patience().with_threshold(math.nan), "not NaN"),
        (lambda: policies.Patience().with_threshold(math.inf), "not inf"),
        (lambda: policies.PCEE(policies.Entropy(), 0), r"PCEE\.times"),
        (lambda: policies.PCEE(0.1), r"PCEE\.policy must be a policy such as"),
        (lambda: policies.Divergence(0.1, 0), r"Divergence\.patience"),
        (lambda: policies.AssignedDepth(0), r"AssignedDepth\.depth"),
        (lambda: policies.AssignedDepth(1, {3: 0}), "from 1 to 1000, not 0 for token 3"),
        (lambda: policies.AssignedDepth(1, ((3, 1), (3, 2))), "token 3 twice"),
        (lambda: policies.AssignedDepth(1, (3, 1)), r"must be a mapping such as \{101: 2"),
        (lambda: policies.AssignedDepth(1, {"the": 2}), "whole numbers, and has 'the'"),
        (lambda: policies.AssignedDepth(1, {3: 1.5}), r"has 1\.5"),
        (lambda: policies.AssignedDepth(1, {3: math.inf}), "has inf"),
        (lambda: policies.AssignedDepth(1, {3: True}), "has True"),
        (lambda: policies.AssignedDepth(1, 5), "must be a mapping"),
        (lambda: policies.Hash(4, 3), "must not exceed max_layer: 4 > 3"),
        (lambda: policies.Hash(seed=-1), r"Hash\.seed"),
        (lambda: policies.Window(policies.Entropy(), 4), "must be odd"),
        (lambda: policies.FromLayer(policies.Entropy(), 0), r"FromLayer\.layer"),
        (lambda: policies.EveryKth(policies.Entropy(), 0), r"EveryKth\.k"),
        (lambda: policies.PerSentence(policies.Entropy(), how="men"), "Did you mean 'mean'"),
        (lambda: policies.PerSentence(policies.Patience(), how="mean"), "use how='max'"),
        (lambda: policies.AllOf(()), "at least one policy"),
        (lambda: policies.AnyOf((policies.Entropy(), 3)), r"AnyOf\.policies\[1\].*not 3"),
        (lambda: policies.PerLayer(policies.Entropy()), "must be a tuple of policies"),
        (lambda: policies.AllOf("entropy"), "must be a tuple of policies"),
        (lambda: policies.PerClass(0.3), r"PerClass\.otherwise must be a policy"),
        (lambda: policies.PerClass(classes={"O": 0.3}), "not 'O' to 0.3"),
        (lambda: policies.PerClass(classes="O"), "must be a mapping such as"),
        (
            lambda: policies.PerClass(classes=(("O", policies.Never()), ("O", policies.Never()))),
            "names a class twice",
        ),
    ],
)
def test_bad_fields(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("entropi", "Unknown policy 'entropi'. Did you mean 'entropy'?"),
        ({"name": "entropy", "treshold": 0.1}, "Did you mean 'threshold'?"),
        ('{"name": "window", "policy": {"name": "pateince"}}', "Did you mean 'patience'?"),
        ({"threshold": 0.1}, "a mapping with a 'name'"),
        ("", "a mapping with a 'name'"),
        ("{", "neither a name nor JSON"),
        ("all_of", "Its settings are: policies"),
    ],
)
def test_bad_configurations(config, message):
    with pytest.raises(UserError) as caught:
        from_config(config)
    assert message in str(caught.value)


def test_unknown_class_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Entropi"):
        _ = policies.Entropi


@pytest.mark.parametrize("text", ["1e-05", "1e-4", "1.0e-4"])
def test_small_numbers_survive_yaml(text):
    """YAML 1.1 reads 1e-05 as text, and json.dumps writes just that."""
    expected = policies.Entropy(float(text))
    assert from_config(f'{{"name": "entropy", "threshold": {text}}}') == expected
    assert from_config(f"name: entropy\nthreshold: {text}") == expected
    assert from_config(policies.Window(expected).to_json()) == policies.Window(expected)


def test_keys_of_a_json_table_are_text():
    read = from_config('{"name": "assigned_depth", "by_item": {"12": 3, "5": 1}}')
    assert read == policies.AssignedDepth(by_item={5: 1, 12: 3})


def test_numpy_settings_become_plain_numbers():
    turned = policies.Window(policies.Entropy()).with_threshold(np.float32(0.25))
    assert turned.to_json() == '{"name": "window", "policy": {"name": "entropy", ' + (
        '"threshold": 0.25}, "size": 3}'
    )
    assert (
        policies.Patience().with_threshold(np.float64(3.2)).to_json()
        == '{"name": "patience", "patience": 3}'
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"name": "entropy", "threshold": 0.1, "threshold": 0.9}', "'threshold' twice"),
        ("name: entropy\nthreshold: 0.1\nthreshold: 0.9", "'threshold' is given twice"),
        ("{name: window, policy: {name: margin, name: entropy}}", "'name' is given twice"),
        ("!!timestamp x", "neither a name nor JSON"),
        ("{name: entropy, threshold: !!timestamp 2020-01-01}", "neither a name nor JSON"),
        ("[" * 5000, "too deeply"),
        ("1" * 5000, "cannot be read"),
    ],
)
def test_text_that_is_read_as_configurations_are(text, told):
    with pytest.raises(UserError) as caught:
        from_config(text)
    assert told in str(caught.value)


def test_words_that_yaml_once_took_for_no():
    """A tag of Norway's is text; so is a clock time or a number with a leading zero."""
    for tag in ("NO", "on", "y", "12:30", "007"):
        read = from_config(f"{{name: per_class, classes: {{{tag}: {{name: entropy}}}}}}")
        assert read == policies.PerClass(classes={tag: policies.Entropy()})
