"""Everything a report may show of one run folder."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenexit.errors import UserError
from tokenexit.reporting.bench import Bench, read_benches
from tokenexit.reporting.curve_point import CurvePoint, read_curve_points
from tokenexit.reporting.files import AGAIN, number, read_json, read_jsonl, read_table, read_text
from tokenexit.reporting.generated_trace import GeneratedTrace, generated_trace_of, is_generated
from tokenexit.reporting.result import DEEPEST, read_result
from tokenexit.reporting.setting_trace import SettingTrace, setting_trace_of
from tokenexit.reporting.word_trace import WordTrace, word_trace_of
from tokenexit.results import Result
from tokenexit.tasks import HOLDERS, unit_of

METRICS, CALIBRATION, PARETO = "metrics.json", "calibration.json", "pareto.csv"
TRACE, TRACE_WITHOUT_TEST = "traces/test.parquet", "traces/validation.parquet"
SETTINGS = "traces/settings.parquet"
LOG, CONFIG, EXITS = "train_log.jsonl", "config.yaml", "exit_config.json"
CASCADE = "cascade.json"


@dataclass(frozen=True, eq=False)
class RunData:
    """Parsed files of a run; None for those that are missing.

    Attributes:
        folder: Where they came from.
        metrics: ``metrics.json``.
        results: Its splits.
        calibration: ``calibration.json``.
        pareto: ``pareto.csv``.
        words: ``traces/test.parquet``, or the validation trace where data has no test split.
        generated_trace: The same of a generator.
        log: ``train_log.jsonl``.
        config: ``config.yaml``, as text.
        exits: ``exit_config.json`` of the model.
        is_cascade: Whether it is a cascade, whose "layers" are complete models.
        settings: ``traces/settings.parquet``.
        benches: ``bench.json`` and ``bench-32.json``, by size of the batches.
    """

    folder: Path
    metrics: Mapping[str, Any] | None
    results: Mapping[str, Result]
    calibration: Mapping[str, Any] | None
    pareto: list[CurvePoint] | None
    words: WordTrace | None
    generated_trace: GeneratedTrace | None
    log: list[dict[str, Any]] | None
    config: str | None
    exits: Mapping[str, Any] | None
    is_cascade: bool = False
    settings: SettingTrace | None = None
    benches: Sequence[Bench] = ()

    @property
    def headline(self) -> Result | None:
        """The split that counts: test, else whatever there is."""
        return self.results.get("test") or next(iter(self.results.values()), None)

    @cached_property
    def task(self) -> str:
        """The task, or an empty string."""
        return str((self.metrics or {}).get("task") or "")

    @cached_property
    def generates(self) -> bool:
        """Whether the model generates texts, rather than labelling words."""
        if self.headline is not None:
            return self.headline.generates
        if self.words is not None or self.generated_trace is not None:
            return self.generated_trace is not None
        return self.exits is not None and not self.exits.get("labels")

    @property
    def metric(self) -> str:
        """The figure that is the quality."""
        return self.headline.metric if self.headline is not None else "quality"

    @property
    def unit(self) -> str:
        """What leaves at an exit."""
        if self.headline is not None:
            return self.headline.unit
        return unit_of(self.task, self.generates)

    @property
    def holder(self) -> str:
        """What its rows are part of."""
        return HOLDERS[self.unit]

    @property
    def step(self) -> str:
        """What depth is counted in."""
        return "model" if self.is_cascade else "layer"

    @cached_property
    def num_layers(self) -> int:
        """Depth of the network, as far as the files tell."""
        origin = self.folder / METRICS
        told = [int(number(self.metrics or {}, "num_layers", origin) or 0)]
        told += [max(r.num_layers, len(r.exit_histogram)) for r in self.results.values()]
        told += [
            int(t.exit_layer.max())
            for t in (self.words, self.generated_trace)
            if t is not None and len(t)
        ]
        found = max(1, *told, *((self.exits or {}).get("exit_layers") or [1]))
        if found > DEEPEST:
            raise UserError(f"{origin}: {found} layers are no sensible number. {AGAIN}")
        return found

    @cached_property
    def exit_layers(self) -> list[int]:
        """Layers with an exit."""
        return list((self.exits or {}).get("exit_layers") or range(1, self.num_layers + 1))

    @property
    def written(self) -> GeneratedTrace | None:
        """The name of before for ``generated_trace``."""
        told = "RunData.written is called generated_trace now."
        warnings.warn(told, DeprecationWarning, stacklevel=2)
        return self.generated_trace

    def label(self, number: int) -> str:
        """Name of a class."""
        names = (self.metrics or {}).get("labels") or (self.exits or {}).get("labels") or ()
        if number < 0:  # evaluation keeps labels that training did not have, as always wrong
            return "unknown label"
        return str(names[number]) if number < len(names) else f"class {number}"


def load_run(folder: str | Path) -> RunData:
    """Read a run folder.

    Raises:
        UserError: There is no such folder, nothing in it is a run's, or a file is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{str(folder)!r} is not a folder. Give the output folder of a recipe.")
    if not any((folder / name).is_file() for name in (METRICS, CALIBRATION, PARETO, TRACE, LOG)):
        raise UserError(
            f"{str(folder)!r} holds none of {METRICS}, {CALIBRATION}, {PARETO}, {TRACE} and {LOG}, "
            "so it is no run folder. Give the output folder of a recipe."
        )
    metrics = read_json(folder / METRICS)
    results = _results(metrics, folder / METRICS)
    moved = read_table(folder / SETTINGS)
    words, generated = _trace(folder, labelled=any(not r.generates for r in results.values()))
    return RunData(
        folder=folder,
        metrics=metrics,
        results=results,
        calibration=read_json(folder / CALIBRATION),
        pareto=read_curve_points(folder / PARETO),
        words=words,
        generated_trace=generated,
        log=read_jsonl(folder / LOG),
        config=read_text(folder / CONFIG),
        exits=read_json(folder / EXITS),
        is_cascade=(folder / CASCADE).is_file(),
        settings=None if moved is None else setting_trace_of(moved, folder / SETTINGS),
        benches=read_benches(folder),
    )


def _trace(folder: Path, labelled: bool) -> tuple[WordTrace | None, GeneratedTrace | None]:
    """The words of a tagger or the texts of a generator; what it is the columns tell."""
    path = folder / TRACE
    path = path if path.is_file() else folder / TRACE_WITHOUT_TEST
    table = read_table(path)
    if table is None:
        return None, None
    if is_generated(table) and not labelled:
        return None, generated_trace_of(table, path)
    return word_trace_of(table, path), None


def _results(metrics: Mapping[str, Any] | None, path: Path) -> dict[str, Result]:
    splits = (metrics or {}).get("splits") or {}
    if not isinstance(splits, Mapping):
        raise UserError(f"{path}: splits should be an object, not {splits!r}.")
    return {
        name: read_result(
            {"split": name, **data} if isinstance(data, Mapping) else data,
            f"{path}, splits.{name}",
        )
        for name, data in splits.items()
    }
