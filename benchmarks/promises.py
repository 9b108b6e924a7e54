r"""Are promises kept? Fresh calibrations by the thousand, on texts of which the truth is known.

    python benchmarks/promises.py --out benchmarks/results/promises.json
    python benchmarks/promises.py --run runs/ewt --data DATA/uner_en_ewt --out promises-ewt.json
    python benchmarks/promises.py --table benchmarks/results/promises.json

A population of texts is either made here, with settings from strict to loose that lose more and
more, or is what a run's engine gave on its validation and test texts. Each calibration draws so
many texts from it and tests settings one by one, as ``tokenexit calibrate --promise`` does, in an
order that other texts of the population fixed. It is *broken* where the setting that came out
breaks the promise on the whole population: seldom enough is in no more than ``1 - sure`` of the
draws. *Saved* is how many times fewer layers, on average; *best* what the best setting saves that
keeps the promise there.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from promise_draws import last_passed  # noqa: E402
from promise_traces import Population, of_run, read, save, take  # noqa: E402

from tokenexit.calibration.candidate_list import Listed, frontier, safety, thinned  # noqa: E402
from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.files import to_json, write_text  # noqa: E402
from tokenexit.guarantees import Guarantee, parse  # noqa: E402
from tokenexit.guarantees.groups import groups_of  # noqa: E402
from tokenexit.policies.never import Never  # noqa: E402

SIZES = (30, 100, 300, 600, 1000, 5000)
DEPTH = 6
ASKED = (
    "differs <= 0.05", "words changed <= 0.02", "words of a text changed <= 0.02",
    "accuracy kept >= 0.99", "accuracy loss <= 0.01", "token accuracy kept >= 0.995",
    "exact match kept >= 0.98", "f1 kept >= 0.99", "f1 loss <= 0.01", "error loss <= 0.05",
    "error kept >= 0.95", "brier loss <= 0.02", "every class differs <= 0.1",
    "f1 kept >= 0.98 and differs <= 0.1",
    "differs <= 0.05 and layers saved >= 2.4",
)  # fmt: skip
LISTING = 1500

Columns = dict[str, Any]


def made(texts: int, seed: int, settings: int = 40) -> Population:
    """Texts with 1 to 40 words, some hard: what exits lose grows with the setting."""
    rng = np.random.default_rng(seed)
    words = rng.integers(1, 41, texts).astype(float)
    hard, luck = rng.beta(0.4, 4.0, texts), rng.random(texts)
    entities = rng.binomial(words.astype(int), 0.08).astype(float)
    right = rng.binomial(entities.astype(int), 0.85).astype(float)
    found = right + rng.binomial(entities.astype(int), 0.15)
    sure = (rng.random(texts) < 0.85).astype(float)
    error, brier = rng.exponential(0.5, texts), rng.beta(0.5, 3.0, texts)
    known = {"rows": words, "deep": DEPTH * words, "most": np.full(texts, 2.0)}
    known |= {"class": rng.integers(0, 5, texts), "length": words}
    full = known | {
        "changed": np.zeros(texts), "layers": DEPTH * words, "right": sure, "exact": sure,
        "f1_over": 2 * right, "f1_under": found + entities, "error": error, "brier": brier,
    }  # fmt: skip
    tried = []
    for loose in np.linspace(0.02, 1.6, settings):
        # One draw a text for all settings: who is lost once is lost at looser settings, too.
        lost = luck < hard * loose * 0.6
        share = np.where(lost, np.ceil(words * hard * loose * 0.5), 0.0)
        fewer = np.minimum(right, np.where(lost, np.ceil(right * hard * loose), 0.0))
        turned = lost & (rng.random(texts) < 0.75)  # the rest of those that change get right
        better = np.where(turned, 0.0, np.where(lost, 1.0, sure))
        layers = words * DEPTH * np.maximum(0.17, 1 - 0.75 * loose**0.5 * (1 - hard))
        tried.append(known | {
            "changed": np.minimum(share, words), "layers": layers, "right": better,
            "exact": better, "f1_over": 2 * (right - fewer),
            "f1_under": found + entities - np.where(fewer > 0, 1.0, 0.0),
            "error": error + np.where(lost, rng.normal(0.15, 0.4, texts), 0.0).clip(-error),
            "brier": np.clip(brier + np.where(lost, rng.normal(0.1, 0.2, texts), 0.0), 0, 2),
        })  # fmt: skip
    return Population(full, tried)


def _saved(columns: Mapping[str, Any]) -> float:
    return float(columns["deep"].sum() / columns["layers"].sum())


def holds(asked: Sequence[Guarantee], exits: Columns, full: Columns) -> bool:
    """Whether all promises hold of all these texts."""
    for guarantee in asked:
        kind = guarantee.kind
        for texts in groups_of(guarantee.every, full).values():
            here, deep = take(exits, texts), take(full, texts)
            if "most" in kind.needs:  # up to how much an error counts is a part of the promise
                kept = bool(kind.terms(here, deep, guarantee.allowed).low.mean() >= 0)
            else:
                found = kind.measured(here, deep)
                kept = found >= guarantee.allowed if kind.at_least else found <= guarantee.allowed
            if not kept:
                return False
    return True


def listed(population: Population, text: str, rng: np.random.Generator) -> list[int]:
    """Settings that are tested, the safest first: as training texts, or other texts, say."""
    if text in population.lists:
        return list(population.lists[text])
    asked, chosen = parse(text), rng.integers(0, population.size, LISTING)
    deep, tried = take(population.full, chosen), []
    for number, columns in enumerate(population.settings):
        there = take(columns, chosen)
        tried.append((Listed(Never(), safety(asked, there, deep), 1 / _saved(there)), number))
    numbers = {id(one): number for one, number in tried}
    return [numbers[id(one)] for one in thinned(frontier([one for one, _ in tried]))]


def calibrations(
    population: Population, text: str, texts: int, draws: int, seed: int
) -> dict[str, Any]:
    """Fresh calibrations of one promise on so many texts each."""
    asked, rng = parse(text), np.random.default_rng(seed)
    order = listed(population, text, rng)
    drawn = rng.integers(0, population.size, (draws, texts))
    full, settings = population.full, [population.settings[number] for number in order]
    kept = last_passed(asked, full, settings, drawn)
    truth = np.array([True, *(holds(asked, one, full) for one in settings)])
    saved = np.array([1.0, *map(_saved, settings)])
    broken, got = float((~truth[kept]).mean()), saved[kept]
    best = max((_saved(one) for one in population.settings if holds(asked, one, full)), default=1.0)
    delta = max(one.delta or 0.0 for one in asked)
    limit = delta + 3 * math.sqrt(delta * (1 - delta) / draws)
    return {
        "promise": text, "texts": texts, "draws": draws, "delta": delta,
        "broken": broken, "kept_seldom_enough": broken <= limit,
        "saved": float(got.mean()), "best": max(best, 1.0),
        "best_listed": float(saved[truth].max()), "nobody_leaves": float((kept == 0).mean()),
    }  # fmt: skip


def table(found: Mapping[str, Any]) -> str:
    """Broken promises and savings, a line a promise and a column a number of texts."""
    rows = found["calibrations"]
    sizes = sorted({row["texts"] for row in rows})
    lines = ["| promise | best | " + " | ".join(f"{n} texts" for n in sizes) + " |"]
    lines.append("| :-- | --: |" + " --: |" * len(sizes))
    for text in dict.fromkeys(row["promise"] for row in rows):
        mine = {row["texts"]: row for row in rows if row["promise"] == text}
        cells = [
            f"{mine[n]['saved']:.2f}x, {mine[n]['broken']:.1%}" if n in mine else "–" for n in sizes
        ]
        best = next(iter(mine.values()))["best"]
        lines.append(f"| {text} | {best:.2f}x | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the calibrations, or show what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--run", help="folder of a run whose traces are resampled")
    parser.add_argument("--data", help="its data")
    parser.add_argument("--lang", default="", help="direction of a translation")
    parser.add_argument("--traces", type=Path, help="parquet file of traces: made, or read")
    parser.add_argument("--engine", action="store_true", help="run settings, do not simulate them")
    parser.add_argument("--grid", type=int, default=32, help="settings of each family of a run")
    parser.add_argument("--policy", nargs="*", default=[], help="families, of a run")
    parser.add_argument("--listing", type=int, default=LISTING, help="training texts for lists")
    parser.add_argument("--known", type=int, default=10**6, help="texts of each split of a run")
    parser.add_argument("--promises", nargs="*", default=None, help="others than the usual ones")
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES), help="texts")
    parser.add_argument("--draws", type=int, default=1000, help="calibrations of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="JSON file to write")
    parser.add_argument("--table", help="show a file that was written")
    given = parser.parse_args(argv)
    if given.table:
        print(table(json.loads(Path(given.table).read_text("utf-8"))))
        return
    promises = given.promises or ASKED
    if given.run:
        evidence, lists = of_run(
            given.run, given.data, promises, engine=given.engine, grid=given.grid,
            limit=given.listing, known=given.known, lang=given.lang,
            families=given.policy,
        )  # fmt: skip
        path = given.traces or Path("promise-traces.parquet")
        save(path, evidence, lists)
        population = read(path)
    elif given.traces:
        population = read(given.traces)
    else:
        population = made(20_000, given.seed)
    found: dict[str, Any] = {
        "command": " ".join(["python", "benchmarks/promises.py", *(argv or sys.argv[1:])]),
        "texts_known": population.size, "calibrations": [],
    }  # fmt: skip
    for text in promises:
        for texts in given.sizes:
            found["calibrations"].append(
                calibrations(population, text, texts, given.draws, given.seed + texts)
            )
            print(json.dumps(found["calibrations"][-1]), file=sys.stderr, flush=True)
            if given.out:
                write_text(Path(given.out), to_json(found, indent=2) + "\n")
    print(table(found))


if __name__ == "__main__":
    with friendly_errors():
        main()
