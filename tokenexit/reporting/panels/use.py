"""How to use the model of a run: lines of Python, and commands."""

from __future__ import annotations

import shlex

from tokenexit.errors import printable
from tokenexit.reporting.panels.base import PANELS, Panel
from tokenexit.reporting.panels.picture import Picture
from tokenexit.reporting.render import render
from tokenexit.reporting.run import RunData
from tokenexit.tasks import TASKS, Task

LONGEST = 80
"""Letters of the text that serves as an example."""


@PANELS.register("use")
class UseThisModel(Panel):
    """Lines to copy, with a text that the model knows the like of."""

    section = "use"

    def draw(self, run: RunData) -> list[Picture]:
        """See ``Panel``."""
        if run.exits is None and not run.is_cascade:
            return []
        task = dict(TASKS.items()).get(run.task or str((run.exits or {}).get("task")))
        if task is None:
            return []
        name, text = run.folder.resolve().name, example(run, task)
        chart = render(
            "use.html.j2",
            loader="CascadeForSequenceClassification" if run.is_cascade else task.loader,
            name=repr(name),
            example=repr(text),
            lines=task.shown,
            predict=f"echo {shlex.quote(text)} | tokenexit predict {shlex.quote(name)} -",
            bench=f"tokenexit bench {shlex.quote(name)} --json {shlex.quote(name)}/bench.json",
        )
        note = "In Python and on the command line, from the folder that this run lies in."
        return [Picture("Use this model", chart, note=note)]


def example(run: RunData, task: type[Task]) -> str:
    """A short text of the run's own data, else what the task has."""
    trace, words = run.generated_trace, run.words
    texts: list[str] = []
    if trace is not None:
        texts = [text.source for text in trace.texts[:200] if text.source]
    elif words is not None:
        texts = [" ".join(words.word[start:end]) for start, end in words.bounds[:200]]
    fitting = [printable(text) for text in texts if 20 <= len(text) <= LONGEST and "#1" not in text]
    # What a shell's echo may take for something else is no example.
    fitting = [t for t in fitting if not t.startswith("-") and "\n" not in t and "\\" not in t]
    return fitting[0] if fitting else task.example
