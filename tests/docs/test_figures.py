"""Figures in the text of pages are recorded, or defined; none is only told."""

from __future__ import annotations

import csv
import functools
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from page_sentences import SAID  # noqa: E402

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="docs/ is not installed")

UNIT = r"%|x\b|×|times\b|ms\b|µs\b|milliseconds\b|microseconds\b"
FIGURE = re.compile(
    rf"(?<![\w.=:])(?:(\d[\d,]*\.\d+)(?![\w.]*\.\d)(?: ?({UNIT}))?|(\d[\d,]*) ?({UNIT}))"
)
"""What marks a measurement: a share, a ratio, a time, and any number with a decimal point."""

TABLES = {"benchmarks.md", "context_gates.md", "promises.md", "reducers.md", "trainings.md"}
"""Pages whose tables are held cell by cell: ``test_numbers.py``, ``test_recorded.py`` and
``tests/test_benchmarks_promises.py``."""

ASKED = {"90 %", "90%", "95 %", "95%", "98 %", "99 %"}
"""What is asked of exits, of promises and of intervals, on every page."""

DEFINED = {
    "README.md": {
        "3.11": "a version",
        "0.95": "what a promise asks",
        "2.0": "a version",
    },
    "batching_by_depth.md": {
        "15 %": "what the test of the account allows",
        "1.2 times": "what was aimed at",
        "1.1 times": "what was aimed at",
        "1.3 times": "what was aimed at",
    },
    "benchmarks.md": {
        **dict.fromkeys(("0.5", "0.6", "0.7"), "settings of a training"),
        "1.50x": "layer 4 of six",
        "20 times": "a default",
    },
    "concepts.md": {"0.3": "an example", "2x": "an example"},
    "context_gates.md": {
        "1 %": "what is lost where 99 % is kept",
        "3x": "a column's budget",
        "1.8": "millions of multiply-accumulates of a layer of MiniLM, by its shape",
    },
    "generator_gates.md": {"0.15": "a default"},
    "get_started.md": {"3.11": "a version"},
    "gpu.md": {"35 %": "the depth that is forced"},
    "methods.md": {"1.5x": "a column", "2x": "a column", "3x": "a column"},
    "methods_compared.md": {"1.5x": "a column", "2x": "a column", "3x": "a column"},
    "pretraining.md": {"15 %": "a default", "80 %": "a default", "10 %": "a default"},
    "promises.md": {
        "96.67 %": "10 % over three epochs",
        "1 %": "a column, and the default rate of audits",
        "2 %": "a column",
        "5 %": "a column",
        "10 %": "a column",
        "5%": "what the audit allows",
        "1.8": "entities a sentence of BC5CDR",
    },
    "reducers.md": {"32.6 %": "by hand, in tests/reducers", "0.85": "a setting"},
    "trainings.md": {
        "2x": "a column",
        "3x": "a column",
        "3 times": "a column's budget",
        "0.2": "the least budget of the area",
    },
    "training_on_gpus.md": {
        "85 %": "what is aimed at",
        "30 %": "FILL_LAUNCHED",
        "70 %": "FILL",
        "0.6": "teraFLOP, six operations a weight and token",
    },
    "weighed_rows.md": {"0.5": "a default"},
    "widths.md": dict.fromkeys(("0.75", "0.5", "0.25"), "settings of a curve"),
}
"""Figures that are settings, aims or worked by hand, and what they are."""


def numbers(data: Any) -> Iterator[float]:
    """All numbers of a file's content, those written as text included."""
    if isinstance(data, dict | list):
        for part in data.values() if isinstance(data, dict) else data:
            yield from numbers(part)
    elif isinstance(data, int | float | str) and not isinstance(data, bool):
        try:
            yield float(data)
        except ValueError:
            return


@functools.cache
def read(path: Path) -> tuple[float, ...]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return tuple(numbers(json.loads(text)))
    return tuple(numbers(list(csv.reader(text.splitlines()))))


