"""Networks cut to k layers beside exits, as Markdown; see ``cut_networks.py``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from tokenexit.errors import UserError

Record = Mapping[str, Any]
EDGE = 1e-9
STATIC = "first_layers"
"""Where all stop at one layer of a network with exits."""


def merged(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Records of one corpus as one: their seeds side by side.

    Raises:
        UserError: They are of other trainings, or measured one seed twice.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records:
        key = str(record["task"]), str(record["data"])
        held = found.get(key)
        if held is None:
            found[key] = {**record, "command": [record["command"]]}
            continue
        if any(held[name] != record[name] for name in ("train", "model", "metric")):
            raise UserError(f"Records of {record['data']} are of other trainings; give one kind.")
        held["command"].append(record["command"])
        for part in ("cuts", "exits"):
            for name, seeds in record[part].items():
                if (known := held[part].setdefault(name, {})).keys() & seeds.keys():
                    raise UserError(f"{record['data']}: {name} was measured twice with one seed.")
                held[part][name] = {**known, **seeds}
    return list(found.values())


def within(points: Sequence[Mapping[str, float]], cost: float) -> Mapping[str, Any] | None:
    """The setting that is best on the validation split for so much arithmetic there.

    Args:
        points: Of one training and seed, full depth among them.
        cost: Multiply-accumulates over those of the whole network.

    Returns:
        Of equals the cheapest; None where none is so cheap.
    """
    cheap = [p for p in points if p.get("validation_mac_ratio", cost + 1) <= cost + EDGE]
    return min(
        cheap, key=lambda p: (-p["validation_quality"], p["validation_mac_ratio"]), default=None
    )


def beside(record: Record, training: str, layers: str) -> dict[str, tuple[float, float]]:
    """By seed, a cut network's quality and that of exits within its arithmetic, both on test."""
    found = {}
    for seed, run in record["exits"].get(training, {}).items():
        cut = record["cuts"][layers].get(seed)
        if cut is None:
            continue
        best = within([*run["points"], run["full"]], cut["validation_mac_ratio"])
        if best is not None:
            found[seed] = cut["quality"], best["quality"]
    return found


def tables(records: Sequence[Record]) -> str:
    """Every corpus as Markdown."""
    return "\n\n".join(_table(record) for record in records)


def _table(record: Record) -> str:
    names = list(record["exits"])
    failed = [f"- `{name}`: {error}" for name, error in record["failed"].items()]
    if not record["cuts"]:
        return "\n".join([f"**{record['data']}**: nothing was measured.", "", *failed])
    lines = [
        f"**{record['data']}**, {record['metric']}, by the arithmetic of the network cut to k "
        "layers and fine-tuned alone:",
        "",
        "| layers | multiply-adds | cut, trained alone | " + " | ".join(map(_head, names)) + " |",
        "|---" * (3 + len(names)) + "|",
    ]
    for layers, seeds in record["cuts"].items():
        cells = [layers, f"{mean(one['mac_ratio'] for one in seeds.values()):.2f}"]
        cells.append(_points([one["quality"] for one in seeds.values()]))
        for name in names:
            pairs = beside(record, name, layers)
            whole = len(pairs) == len(seeds)
            cells.append(_points([q for _, q in pairs.values()]) if whole else "")
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(_calibrated(name, record) for name in names), *failed]
    return "\n".join(lines)


def _head(name: str) -> str:
    return "exits, all stopped at one layer" if name == STATIC else f"exits, `{name}`"


@dataclass(frozen=True)
class Match:
    """Calibrated exits beside the smallest cut that is as good, means over seeds.

    Attributes:
        cost: Multiply-accumulates of the exits over those of the whole network.
        layers: Of the cut; None where none is as good.
        cut_cost: Its multiply-accumulates over those of the whole network.
    """

    cost: float
    layers: int | None = None
    cut_cost: float | None = None


def as_good(record: Record, training: str) -> Match:
    """The smallest cut that is as good as calibrated exits, the whole network among them.

    Args:
        record: Of a corpus.
        training: Of the exits.
    """
    runs = [run["calibrated"] for run in record["exits"][training].values()]
    cost, quality = (mean(run[key] for run in runs) for key in ("mac_ratio", "quality"))
    equal = [
        (mean(one["mac_ratio"] for one in seeds.values()), int(layers))
        for layers, seeds in record["cuts"].items()
        if mean(one["quality"] for one in seeds.values()) >= quality - EDGE
    ]
    cut_cost, layers = min(equal, default=(None, None))
    return Match(cost, layers, cut_cost)


def _calibrated(name: str, record: Record) -> str:
    found = as_good(record, name)
    runs = [run["calibrated"] for run in record["exits"][name].values()]
    told = f"{_points([run['quality'] for run in runs])} at {found.cost:.2f}"
    if found.cut_cost is None:
        return f"- `{name}`, calibrated: {told}; no cut is as good."
    won = "cheaper" if found.cut_cost < found.cost else "dearer"
    return (
        f"- `{name}`, calibrated: {told}; the smallest cut as good as that has {found.layers} "
        f"layers and takes {found.cut_cost:.2f}, which is {won}."
    )


def _points(values: Sequence[float]) -> str:
    """Mean in points of 100, and the standard deviation over seeds."""
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{spread}" if values else ""
