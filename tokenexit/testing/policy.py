"""The check of a policy."""

from __future__ import annotations

from tokenexit.policies import POLICIES, Policy
from tokenexit.testing.contract import instances
from tokenexit.testing.policy_promises import POLICY
from tokenexit.testing.policy_threshold import THRESHOLD


def check_policy(policy: str | Policy | type[Policy]) -> None:
    """Check that a policy keeps the promises of ``policy_promises`` and ``policy_threshold``.

    Args:
        policy: A policy, or a registered class or its name, whose ``examples`` are all checked.

    Raises:
        AssertionError: It breaks one; the message says which, and how to mend it.
    """
    for example in instances(policy, POLICIES):
        POLICY.hold(example, repr(example))
        if example.threshold_spec() is not None:
            THRESHOLD.hold(example, repr(example))
