"""Checks that members keep the promises of their vocabulary, for plug-ins as for this package.

Each raises ``AssertionError`` with what is wrong and how to mend it, and needs no test runner::

    from tokenexit.testing import check_policy

    def test_my_policy():
        check_policy(MyPolicy)
"""

from __future__ import annotations

from tokenexit.testing.policy import check_policy

__all__ = ["check_policy"]
