r"""Whether exits and a reducer together save more than either alone, at equal quality.

    python benchmarks/exits_and_reducers.py --exits runs/exits --reducer runs/reducer \
        --both runs/both --data DATA/goemotions_sentiment --out both.json
    python benchmarks/exits_and_reducers.py --table both.json

Three classifiers, which may be one: trained with exits, with a reducer, and with both. Alone, exits
run a ladder of entropies without any reducer, and a reducer a ladder of its threshold without
exits; together they run pairs of some of either. All settings are runs of the engine on the
validation split. For each share of quality in --asked, held to the first model at full depth and
without a reducer, the setting of each way that costs fewest multiply-accumulates is chosen there,
and its run on the test split is the result. A setting that is in the file already is not measured
again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tokenexit import reducers  # noqa: E402
from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402
from tokenexit.evaluation.bench.machine import what_ran  # noqa: E402
from tokenexit.evaluation.evaluate import evaluate  # noqa: E402
from tokenexit.files import to_json, write_text  # noqa: E402
from tokenexit.policies.entropy import Entropy  # noqa: E402
from tokenexit.policies.never import Never  # noqa: E402
from tokenexit.workflows.commands import open_model  # noqa: E402

WAYS = ("exits", "reducer", "both")
ENTROPIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9)
RATIOS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)

Setting = tuple[float | None, float | None]
"""Threshold of the reducer and of the entropy; None for none."""


def ladder(way: str) -> list[Setting]:
    """Settings of one way, from strict to loose."""
    if way == "exits":
        return [(None, entropy) for entropy in ENTROPIES]
    if way == "reducer":
        return [(ratio, None) for ratio in RATIOS]
    return [(ratio, entropy) for ratio in RATIOS[:4] for entropy in ENTROPIES[1::2]]


class Runs:
    """Runs of one model on some texts of its splits.

    Args:
        folder: The model.
        options: Of the command line.
    """

    def __init__(self, folder: str, options: argparse.Namespace) -> None:
        opened: Any = open_model(folder)
        self.model, self._size = opened.model, options.batch_size
        self._own = self.model.reducer
        self._splits = {}
        for name, most in (("validation", options.validation), ("test", options.test)):
            split = opened.split(options.data, name)
            drawn = Random(0).sample(range(len(split)), min(most or len(split), len(split)))
            self._splits[name] = split.take(sorted(drawn))

    def at(self, name: str, setting: Setting) -> dict[str, float]:
        """Quality, and multiply-accumulates over those of the plain model, on a split."""
        ratio, entropy = setting
        if ratio is not None and self._own is None:
            raise UserError("The model has no reducer to turn; give one that was trained with it.")
        reducer = None if ratio is None else reducers.from_config(self._own).with_threshold(ratio)
        policy = Never() if entropy is None else Entropy(entropy)
        split = self._splits[name]
        self.model.use_reducer(reducer)
        known = {"full_depth": 1.0, "batch_size": self._size}
        result, _ = evaluate(self.model, split, name, policy, **known)
        return {"quality": result.quality, "macs": result.mac_ratio}


def measure(options: argparse.Namespace) -> None:
    """Run everything that is not in the file yet."""
    path = Path(options.out)
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else _empty(options)
    runs: dict[str, Runs] = {}

    def ran(way: str, name: str, setting: Setting) -> dict[str, float]:
        known = found["ways"].setdefault(way, {}).setdefault(name, [])
        for point in known:
            if (point["ratio"], point["entropy"]) == setting:
                return point
        folder = getattr(options, way)
        if folder not in runs:
            runs[folder] = Runs(folder, options)
        told = dict(zip(("ratio", "entropy"), setting, strict=True))
        known.append({**told, **runs[folder].at(name, setting)})
        write_text(path, to_json(found))
        return known[-1]

    for name in ("validation", "test"):
        found["full"][name] = ran("exits", name, (None, None))["quality"]
    for way in WAYS:
        points = [ran(way, "validation", setting) for setting in ladder(way)]
        for asked in options.asked:
            best = chosen(points, asked * found["full"]["validation"])
            if best is not None:
                ran(way, "test", (best["ratio"], best["entropy"]))
    print("\n".join(table(found, options.asked)))


def _empty(options: argparse.Namespace) -> dict[str, Any]:
    runs = {way: Path(getattr(options, way)).name for way in WAYS}
    return {
        "data": Path(options.data).name,
        "runs": runs,
        "ran": what_ran(),
        "full": {},
        "ways": {},
    }


def chosen(points: Sequence[Mapping[str, Any]], quality: float) -> Mapping[str, Any] | None:
    """The cheapest of those that are as good as was asked; of equals the first."""
    good = [point for point in points if point["quality"] >= quality]
    return min(good, key=lambda point: point["macs"], default=None)


def table(found: Mapping[str, Any], asked: Sequence[float]) -> Iterator[str]:
    """A file as Markdown."""
    full = found["full"]
    yield (
        f"{found['data']}: quality at full depth {full['validation']:.1%} on validation, "
        f"{full['test']:.1%} on test; quality kept and how many times fewer multiply-accumulates\n"
    )
    yield "| asked on validation | way | reducer | entropy | validation | test |"
    yield "|---" * 6 + "|"
    for share in asked:
        for way, runs in found["ways"].items():
            points = [p for p in runs["validation"] if (p["ratio"], p["entropy"]) in ladder(way)]
            best = chosen(points, share * full["validation"])
            if best is None:
                yield f"| {share:.0%} | {way} | none is as good | | | |"
                continue
            key = best["ratio"], best["entropy"]
            test = next(
                (p for p in runs.get("test", ()) if (p["ratio"], p["entropy"]) == key), None
            )
            told = [
                _told(full, "validation", best),
                "" if test is None else _told(full, "test", test),
            ]
            settings = ["" if value is None else f"{value:g}" for value in key]
            yield f"| {share:.0%} | {way} | {' | '.join([*settings, *told])} |"


def _told(full: Mapping[str, float], name: str, point: Mapping[str, Any]) -> str:
    return f"{point['quality'] / full[name]:.1%} at {1 / point['macs']:.2f}x"


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for way in WAYS:
        parser.add_argument(f"--{way}", help=f"run folder of a classifier, for {way}")
    parser.add_argument("--data", help="its corpus, with validation and test splits")
    parser.add_argument("--validation", type=int, help="texts of it, drawn at random; all if empty")
    parser.add_argument("--test", type=int, help="likewise")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--asked", type=float, nargs="+", default=[1.0, 0.99, 0.97, 0.95])
    parser.add_argument("--out", default="exits_and_reducers.json")
    parser.add_argument("--table", nargs="+", help="print files that were measured")
    options = parser.parse_args(arguments)
    if options.table:
        for path in options.table:
            print("\n".join(table(json.loads(Path(path).read_text()), options.asked)))
        return
    if not options.data or not all(getattr(options, way) for way in WAYS):
        raise UserError("Say which --exits, --reducer, --both and --data, or --table and files.")
    measure(options)


if __name__ == "__main__":
    with friendly_errors():
        main()
