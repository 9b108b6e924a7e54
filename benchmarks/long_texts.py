r"""Long texts, where taking out rows pays: quality kept, multiply-accumulates and the clock.

    python data_scripts/make_long_texts.py DATA --input TEXTS --source openstax --classes 12
    python recipes/classification.py method=single exit_layers=[] data=DATA model=MODEL \
        output_dir=runs/plain
    python benchmarks/long_texts.py results.json --plain runs/plain --data DATA \
        --system core_set runs/plain core_set --system lengths runs/lengths

A system is a name, the folder of a run, and the reducer it is used with if that is not its own:
train whatever is to be compared by a recipe, from the plain run's ``runs/plain`` where a paper
starts from a fine-tuned model. The reducer's threshold is chosen on the validation split, as the
least work that keeps the share ``--quality`` of what the plain run's model reaches there without
any; a reducer without a threshold is taken as it is. Then the test split is run once; when that is
done for all systems, some of its texts are timed, taking turns with the plain model in padded
batches. What is in the file already is not measured again, if the commit is the same.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from kept import Results, commit, machine  # noqa: E402

from tokenexit.calibration.rows.choose import calibrate_reducer  # noqa: E402
from tokenexit.calibration.rows.config import ReducerGoal  # noqa: E402
from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402
from tokenexit.evaluation import evaluate  # noqa: E402
from tokenexit.evaluation.bench.machine import what_ran  # noqa: E402
from tokenexit.workflows.commands import open_model  # noqa: E402

HEADER = (
    "system", "reducer", "kept on validation", "accuracy", "kept", "fewer multiply-accumulates",
    "faster, batches of 32", "agrees",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One system.

    Attributes:
        name: Of the system.
        folder: Of its run.
        reducer: In place of its own; None for that.
        quality: Share to keep on the validation split.
        settings: Of its threshold that are run.
        validate_on: Texts that choose it.
        test_on: Texts that are measured.
        texts: Texts that are timed.
        repeats: Timed passes.
        batch_size: Texts a batch.
    """

    name: str
    folder: str
    reducer: str | None
    quality: float
    settings: int
    validate_on: int
    test_on: int
    texts: int
    repeats: int
    batch_size: int = 32


def measure(case: Case, plain: dict[str, float], data: str) -> dict[str, Any]:
    """Choose the reducer on the validation split; quality and work on the test split.

    Args:
        case: The system.
        plain: Quality of the plain run's model by split.
        data: The corpus.
    """
    opened = open_model(case.folder, reducer=case.reducer)
    model, size = opened.model, case.batch_size
    reducer, found = model.reducer, None
    if reducer is not None and reducer.threshold_spec() is not None:
        goal = ReducerGoal("threshold", min_quality=case.quality, settings=case.settings)
        validation = opened.split(data, "validation").sample(case.validate_on)
        held_to = {"held_to": plain["validation"], "on_unknown": "keep"}
        found = calibrate_reducer(model, validation, goal, batch_size=size, **held_to)
        model.use_reducer(found.reducer)
    test = opened.split(data, "test").sample(case.test_on)
    given: dict[str, Any] = {"batch_size": size, "full_depth": plain["test"], "on_unknown": "keep"}
    result, _ = evaluate(model, test, "test", **given)
    return {
        "reducer": model.settings.reducer,
        "policy": dict(result.policy),
        "validation": None if found is None else asdict(found.chosen),
        "test": {
            key: getattr(result, key)
            for key in ("metric", "quality", "quality_full_depth", "relative_quality", "mac_ratio")
        },
        "clock": None,
        "ran": what_ran(),
    }


def timed(case: Case, reducer: dict[str, Any] | None, data: str) -> dict[str, Any]:
    """Times of the chosen reducer on some texts of the test split.

    Args:
        case: The system.
        reducer: As ``measure`` chose it.
        data: The corpus.
    """
    opened = open_model(case.folder, reducer="none")
    if reducer is not None:
        opened.model.use_reducer(reducer)
    few = opened.split(data, "test").sample(case.texts)
    told: dict[str, Any] = {"batch_size": case.batch_size, "repeats": case.repeats}
    return opened.bench(few, None, None, **told).to_json()


