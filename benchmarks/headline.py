"""The README's first table: what is kept, and milliseconds of plain, the best other and ours.

    python benchmarks/headline.py                       # printed
    python benchmarks/headline.py --write README.md     # and put between its marks

Clocks are those of ``run.py`` (``results/xeon_2_cores.json``: int8, one thread, compiled kernels),
qualities those of ``quality.py``. Where ours is faster without exits, or its policy lets nobody
leave, the cell is marked, and the quality of that batch size is the one without exits. Where cut
networks were recorded (``cut_networks.py``), the last column has the smallest of them that is as
good as exits, and its multiply-accumulates over theirs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT)]

from cut_table import STATIC, Match, as_good  # noqa: E402

from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402
from tokenexit.files import write_text  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results"
CLOCKS, QUALITY = RESULTS / "xeon_2_cores.json", RESULTS / "quality.json"
CUT = RESULTS / "cut"
SIZES = (1, 32)
TASKS = {
    "ewt": "entities (EWT)",
    "bc5cdr": "diseases, chemicals (BC5CDR)",
    "pos": "parts of speech (EWT)",
    "ende": "translation (Tatoeba en-de)",
    "e2e": "text from data (E2E)",
}
"""Runs that are shown where they were measured, and what a reader calls them."""

MARK = "†"
METRICS = {"f1": "F1", "accuracy": "acc.", "bleu": "BLEU"}


@dataclass(frozen=True)
class Cell:
    """Milliseconds a text at one batch size, and the quality of ours there."""

    plain: float
    other: float
    engine: str
    ours: float
    exits: bool
    quality: Mapping[str, Any]


def cell(result: Mapping[str, Any], model: str, quality: Mapping[str, Any]) -> Cell:
    """What one ``tokenexit bench`` says."""
    rows = [row for row in result["rows"] if "reason" not in row]
    times = {row["name"]: row["ms_per_text"] for row in rows if row["name"].startswith("ours")}
    others = [row for row in rows if not row["name"].startswith(("ours", "plain"))]
    if not others:
        raise UserError(f"No other engine was measured for {model}; run benchmarks/run.py.")
    best = min(others, key=lambda row: row["ms_per_text"])
    policy, full = times["ours, policy"], times["ours, full depth"]
    exits = policy < full and result["policy"]["name"] != "never"
    alone = f"{model}_one"
    ran = alone if result["batch_size"] == 1 and alone in quality else model
    return Cell(
        next(row["ms_per_text"] for row in rows if row["name"].startswith("plain")),
        best["ms_per_text"],
        f"{best['name'].split(',')[0]} {best['precision']}",
        policy if exits else full,
        exits,
        quality[ran if exits else _full(model, quality)]["result"],
    )


def _full(model: str, quality: Mapping[str, Any]) -> str:
    """Name of the evaluation without exits, which may be that of the run's own policy."""
    never = f"{model}, never"
    return never if never in quality else model


def measured(clocks: Mapping[str, Any], quality: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name and cells by batch size of each run with all that a row takes."""
    by_case = {one["case"]: one["result"] for one in clocks["measured"]}
    for model in TASKS:
        names = [f"{model}, int8, batch {size}" for size in SIZES]
        if all(name in by_case for name in names) and model in quality:
            yield model, [cell(by_case[name], model, quality) for name in names]


def cuts() -> dict[str, Match]:
    """The smallest cut that is as good as exits, of each run that has them."""
    found = {}
    for path in sorted(CUT.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        trained = [name for name in record["exits"] if name != STATIC]
        if trained:
            found[path.stem] = as_good(record, trained[0])
    return found


def table(
    clocks: Mapping[str, Any],
    quality: Mapping[str, Any],
    cut: Mapping[str, Match] | None = None,
) -> str:
    """All of it as Markdown.

    Args:
        clocks: What ``run.py`` found.
        quality: What ``quality.py`` found.
        cut: As ``cuts`` finds them, which is taken when None.
    """
    cut = cuts() if cut is None else cut
    rows = list(measured(clocks, quality))
    if not rows:
        raise UserError("No run has clocks and quality; run benchmarks/run.py and quality.py.")
    engines = {one.engine for _, cells in rows for one in cells}
    same = engines.pop() if len(engines) == 1 else None
    lines = [
        ["task", "batch", "plain", same or "best other", "ours int8", "quality kept"],
        ["---", *["--:"] * 4, "---"],
    ]
    shown = any(model in cut for model, _ in rows)
    for line, told in zip(lines, ("cut as good", "---"), strict=True):
        line += [told] * shown
    for model, cells in rows:
        for size, one in zip(SIZES, cells, strict=True):
            other = _ms(one.other) + ("" if same else f" ({one.engine})")
            told = [str(size), _ms(one.plain), other, _ours(one), _kept(one.quality)]
            told += [_cut(cut.get(model)) if size == SIZES[0] else ""] * shown
            lines.append([TASKS[model] if size == SIZES[0] else "", *told])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _ours(one: Cell) -> str:
    return f"**{_ms(one.ours)}**" + ("" if one.exits else MARK)


def _cut(found: Match | None) -> str:
    if found is None:
        return ""
    if found.cut_cost is None:
        return "none"
    return f"{found.layers} layers, {found.cut_cost / found.cost:.2f}x the work"


def _ms(value: float) -> str:
    return f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def _kept(quality: Mapping[str, Any]) -> str:
    """The share of full depth's quality, and the quality."""
    told = f"{METRICS[quality['metric']]} {100 * quality['quality']:.1f}"
    return f"{100 * quality['relative_quality']:.1f} % ({told})"


def _read(path: Path, what: str) -> Any:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict) or (what == "run.py" and "measured" not in found):
        raise UserError(f"{path} is no file of benchmarks/{what}; give one.")
    return found


def put(text: str, page: Path, mark: str = "headline") -> None:
    """Put a table between the marks of a page.

    Raises:
        UserError: It has none, or is no page.
    """
    if not page.is_file():
        raise UserError(f"There is no {page}; give a page with the marks of the table.")
    content = page.read_text(encoding="utf-8")
    before, begin, rest = content.partition(f"<!-- {mark} -->")
    _, end, after = rest.partition(f"<!-- /{mark} -->")
    if not begin or not end:
        raise UserError(f"{page} has no <!-- {mark} --> ... <!-- /{mark} -->; write them first.")
    write_text(page, f"{before}{begin}\n{text}\n{end}{after}")


def main(argv: Sequence[str]) -> None:
    """Print the table, and put it where it belongs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clocks", type=Path, default=CLOCKS, help="file of run.py")
    parser.add_argument("--quality", type=Path, default=QUALITY, help="file of quality.py")
    parser.add_argument("--write", type=Path, nargs="*", default=[], help="pages with the marks")
    given = parser.parse_args(argv)
    text = table(_read(given.clocks, "run.py"), _read(given.quality, "quality.py"))
    print(text)
    for page in given.write:
        put(text, page)


if __name__ == "__main__":
    with friendly_errors():
        main(sys.argv[1:])
