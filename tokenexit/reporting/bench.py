"""What ``tokenexit bench`` timed, as it was saved beside a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenexit.errors import UserError
from tokenexit.reporting.files import AGAIN, number, read_json
from tokenexit.wording.naming import counted

PATTERNS = ("bench.json", "bench-[0-9]*.json")
"""Names under which comparisons are found in a run folder."""


@dataclass(frozen=True)
class TimedRow:
    """One thing that was timed, or that could not be.

    Attributes:
        name: What it is.
        precision: What it computed in.
        ms: Milliseconds a text; None where it was not timed.
        per_second: Texts or tokens a second.
        speedup: Time of plain transformers over its own.
        over_ours: Its time over that of ours with the policy.
        over_full: Its time over that of ours at full depth.
        agreement: Share of answers that are plain transformers'.
        reason: Why there are no figures.
    """

    name: str
    precision: str
    ms: float | None
    per_second: float | None
    speedup: float | None
    over_ours: float | None
    over_full: float | None
    agreement: float | None
    reason: str

    @property
    def ours(self) -> bool:
        """Whether it is this package's."""
        return self.name.startswith("ours")


@dataclass(frozen=True)
class Bench:
    """One comparison.

    Attributes:
        batch_size: Texts a batch.
        kind: ``words``, ``texts`` or ``tokens``.
        where: Machine, threads and precision, in a few words.
        texts: Texts that were timed.
        policy: Who halted, as plain data.
        total: Plain transformers' time over ours with the policy.
        engine: The same over ours at full depth.
        exits: Ours at full depth over ours with the policy.
        depth: Mean exit layer with the policy.
        num_layers: The whole depth.
        rows: Everything that was timed, plain transformers first.
    """

    batch_size: int
    kind: str
    where: str
    texts: int
    policy: Any
    total: float
    engine: float
    exits: float
    depth: float
    num_layers: int
    rows: Sequence[TimedRow]

    @property
    def policy_ms(self) -> float | None:
        """Milliseconds a text with the policy."""
        return next((row.ms for row in self.rows if row.ours and row.over_ours == 1), None)

    @property
    def full_ms(self) -> float | None:
        """The same at full depth."""
        return next((row.ms for row in self.rows if row.ours and row.over_full == 1), None)

    @property
    def best_other(self) -> TimedRow | None:
        """The fastest that is not ours, in the precision of ours."""
        own = next((row.precision for row in self.rows if row.ours), None)
        timed = [r for r in self.rows if not r.ours and r.ms is not None and r.precision == own]
        return min(timed, key=lambda row: row.ms or math.inf, default=None)

    @property
    def batches(self) -> str:
        """How texts were batched, in words."""
        return "one by one" if self.batch_size == 1 else f"in batches of {self.batch_size}"


def read_benches(folder: Path) -> list[Bench]:
    """All comparisons of a run folder, the largest batches first.

    Raises:
        UserError: A file is damaged, or holds something else.
    """
    paths = sorted(path for pattern in PATTERNS for path in folder.glob(pattern))
    found = [_bench(data, path) for path in paths if (data := read_json(path)) is not None]
    return sorted(found, key=lambda bench: -bench.batch_size)


def _bench(data: Mapping[str, Any], path: Path) -> Bench:
    names = (
        "batch_size", "n_sentences", "speedup_median", "full_depth_speedup", "policy_speedup",
        "mean_exit_layer", "num_layers",
    )  # fmt: skip
    told = [number(data, name, path) for name in names]
    ran, rows = data.get("ran") or {}, data.get("rows")
    if None in told or not isinstance(rows, list) or not isinstance(ran, Mapping):
        raise UserError(f"{path} is not what tokenexit bench --json writes. {AGAIN}")
    size, texts, total, engine, exits, depth, layers = (float(value or 0) for value in told)
    parts = [str(ran[key]) for key in ("processor", "instruction_set") if ran.get(key)]
    threads = number(data, "threads", path)
    parts += [counted(int(threads), "thread")] if threads is not None else []
    parts += [str(data[key]) for key in ("device", "precision") if data.get(key)]
    return Bench(
        batch_size=int(size),
        kind=str(data.get("kind") or "texts"),
        where=", ".join(parts),
        texts=int(texts),
        policy=data.get("policy"),
        total=total,
        engine=engine,
        exits=exits,
        depth=depth,
        num_layers=int(layers),
        rows=[_row(row, path) for row in rows],
    )


def _row(row: Any, path: Path) -> TimedRow:
    if not isinstance(row, Mapping) or "name" not in row:
        raise UserError(f"{path}: rows should be objects with a name. {AGAIN}")
    names = (
        "ms_per_text", "per_second", "speedup_median", "ours_median", "full_depth_median",
        "agreement",
    )  # fmt: skip
    return TimedRow(
        str(row["name"]),
        str(row.get("precision") or ""),
        *(number(row, name, path) for name in names),
        reason=str(row.get("reason") or ""),
    )