def plain_quality(folder: str, data: str, case: Case) -> dict[str, float]:
    """What the plain model reaches on the texts by which systems are chosen and measured."""
    opened = open_model(folder, reducer="none")
    sizes = {"validation": case.validate_on, "test": case.test_on}
    return {
        name: evaluate(
            opened.model,
            opened.split(data, name).sample(size),
            name,
            "never",  # type: ignore[arg-type]
            batch_size=case.batch_size,
            on_unknown="keep",
        )[0].quality
        for name, size in sizes.items()
    }


def table(measured: Sequence[dict[str, Any]]) -> str:
    """All systems of a file as Markdown."""
    rows = [HEADER, ("---",) * len(HEADER)]
    for one in measured:
        found, clock = one["result"], one["result"]["clock"]
        chosen, test = found["validation"], found["test"]
        rows.append(
            (
                one["case"],
                described(found["reducer"]),
                "as it is" if chosen is None else f"{chosen['relative_quality']:.1%}",
                f"{test['quality']:.1%}",
                f"{test['relative_quality']:.1%}",
                f"{1 / test['mac_ratio']:.2f}x",
                *clocked(clock),
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def described(reducer: dict[str, Any] | None) -> str:
    """A reducer in short."""
    if reducer is None:
        return "none"
    told = {k: v for k, v in reducer.items() if k in ("ratio", "threshold", "shares", "counts")}
    short = {k: [round(n, 2) for n in v] if isinstance(v, list) else v for k, v in told.items()}
    inside = ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}"
                       for k, v in short.items() if v not in ([], ()))  # fmt: skip
    return f"`{reducer['name']}({inside})`"


def clocked(clock: dict[str, Any] | None) -> tuple[str, str]:
    """How many times faster than the plain model, and what share of texts is labelled as by it."""
    if clock is None:
        return "", ""
    ours = next(row for row in clock["rows"] if row["name"] == "ours, policy")
    spread = f"{clock['speedup_p10']:.2f}-{clock['speedup_p90']:.2f}"
    return f"{clock['speedup_median']:.2f}x ({spread})", f"{ours['agreement']:.1%}"


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="file of results")
    parser.add_argument("--plain", required=True, help="folder of the run all are held to")
    parser.add_argument("--data", required=True, help="the corpus")
    parser.add_argument("--system", nargs="+", action="append", required=True,
                        metavar=("NAME FOLDER", "REDUCER"), help="what is measured")  # fmt: skip
    parser.add_argument("--quality", type=float, default=0.99, help="share to keep")
    parser.add_argument("--settings", type=int, default=8, help="settings of a threshold to run")
    parser.add_argument("--validate-on", type=int, default=200, help="texts that choose")
    parser.add_argument("--test-on", type=int, default=400, help="texts that are measured")
    parser.add_argument("--texts", type=int, default=64, help="texts that are timed")
    parser.add_argument("--repeats", type=int, default=5, help="timed passes")
    return parser.parse_args(argv)


def cases_of(args: argparse.Namespace) -> list[Case]:
    """The systems that were asked for.

    Raises:
        UserError: One is not a name, a folder and perhaps a reducer.
    """
    names = ("quality", "settings", "validate_on", "test_on", "texts", "repeats")
    told = {name: getattr(args, name) for name in names}
    cases = []
    for given in args.system:
        if len(given) not in (2, 3) or not Path(given[1]).is_dir():
            raise UserError(
                f"--system takes a name, the folder of a run and perhaps a reducer, not {given}."
            )
        cases.append(Case(given[0], given[1], given[2] if len(given) == 3 else None, **told))
    return cases


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is not in the file yet, and print the table."""
    args = parsed(argv)
    cases = cases_of(args)
    results = Results(args.out, machine(), commit(), [one.name for one in cases])
    plain: dict[str, float] = {}
    for case in cases:
        if results.has(case):
            continue
        plain = plain or plain_quality(args.plain, args.data, case)
        start = time.perf_counter()
        found = measure(case, plain, args.data)
        results.add(case, sys.argv, time.perf_counter() - start, found)
        print(f"{case.name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    for case in cases:
        known = results.measured[case.name]
        if (found := known["result"])["clock"] is None:
            found["clock"] = timed(case, found["reducer"], args.data)
            results.add(case, sys.argv, known["seconds"], found)
    print(table(list(results.measured.values())))


if __name__ == "__main__":
    with friendly_errors():
        main()
