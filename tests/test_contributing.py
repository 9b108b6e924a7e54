"""CONTRIBUTING's examples keep their promises."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from tokenexit import testing
from tokenexit.heads import HEADS
from tokenexit.methods import METHODS
from tokenexit.metrics import METRICS
from tokenexit.objectives import OBJECTIVES
from tokenexit.policies import POLICIES
from tokenexit.promises import PROMISES
from tokenexit.reducers import REDUCERS
from tokenexit.reporting.panels import PANELS
from tokenexit.reporting.run import RunData
from tokenexit.reporting.word_trace import word_trace_of
from tokenexit.tasks import TASKS

ROOT = Path(__file__).parent.parent
EXAMPLES = re.findall(
    r'```python\n(.*?@([A-Z]+)\.register\("(\w+)"\).*?)```',
    (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    flags=re.DOTALL,
)


def made_up() -> RunData:
    """A run of which only the trace is known."""
    columns = {"text": [0, 0, 1], "position": [0, 1, 0], "exit_layer": [1, 2, 2]}
    columns |= {"prediction": [0, 1, 0], "gold": [0, 1, 1]}
    more = {"confidence": pa.array([0.9, 0.8, 0.7]), "word": ["a", "b", "c"]}
    here = Path("made-up")
    words = word_trace_of(pa.table({**columns, **more}), here)
    return RunData(here, None, {}, None, None, words, None, None, None, None)


CHECKS = {
    "HEADS": (HEADS, testing.check_head),
    "METHODS": (METHODS, testing.check_method),
    "METRICS": (METRICS, testing.check_metric),
    "PANELS": (PANELS, lambda panel: testing.check_panel(panel, made_up())),
    "OBJECTIVES": (OBJECTIVES, testing.check_objective),
    "POLICIES": (POLICIES, testing.check_policy),
    "PROMISES": (PROMISES, testing.check_promise),
    "REDUCERS": (REDUCERS, testing.check_reducer),
    "TASKS": (TASKS, testing.check_task),
}


@pytest.mark.parametrize(("code", "kind", "name"), EXAMPLES, ids=[name for *_, name in EXAMPLES])
def test_an_example_keeps_its_promises(code, kind, name, monkeypatch):
    registry, check = CHECKS[kind]
    registry.items()  # its own members come first
    monkeypatch.setattr(registry, "_members", dict(registry._members))
    exec(compile(code, f"CONTRIBUTING.md ({name})", "exec"), {"__name__": __name__})
    check(registry.get(name))


def test_every_kind_has_an_example():
    assert {kind for _, kind, _ in EXAMPLES} == CHECKS.keys()
