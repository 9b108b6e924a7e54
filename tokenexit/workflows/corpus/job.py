"""A model at work on blocks of a corpus."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from tokenexit.data.corpus import Reader
from tokenexit.errors import UserError
from tokenexit.policies import from_config
from tokenexit.registry import load_plugin
from tokenexit.workflows.commands import Commands, open_model
from tokenexit.workflows.corpus.config import CorpusConfig
from tokenexit.workflows.corpus.parts import write_part
from tokenexit.workflows.corpus.plan import Plan
from tokenexit.workflows.corpus.schema import ERROR, ROW, as_text, plain, schema_of
from tokenexit.workflows.corpus.served import Served, look_at


class Job:
    """Answers blocks, one after the other.

    Args:
        config: With what.
        plan: Which blocks there are.
        opened: The model.
        served: What is known of it.
        step: Told of so many rows that were answered.
    """

    def __init__(
        self,
        config: CorpusConfig,
        plan: Plan,
        opened: Commands,
        served: Served,
        step: Callable[[int], Any] = lambda count: None,
    ) -> None:
        self._config, self.plan, self._opened, self._step = config, plan, opened, step
        self._policy = None if config.policy is None else from_config(config.policy)
        self._reader = Reader(plan.corpus, plan.columns.names)
        self._schema = schema_of(plan, served) if plan.format == "parquet" else None
        self._said = frozenset(served.task.answer_fields(served.labels))
        # Of parquet into parquet, columns that are kept have their own types.
        same = self._schema is not None and plan.corpus.format == "parquet"
        self._kept = _unchanged if same else as_text if self._schema is not None else plain

    def write(self, block: int) -> None:
        """Answer a block and write its part.

        Raises:
            UserError: A row cannot be read, or the part cannot be written.
        """
        rows = self.plan.rows(block)
        count = write_part(self.plan.part(block), self.records(rows), self._schema)
        assert count == len(rows)

    def records(self, rows: range) -> Iterator[dict[str, Any]]:
        """The answers to a stretch of rows, each with its row and what is kept of it.

        No more than a few batches of rows are held.
        """
        waiting: deque[dict[str, Any]] = deque()
        size, options = self._config.batch_size, self._config.options
        texts = self._texts(rows, waiting)
        for answer in self._opened.predict(texts, self._policy, size, **options):
            yield from self._noted(waiting)
            # Of a tagger of word classes, an empty text alone would say that it has no entities.
            said = {name: value for name, value in answer.items() if name in self._said}
            yield {**waiting.popleft(), **said}
            self._step(1)
        yield from self._noted(waiting)

    def _texts(self, rows: range, waiting: deque[dict[str, Any]]) -> Iterator[Any]:
        """What the model is given; what is written beside the answers goes to ``waiting``."""
        columns, corpus = self.plan.columns, self.plan.corpus
        for row, raw in self._reader.stored(rows.start, rows.stop):
            record: dict[str, Any] = {ROW: row}
            try:
                values = self._reader.values(raw, row)
                kept = columns.kept(values)
                record |= {name: self._kept(value) for name, value in kept.items()}
                text = columns.item(values, corpus.where(row))
            except UserError as error:
                if self._config.bad_rows == "stop":
                    raise
                waiting.append({**record, ERROR: str(error)})
                continue
            waiting.append(record)
            yield text

    def _noted(self, waiting: deque[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Records of rows without a text, up to the next that has one."""
        while waiting and ERROR in waiting[0]:
            yield waiting.popleft()
            self._step(1)


def _unchanged(value: Any) -> Any:
    return value


def open_job(config: CorpusConfig, **more: Any) -> Job:
    """Load the model for blocks of an output folder that was prepared.

    Raises:
        UserError: The folder or the model cannot be read.
    """
    served = look_at_model(config)
    return Job(config, Plan.load(config.folder), load_model(config), served, **more)


def look_at_model(config: CorpusConfig) -> Served:
    """What is known of the model before it is loaded; a user's own parts are imported first.

    Raises:
        UserError: It is none, or a part cannot be imported.
    """
    for source in config.plugins:
        load_plugin(source)
    return look_at(config.model)


def load_model(config: CorpusConfig) -> Commands:
    """The model, ready to answer.

    Raises:
        UserError: It cannot be loaded as it was asked for.
    """
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    how = config.device, config.dtype, config.precision, config.runtime
    return open_model(config.model, *how, config.reducer, config.widths)