def files_of(text: str) -> list[Path]:
    """Recorded files that a page names, by themselves, by their folder or by its README."""
    named = re.findall(r"(?:benchmarks|recipes)/results/[\w*/.-]*\w", text)
    paths = {path for name in named for path in ROOT.glob(name)}
    paths |= {path.parent for path in paths if path.suffix == ".md"}
    found = {file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])}
    return sorted(path for path in found if path.suffix in (".json", ".csv"))


def found_in(paths: Sequence[Path], number: str, unit: str) -> bool:
    """Whether a file has a number that is printed so; of a ratio, whichever way round."""
    told = number.replace(",", "")
    places = len(told.partition(".")[2])
    for value in (value for path in paths for value in read(path)):
        forms = [100 * value] if unit in ("%", "") else []
        forms += [value, 1 / value if value else value] if unit != "%" else []
        if told in [f"{form:.{places}f}" for form in forms]:
            return True
    return False


def spaced(sentence: str) -> str:
    """A pattern for the sentence however its lines are broken."""
    return r"\s+".join(map(re.escape, sentence.split()))


def blank(pattern: str, text: str) -> str:
    """The text without what matches, on as many lines."""
    return re.sub(pattern, lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL)


def prose(page: Path) -> str:
    """A page without code, figures that scripts put between marks, and tables that are held."""
    text = blank(r"```.*?```|`[^`\n]*`", page.read_text(encoding="utf-8"))
    text = blank(r"<!-- (\w+) -->.*?<!-- /\1 -->", text)
    return blank(r"(?m)^\|[^\n]*$", text) if page.name in TABLES else text


@functools.cache
def said_on(name: str) -> tuple[str, ...]:
    """Sentences of a page, with their values."""
    return tuple(text.format(*values()) for text, values in SAID.get(name, ()))


@pytest.mark.parametrize("name", SAID)
def test_sentences_have_the_values_of_their_files(name: str) -> None:
    page = (ROOT / name).read_text(encoding="utf-8")
    wrong = [sentence for sentence in said_on(name) if not re.search(spaced(sentence), page)]
    assert not wrong, "\n".join([f"{name} has to say, by the recorded files:", *wrong])


def test_every_figure_is_recorded_or_defined(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    paths, left = files_of(text), prose(page)
    for sentence in said_on(page.relative_to(ROOT).as_posix()):
        assert paths, f"{page.name} names no recorded file, and has figures of some"
        left = blank(spaced(re.sub(r"`[^`]*`", "", sentence)), left)
    wrong = []
    for place, line in enumerate(left.splitlines(), 1):
        for found in FIGURE.finditer(line):
            number, unit = found[1] or found[3], found[2] or found[4] or ""
            if found[0] in ASKED or found[0] in DEFINED.get(page.name, {}):
                continue
            # Of one or two digits some number of a large file always has the value.
            enough = len(re.sub(r"\D", "", number)) > 2
            if not (enough and found_in(paths, number, unit)):
                wrong.append(f"{page.relative_to(ROOT)}:{place}: {found[0]!r} in: {line.strip()}")
    looked = ", ".join(str(path.relative_to(ROOT)) for path in paths) or "no file: it names none"
    assert not wrong, "\n".join(
        [*wrong, f"looked in {looked}", "Name the file, add the sentence to page_sentences.py, "
         "or add the figure to DEFINED with a reason."]
    )  # fmt: skip


def test_definitions_are_on_their_pages() -> None:
    for name, figures in DEFINED.items():
        text = (ROOT / ("" if name == "README.md" else "docs") / name).read_text(encoding="utf-8")
        assert [figure for figure in figures if figure not in text] == [], name


def test_a_figure_of_no_file_is_noticed() -> None:
    paths = files_of("see benchmarks/results/waiting.json")
    assert found_in(paths, "1.24", "x")
    assert not found_in(paths, "7.77", "x")
    assert files_of("`benchmarks/results/nothing.json`") == []
