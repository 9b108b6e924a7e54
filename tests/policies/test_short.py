"""Policies as one types them."""

from __future__ import annotations

import pytest

from tokenexit import policies
from tokenexit.errors import UserError
from tokenexit.policies import POLICIES, from_config


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("entropy:0.3", policies.Entropy(0.3)),
        (" margin:.5 ", policies.Margin(0.5)),
        ("energy:-3", policies.Energy(-3.0)),
        ("max_prob:9e-1", policies.MaxProb(0.9)),
        ("patience:2", policies.Patience(2)),
        ("window(entropy:0.3,5)", policies.Window(policies.Entropy(0.3), 5)),
        ("window(entropy(0.3), size=5)", policies.Window(policies.Entropy(0.3), 5)),
        ("Never()", policies.Never()),
        (
            "any_of([entropy:0.3, patience:2])",
            policies.AnyOf((policies.Entropy(0.3), policies.Patience(2))),
        ),
        ("from_layer(Entropy:0.5, 2)", policies.FromLayer(policies.Entropy(0.5), 2)),
        ("name: entropy\nthreshold: 0.2", policies.Entropy(0.2)),
        ('{"name": "entropy", "threshold": 0.2}', policies.Entropy(0.2)),
    ],
)
def test_short_forms(text, policy):
    assert from_config(text) == policy


@pytest.mark.parametrize("name", [name for name, _ in POLICIES.items()])
def test_every_policy_is_read_as_it_prints(name):
    for policy in POLICIES.get(name).examples():
        assert from_config(repr(policy)) == policy


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("entropy:high", "cannot be read"),
        ("entropy:0.3x", "cannot be read"),
        ("entropy:2", "from 0 to 1, not 2"),
        ("never:1", "no threshold of its own"),
        ("entrpy:0.3", "Did you mean 'entropy'"),
        ("window(entropy:0.3, 5, 6)", "2 setting"),
        ("window(entropy:0.3", "cannot be read|Unknown policy"),
        ("entropy(__import__('os'))", "cannot be read|Unknown policy|must be"),
        ("entropy(t=1)", "threshold"),
        ("entropy(0.1, threshold=0.2)", "threshold twice"),
        ("entropy(name=0.1)", "name twice"),
        ("window" + "(" * 5000 + ")" * 5000, "cannot be read"),
    ],
)
def test_mistakes(text, told):
    with pytest.raises(UserError, match=told):
        from_config(text)
