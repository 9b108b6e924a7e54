"""The README's clocks as Markdown, from what ``run.py`` measured.

    python benchmarks/table.py results.json [more.json ...]             # printed
    python benchmarks/table.py results.json --readme README.md          # and put between its marks

*Over* is the time of the other over that of ours with its policy, median of the passes; *at full
depth* the same for ours without exits; *exits alone* is our full depth over ours with the policy,
with the share of what the arithmetic allows in brackets.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from on_device.table import device_tables  # noqa: E402

from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402
from tokenexit.files import write_text  # noqa: E402

BEGIN, END = "<!-- clocks -->", "<!-- /clocks -->"
HEADER = (
    "run", "batch", "int8, ms a text", "over plain", "over int8 of", "at full depth", "exits alone",
    "agrees", "fp32 over plain", "exits alone, fp32",
)  # fmt: skip
Measured = Mapping[str, Any]


def read(paths: Sequence[Path]) -> list[Measured]:
    """All measurements of some files.

    Raises:
        UserError: One is not there, or is none of ``run.py``.
    """
    found: list[Measured] = []
    for path in paths:
        try:
            found += json.loads(path.read_text(encoding="utf-8"))["measured"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is no file of benchmarks/run.py: {error}") from error
    return found


def tables(measured: Sequence[Measured]) -> str:
    """Everything as Markdown: the clocks, what torch's operators reach, threads, the machine.

    Raises:
        UserError: Clocks of --device among others.
    """
    on_device = [one for one in measured if "row" in one["settings"]]
    if on_device and len(on_device) < len(measured):
        raise UserError("Clocks with --device and without have tables of their own: give one kind.")
    if on_device:
        return device_tables(on_device)
    parts = [_markdown(HEADER, _rows(measured, "auto"))]
    without = list(_rows(measured, "off"))
    if without:
        parts.append("Without a compiler (torch's operators):")
        parts.append(_markdown(HEADER[:8], [row[:8] for row in without]))
    parts += [*_threads(measured), _ran(measured)]
    return "\n\n".join(parts)


def _rows(measured: Sequence[Measured], kernels: str) -> Iterator[list[str]]:
    """One line for each run and batch size on one thread."""
    cases = {
        (one["settings"]["model"], one["settings"]["batch_size"], one["settings"]["precision"]): one
        for one in measured
        if one["settings"]["kernels"] == kernels and one["settings"]["threads"] == 1
    }
    for model, size in dict.fromkeys(key[:2] for key in cases):
        int8, fp32 = (cases.get((model, size, precision)) for precision in ("int8", "fp32"))
        yield [model, str(size), *_int8(int8), *_fp32(fp32)]


def _int8(one: Measured | None) -> list[str]:
    if one is None:
        return [""] * 6
    found = one["result"]
    ours = next(row for row in found["rows"] if row["name"] == "ours, policy")
    return [
        f"{ours['ms_per_text']:.2f}",
        _spread(found, "speedup"),
        *_engine(found),
        _exits(found),
        f"{100 * ours['agreement']:.1f} %",
    ]


def _engine(found: Mapping[str, Any]) -> tuple[str, str]:
    """How much faster than other engines' int8 ours is, with the policy and without."""
    policy, full = [], []
    for row in found["rows"]:
        name = row["name"].split(",")[0]
        if name in ("ours", "plain transformers", "plain") or row["precision"] != "int8":
            continue
        if "reason" in row:
            policy.append(f"{name}: {row['reason']}")
        else:
            policy.append(f"{name} {_spread(row, 'ours')}")
            full.append(f"{row['full_depth_median']:.2f}x")
    return "; ".join(policy), "; ".join(full)


def _fp32(one: Measured | None) -> list[str]:
    return ["", ""] if one is None else [_spread(one["result"], "speedup"), _exits(one["result"])]


def _exits(found: Mapping[str, Any]) -> str:
    return f"{found['policy_speedup']:.2f}x ({100 * found['of_bound']:.0f} %)"


def _spread(found: Mapping[str, Any], name: str) -> str:
    low, high = found[f"{name}_p10"], found[f"{name}_p90"]
    return f"{found[f'{name}_median']:.2f}x ({low:.2f}-{high:.2f})"


def _threads(measured: Sequence[Measured]) -> list[str]:
    """How much faster more threads are, where one and more were measured."""
    alone: dict[tuple[Any, ...], float] = {}
    lines = []
    for one in sorted(measured, key=lambda one: one["settings"]["threads"]):
        told = one["settings"]
        key = tuple(told[name] for name in ("model", "precision", "batch_size", "kernels"))
        rows = one["result"]["rows"]
        spent = next(row["ms_per_text"] for row in rows if row["name"] == "ours, policy")
        if told["threads"] == 1:
            alone[key] = spent
        elif key in alone:
            gain = alone[key] / spent
            lines.append(f"{one['case']}: {gain:.2f} times as fast as one thread.")
    return ["\n".join(f"- {line}" for line in lines)] if lines else []


def _ran(measured: Sequence[Measured]) -> str:
    """What all of it ran on."""
    told = {
        f"{ran['processor']}, {ran['cores']} cores; torch {ran['instruction_set']}; kernels "
        f"{ran['kernels']}; {', '.join(f'{k} {v}' for k, v in ran['versions'].items())}; "
        f"commit {one['commit'][:12]}"
        for one in measured
        for ran in [one["result"]["ran"]]
    }
    return "\n".join(f"- {line}" for line in sorted(told))


def _markdown(header: Sequence[str], rows: Iterator[list[str]] | list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def put(text: str, readme: Path) -> None:
    """Put the tables between the marks of a file.

    Raises:
        UserError: It has none.
    """
    content = readme.read_text(encoding="utf-8")
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{readme} has no {BEGIN} ... {END}; write them where the table belongs.")
    write_text(readme, f"{before}{BEGIN}\n{text}\n{END}{after}")


def main(argv: Sequence[str]) -> None:
    """Print the tables, and put them where they belong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path, help="files of run.py")
    parser.add_argument("--readme", type=Path, help="file with the marks of the table")
    given = parser.parse_args(argv)
    text = tables(read(given.results))
    print(text)
    if given.readme is not None:
        put(text, given.readme)


if __name__ == "__main__":
    with friendly_errors():
        main(sys.argv[1:])
