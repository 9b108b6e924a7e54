"""Checks that members keep the promises of their vocabulary, for plug-ins as for this package.

Each raises ``AssertionError`` with what is wrong and how to mend it, and needs no test runner::

    from tokenexit.testing import check_policy

    def test_my_policy():
        check_policy(MyPolicy)

A check is loaded when it is first used: that of a policy needs no more than a policy does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenexit.testing.backbone import check_backbone
    from tokenexit.testing.decoder import check_decoder
    from tokenexit.testing.feature import check_feature, check_target
    from tokenexit.testing.gate import check_gate
    from tokenexit.testing.head import check_head
    from tokenexit.testing.method import check_method
    from tokenexit.testing.metric import check_metric
    from tokenexit.testing.objective import check_objective
    from tokenexit.testing.panel import check_panel
    from tokenexit.testing.policy import check_policy
    from tokenexit.testing.promise import check_promise
    from tokenexit.testing.reducer import check_reducer
    from tokenexit.testing.scorer import check_scorer
    from tokenexit.testing.task import check_task

__all__ = [
    "check_backbone",
    "check_decoder",
    "check_feature",
    "check_gate",
    "check_head",
    "check_method",
    "check_metric",
    "check_objective",
    "check_panel",
    "check_policy",
    "check_promise",
    "check_reducer",
    "check_scorer",
    "check_target",
    "check_task",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    kind = "feature" if name == "check_target" else name.removeprefix("check_")
    return getattr(importlib.import_module(f"{__name__}.{kind}"), name)
