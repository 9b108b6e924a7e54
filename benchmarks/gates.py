r"""How gates are best fitted: curves of quality and layers saved, for several fits of one model.

    python benchmarks/gates.py runs/ewt --data DATA/uner_en_ewt --precision int8 --out gates.json \
        --fits '[{}, {"seed": 1}, {"target": "right"}, {"inner": 0}, {"reach": 0}, {"rounds": 1}]'
    python benchmarks/gates.py --table gates.json

Each fit is one of ``tokenexit fit-gate`` on the training split; the engine then runs a ladder of
thresholds on the validation and the test split, and entropy beside them. *Kept* is quality over
that of full depth in float32. The threshold is chosen on validation, the loosest that
kept as much as --asked, and its run on test is the result; whole curves are in --out.
Folders of models are left as they are. A fit that is in the file already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402
from tokenexit.evaluation.bench.machine import what_ran  # noqa: E402
from tokenexit.evaluation.evaluate import evaluate  # noqa: E402
from tokenexit.evaluation.reference import in_full_precision  # noqa: E402
from tokenexit.files import to_json, write_text  # noqa: E402
from tokenexit.policies import Policy  # noqa: E402
from tokenexit.policies.context_gate import ContextGate  # noqa: E402
from tokenexit.policies.entropy import Entropy  # noqa: E402
from tokenexit.policies.never import Never  # noqa: E402
from tokenexit.workflows.commands import open_model  # noqa: E402

SPLITS = ("validation", "test")
LADDER = (0.0001, 0.0003, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.06, 0.12, 0.17, 0.25)
OF_ENTROPY = (0.003, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.45, 0.6)
ENTROPY = "entropy"
LOST = 0.05
"""A ladder ends where validation has lost as much: looser is worse still."""

HEADER = (
    "fit", "multiply-adds", "fitted in", "threshold", "validation", "test", "test, strict to loose",
)  # fmt: skip

Curve = list[dict[str, float]]


class Runs:
    """Runs of a model on its splits, held to full depth in float32.

    Args:
        opened: The model and its data's settings.
        splits: By name.
        batch_size: Texts a batch.
    """

    def __init__(self, opened: Any, splits: Mapping[str, Any], batch_size: int) -> None:
        self.model, self._splits, self._size = opened.model, splits, batch_size
        self._full: dict[str, Any] = {}
        with in_full_precision(self.model):
            for name, split in splits.items():
                self._full[name] = evaluate(self.model, split, name, Never(), batch_size=batch_size)

    def kept(self, name: str, policy: Policy) -> tuple[float, float]:
        """Share of quality that is kept on a split, and how many times fewer layers."""
        full, deep = self._full[name]
        known = {"full_depth": full.quality, "full": deep, "batch_size": self._size}
        result, _ = evaluate(self.model, self._splits[name], name, policy, **known)
        return result.relative_quality, result.depth_speedup

    def curve(self, policies: Mapping[float, Policy]) -> Curve:
        """Every rung on every split, from strict to loose."""
        rungs: Curve = []
        for value, policy in policies.items():
            rung = {"threshold": value}
            for name in SPLITS:
                rung[f"{name}_kept"], rung[f"{name}_fewer"] = self.kept(name, policy)
            rungs.append(rung)
            if rung["validation_kept"] < 1.0 - LOST:
                break
        return rungs


def measure(options: argparse.Namespace) -> None:
    """Fit and run everything that is not in the file yet."""
    opened: Any = open_model(options.model, precision=options.precision)
    told = {"column": options.column} if options.column else {}
    splits = {name: opened.split(options.data, name, **told) for name in ("train", *SPLITS)}
    path = Path(options.out)
    found = json.loads(path.read_text()) if path.is_file() else _empty(options)
    runs = Runs(opened, {name: splits[name] for name in SPLITS}, options.batch_size)
    for fit in [ENTROPY, *options.fits]:
        name = fit if fit == ENTROPY else json.dumps(fit, sort_keys=True)
        if name in found["fits"]:
            continue
        start = time.perf_counter()
        if fit == ENTROPY:
            seconds, policies = 0.0, {value: Entropy(value) for value in OF_ENTROPY}
            macs = 0
        else:
            gate = opened.fit_gate(splits["train"], **fit)
            seconds, macs = time.perf_counter() - start, gate.macs
            opened.model.use_context(gate)
            policies = {value: ContextGate(value) for value in LADDER}
        curve = runs.curve(policies)
        found["fits"][name] = {"seconds": round(seconds, 1), "macs": macs, "curve": curve}
        write_text(path, to_json(found))
        print(row(name, found["fits"][name], options.asked), flush=True)


def _empty(options: argparse.Namespace) -> dict[str, Any]:
    name = Path(options.model).name
    return {
        "model": name,
        "data": Path(options.data).name,
        "precision": options.precision,
        "ran": what_ran(),
        "fits": {},
    }


def chosen(curve: Curve, asked: float) -> dict[str, float] | None:
    """The rung that saves most of those that kept as much on validation as was asked."""
    kept = [rung for rung in curve if rung["validation_kept"] >= asked]
    return max(kept, key=lambda rung: rung["validation_fewer"], default=None)


def row(name: str, fit: Mapping[str, Any], asked: float) -> str:
    """A fit as a line of Markdown."""
    best = chosen(fit["curve"], asked)
    head = f"| `{name}` | {fit['macs']:,} | {fit['seconds']:.0f} s "
    if best is None:
        return f"{head}| none | | | {_curve(fit['curve'])} |"
    return (
        f"{head}| {best['threshold']:g} | {best['validation_kept']:.1%} at "
        f"{best['validation_fewer']:.2f}x | {best['test_kept']:.1%} at {best['test_fewer']:.2f}x "
        f"| {_curve(fit['curve'])} |"
    )


def _curve(curve: Curve) -> str:
    return ", ".join(f"{r['test_fewer']:.2f}x {r['test_kept']:.1%}" for r in curve)


def table(paths: Sequence[str], asked: float) -> Iterator[str]:
    """Files as Markdown."""
    for path in paths:
        found = json.loads(Path(path).read_text())
        of = f"{found['model']} on {found['data']}, {found['precision']}"
        yield f"{of}, {asked:.0%} asked on validation:\n"
        yield "| " + " | ".join(HEADER) + " |"
        yield "|---" * len(HEADER) + "|"
        yield from (row(name, fit, asked) for name, fit in found["fits"].items())
        yield ""


def _fits(text: str) -> list[dict[str, Any]]:
    try:
        fits = json.loads(text)
    except ValueError:
        fits = None
    if not isinstance(fits, list) or not all(isinstance(fit, dict) for fit in fits):
        raise argparse.ArgumentTypeError(
            f'a list of settings of fit-gate, such as [{{}}, {{"inner": 0}}], not {text}'
        )
    return fits


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", help="run folder of a tagger or classifier")
    parser.add_argument("--data", help="its corpus, with training, validation and test splits")
    parser.add_argument("--column")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--asked", type=float, default=0.99, help="share of quality to keep")
    parser.add_argument("--fits", type=_fits, default=[{}], help="settings of fit-gate, as JSON")
    parser.add_argument("--out", default="gates.json")
    parser.add_argument("--table", nargs="+", help="print files that were measured")
    options = parser.parse_args(arguments)
    if options.table:
        print("\n".join(table(options.table, options.asked)))
        return
    if not options.model or not options.data:
        raise UserError("Say which model and which --data, or --table and files.")
    measure(options)


if __name__ == "__main__":
    with friendly_errors():
        main()
