"""What a task is: what leaves at an exit, and how its answers are read, scored and reported."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tokenexit.data.corpus import Reads
from tokenexit.errors import UserError
from tokenexit.extras import require_libraries
from tokenexit.metrics import METRICS, build_metric
from tokenexit.registry import Registry
from tokenexit.renamed import keep_former
from tokenexit.tasks.view import View
from tokenexit.units import PolicyUnit, levels_of, units_of

if TYPE_CHECKING:
    import pyarrow as pa

TASKS: Registry[Task] = Registry("task", "tokenexit.tasks")
"""Every task by name. To add one, register a subclass of ``Task`` in a file of its own."""

Unit = Literal["word", "text", "token"]
Holder = Literal["sentence", "text"]
Kind = Literal["tagger", "classifier", "generator"]
Scored = Literal["labels", "texts"]


HOLDERS: dict[str, Holder] = {"word": "sentence", "text": "text", "token": "text"}
"""What rows are part of, by what they are."""


class Task(ABC):
    """What a row is. All above the engine asks the task, and never which one it is.

    A task is a value without state; ``task_named`` makes it.

    Attributes:
        title: What is done, in words, for cards.
        unit: What leaves at an exit: a word, a text, or a token that is generated.
        holder: What rows are part of, and is counted beside them.
        policy_unit: What policies and methods call that: the same, but ``number`` for texts that
            get numbers.
        loader: Name of the class that loads its models.
        kind: What its models are: ``tagger``, ``classifier`` or ``generator``.
        made: The same in words.
        of: What its metrics score, as ``Metric.of``.
        metric: The figure that stands for quality unless another is asked for.
        figures: Figures that are computed anyhow.
        libraries: Optional ones that scoring needs.
        countable: Whether an answer is equal to another or not; numbers are near or far.
        kept: What is promised of texts not yet seen where a share of quality is to be kept, such
            as ``f1 kept``; None where nothing can be.
        pipeline: What the Hub calls it.
        reads: What its models read of a row of a corpus.
        example: A text to show how its models are used.
        given: What one of them is given, in a word.
        shown: Fields of a result that lines of Python print.
        sorts: What is counted by its sort, and the name of a sort; None for rows by label.
        usual: Settings of a run that suit it better than the recipe's own.
        demo_share: Share of quality that its few generated texts can promise; None for the usual.
    """

    title: ClassVar[str]
    unit: ClassVar[Unit]
    holder: ClassVar[Holder]
    policy_unit: ClassVar[PolicyUnit]
    loader: ClassVar[str]
    kind: ClassVar[Kind]
    made: ClassVar[str]
    of: ClassVar[Scored]
    metric: ClassVar[str]
    figures: ClassVar[tuple[str, ...]]
    libraries: ClassVar[tuple[str, ...]] = ()
    countable: ClassVar[bool] = True
    kept: ClassVar[str | None] = None
    pipeline: ClassVar[str]
    reads: ClassVar[Reads]
    example: ClassVar[str]
    given: ClassVar[str] = "text"
    shown: ClassVar[str] = "result"
    sorts: ClassVar[tuple[str, str] | None] = None
    usual: ClassVar[Mapping[str, Any]] = {}
    demo_share: ClassVar[float | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        keep_former(
            cls,
            {"level": "policy_unit"},
            lambda level: units_of(level)[0],
            lambda unit: levels_of(unit)[0],
        )

    def __init__(self, name: str | None = None) -> None:
        self.name = name or TASKS.name_of(type(self))

    @abstractmethod
    def answer_fields(self, labels: Sequence[str], pairs: bool = False) -> dict[str, pa.DataType]:
        """Names and types of what a model answers, for parquet.

        Args:
            labels: Names of the classes.
            pairs: Whether it reads pairs of texts.
        """

    def view(self, answer: Any) -> View:
        """What a page shows of an answer; by default its data, and no pieces of it.

        Args:
            answer: What ``predict`` returned for a text.
        """
        return View(json.dumps(answer.to_dict(), ensure_ascii=False))

    def check_run(self, config: Any) -> None:
        """Refuse settings of a run that have no meaning for it, before the data is read.

        Args:
            config: Of its recipe.

        Raises:
            UserError: Says which.
        """
        return None

    def write_demo(self, folder: Path) -> None:
        """Write a generated corpus, what a run without data is tried on.

        Raises:
            UserError: There is none.
        """
        raise UserError(f"There is no generated data for {self.name}; give your own with data=.")

    @property
    def whole(self) -> bool:
        """Whether a row is all that there is of a text."""
        return self.unit == self.holder

    def kept_by(self, metric: str | None) -> str | None:
        """What is promised where a share of quality is to be kept.

        Args:
            metric: What stands for quality; the task's usual one when None.
        """
        return self.kept

    def check_metric(self, metric: str | None) -> None:
        """Refuse a metric that does not fit, before anything is computed.

        Raises:
            UserError: There is no such metric; the message names those that there are. Or what
                scoring needs is not installed.
        """
        require_libraries(*self.libraries)
        if metric is None or metric in self.figures:
            return
        fitting = [name for name, cls in METRICS.items() if cls.of == self.of]
        if self.figures and metric not in fitting:
            raise UserError(
                f"Unknown metric {metric!r} for {self.name}. Available: "
                f"{', '.join([*self.figures, *fitting])}. Load your own with a plug-in."
            )
        build_metric(metric, self.of)
