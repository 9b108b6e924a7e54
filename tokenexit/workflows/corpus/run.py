"""A corpus predicted by one process or several, which need nothing of each other on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenexit.evaluation.processes import agree, state
from tokenexit.workflows.corpus.alone import taken
from tokenexit.workflows.corpus.config import CorpusConfig
from tokenexit.workflows.corpus.job import Job, load_model, look_at_model
from tokenexit.workflows.corpus.plan import PARTS
from tokenexit.workflows.corpus.preparing import look_through, missing_blocks, plan_for, prepare

Started = Callable[[int], Callable[[int], Any]]
"""Told how many rows a process has to answer; gives what is told of each."""


@dataclass(frozen=True)
class Predicted:
    """What a run has done.

    Attributes:
        parts: The folder of the parts.
        rows: Of the corpus.
        blocks: Parts there are when every process has ended.
        missing: Parts that were missing when the run began.
    """

    parts: Path
    rows: int
    blocks: int
    missing: int


def predict_corpus(
    config: CorpusConfig, started: Started = lambda rows: lambda count: None
) -> Predicted:
    """Predict a corpus into a folder, or what is missing of it there. For every process.

    Each takes every so-many-th of the missing blocks. None waits for another after that: one that
    dies takes nothing with it, and the same command goes on where parts are missing.

    Args:
        config: What to predict, and with what.
        started: Where it is shown how far this process is.

    Returns:
        What there was to do; it is done once every process has ended.

    Raises:
        UserError: A mistake in the settings, the corpus or the folder.
    """
    folder = config.folder
    here = state()
    served = agree(lambda: look_at_model(config))
    with taken(folder):
        plan = prepare(config, served)
        missing = missing_blocks(plan)
        if missing:
            opened = agree(lambda: load_model(config))
            mine = missing[here.process_index :: here.num_processes]
            count = sum(len(plan.rows(block)) for block in mine)
            step = {} if started is None else {"step": started(count)}
            job = Job(config, plan, opened, served, **step)
            for block in mine:
                job.write(block)
    return Predicted(folder / PARTS, plan.corpus.rows, plan.blocks, len(missing))


def records(config: CorpusConfig) -> Iterator[dict[str, Any]]:
    """The answers to a corpus, in order and as it is read. In one process.

    Raises:
        UserError: As ``predict_corpus``.
    """
    served = look_at_model(config)
    plan = plan_for(config, look_through(config, None), served)
    job = Job(config, plan, load_model(config), served)
    return job.records(range(plan.corpus.rows))
