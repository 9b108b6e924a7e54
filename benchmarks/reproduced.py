"""What papers claim of their methods, beside what comparisons here reached.

    python benchmarks/reproduced.py                              # printed
    python benchmarks/reproduced.py --write                      # and put into the pages

Claims are those of the abstracts, in short, where they give a number. Ours are of
``recipes/results/methods``: the policy that was set on the validation split to keep 99 % of the
method's own full depth, measured on the test split, over plain fine-tuning (``single``) there.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from headline import put  # noqa: E402

from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402
from tokenexit.methods import METHODS  # noqa: E402

RESULTS = ROOT / "recipes" / "results" / "methods"
DOCS = ROOT / "docs"
CORPORA = {"banking77": "banking77", "goemotions_sentiment": "GoEmotions", "snli_cad": "SNLI pairs"}
SAVED = "calibrated_depth_speedup"
OURS = ("this project", "own")
NOT_PUBLISHED = (*OURS, "static baseline", "plain fine-tuning")
BUDGETS = {
    "1.5x": "two thirds of its multiply-accumulates",
    "2x": "half of them",
    "3x": "a third",
}
"""Columns of thresholds chosen on the validation split."""

UNLEARNED = {"snli_cad": ("palbert",)}
"""Left out of who keeps what: it had hardly begun to learn, so there was little to keep."""

CLAIMS = {
    "calm": "up to 3x as fast, quality promised",
    "cascadebert": "15 % better than early exits at 4x",
    "deebert": "up to 40 % less time, little lost",
    "fastbert": "1 to 12 times as fast, by threshold",
    "power_bert": "up to 4.5x less time for less than 1 % (GLUE)",
    "sentee": "66 to 75 % less cost, with `tokee`, little lost",
    "tangobert": "93.9 % at 8.2x on SST-2",
    "tokee": "66 to 75 % less cost, little lost",
    "tr_bert": "2 to 5 times as fast",
    "transkimmer": "10.97x on average for less than 1 % (GLUE)",
}
"""As the abstracts say it, in our words; of methods that are not here, none names a number that
we have read."""


def measured(name: str) -> dict[str, list[Mapping[str, str]]]:
    """Runs of a comparison, by method."""
    path = RESULTS / name / "comparison.csv"
    try:
        rows = list(csv.DictReader(path.open(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    found: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        if row["calibrated_relative_quality"]:
            found.setdefault(row["method"], []).append(row)
    return found


def cell(runs: Sequence[Mapping[str, str]], single: Sequence[Mapping[str, str]]) -> str:
    """Share of fine-tuning's quality and layers saved, means over seeds."""
    if not runs:
        return "–"
    kept = _mean(runs, "calibrated_quality") / _mean(single, "full_depth")
    return f"{100 * kept:.1f} % at {_mean(runs, 'calibrated_depth_speedup'):.2f}x"


def _mean(runs: Sequence[Mapping[str, str]], key: str) -> float:
    return sum(float(run[key]) for run in runs) / len(runs)


def rows() -> Iterator[list[str]]:
    """One line for each method that has a claim or a measurement."""
    found = {name: measured(name) for name in CORPORA}
    for name, method in sorted(METHODS.items()):
        ours = [cell(runs.get(name, []), runs["single"]) for runs in found.values()]
        claim = CLAIMS.get(name, "–")
        if claim != "–" or set(ours) != {"–"}:
            yield [f"`{name}`", method.paper, claim, *ours]


def table() -> str:
    """All of it as Markdown."""
    header = ["method", "paper", "its claim", *CORPORA.values()]
    lines = [header, ["---"] * 3 + ["--:"] * len(CORPORA), *rows()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def chosen() -> str:
    """Who keeps 99 % at 1.5x fewer layers or more, chosen on validation and in hindsight."""
    lines = []
    for name, told in CORPORA.items():
        runs = measured(name)
        ours, baselines, published, hindsight = [], [], [], 0
        for method, own in sorted(runs.items(), key=lambda pair: -_mean(pair[1], SAVED)):
            if method in UNLEARNED.get(name, ()):
                continue
            paper = own[0]["paper"]
            hindsight += paper not in NOT_PUBLISHED and _all(own, "kept_99_at_1.5x")
            if not _all(own, "calibrated_kept_99_at_1.5x"):
                continue
            place = ours if paper in OURS else baselines if paper in NOT_PUBLISHED else published
            place.append(f"`{method}` {_mean(own, SAVED):.2f}x")
        lines.append(
            f"- {told}: {len(published) or 'no'} published preset{'s' * (len(published) != 1)}"
            + f"{': ' * bool(published)}{', '.join(published)}. "
            + (f"Of ours {', '.join(ours)}. " if ours else "")
            + (f"Baselines: {', '.join(baselines)}. " if baselines else "")
            + f"With thresholds chosen on the test split itself: {hindsight or 'none'}."
        )
        lines += [f"  - {line}" for budget in BUDGETS if (line := within(runs, budget))]
    return "\n".join(lines)


def within(runs: Mapping[str, Sequence[Mapping[str, str]]], budget: str) -> str:
    """Who keeps 99 % of plain fine-tuning's quality with so little work, chosen on validation.

    Args:
        runs: Of a comparison, by method.
        budget: A key of ``BUDGETS``.

    Returns:
        Empty where the comparison is of a time when nobody was asked that.
    """
    key, single = f"chosen_{budget}", _mean(runs["single"], "full_depth")
    if not any(key in run for own in runs.values() for run in own):
        return ""
    shares = {
        method: 100 * _mean(own, key) / single
        for method, own in runs.items()
        if all(run[key] for run in own)
    }
    kept = sorted((-share, method) for method, share in shares.items() if share >= 99)
    told = ", ".join(f"`{method}` {-share:.1f} %" for share, method in kept)
    return f"Of plain fine-tuning's quality, with {BUDGETS[budget]}: {told or 'nobody 99 %'}."


def _all(runs: Sequence[Mapping[str, str]], key: str) -> bool:
    """Whether all seeds do; counts of seeds are no 'True'."""
    return all(run[key] == "True" for run in runs)


def main(argv: Sequence[str]) -> None:
    """Print both, and put them where they belong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="into docs/")
    given = parser.parse_args(argv)
    print(table(), chosen(), sep="\n\n")
    if given.write:
        put(table(), DOCS / "reproduced.md", "reproduced")
        put(chosen(), DOCS / "methods_compared.md", "chosen")


if __name__ == "__main__":
    with friendly_errors():
        main(sys.argv[1:])
