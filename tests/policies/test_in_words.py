"""Policies as a reader would say them."""

from __future__ import annotations

import pytest

from tokenexit.policies import POLICIES
from tokenexit.policies.all_of import AllOf
from tokenexit.policies.base import Policy
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.in_words import policy_words
from tokenexit.policies.margin import Margin
from tokenexit.policies.pcee import PCEE
from tokenexit.policies.per_class import PerClass


@pytest.mark.parametrize("name", [name for name, _ in POLICIES.items()])
def test_every_policy_has_words(name: str):
    for policy in POLICIES.get(name).examples():
        words = policy_words(policy)
        assert not {"{", "}", "_", "[", "]"} & set(words)
        assert words == policy_words(policy.to_json()) == policy_words(policy.to_config())
        spec = policy.threshold_spec()
        if spec is not None and name not in ("token_buckets", "token_frequency"):
            assert policy_words(policy.with_threshold(spec.loose)) != policy_words(
                policy.with_threshold(spec.strict)
            )


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (PCEE(Entropy(0.12), 3), "entropy below 0.12, three exits in a row"),
        (PCEE(Entropy(0.12), 1), "entropy below 0.12, one exit in a row"),
        (
            PerClass(Entropy(0.02), {"O": Entropy(0.3)}),
            "O: entropy below 0.3; otherwise entropy below 0.02",
        ),
        (
            AllOf((Entropy(0.1), Margin(0.5))),
            "all of: entropy below 0.1; best class ahead of the second by more than 0.5",
        ),
        ({"name": "entropy"}, "entropy below 0.1"),
        ({"name": "made_up", "size": 3}, "made_up(3)"),
        ("free text", "free text"),
        (None, "None"),
    ],
)
def test_policies_in_words(policy: object, words: str):
    assert policy_words(policy) == words


def test_a_policy_of_ones_own_is_not_said_to_be_its_parent(monkeypatch: pytest.MonkeyPatch):
    class Other(Entropy):
        """Asks something else."""

    held: dict[str, type[Policy]] = {**dict(POLICIES.items()), "other": Other}
    monkeypatch.setattr(POLICIES, "_members", held)
    assert policy_words({"name": "other", "threshold": 0.5}) == "other(0.5)"
