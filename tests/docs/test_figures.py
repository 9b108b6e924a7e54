"""Figures in the text of pages are recorded, or defined; none is only told."""

from __future__ import annotations

import functools
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))

import page_values  # noqa: E402
from page_sentences import SAID  # noqa: E402
from page_sentences_of_trainings import SAID_OF_TRAININGS  # noqa: E402

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="docs/ is not installed")

UNIT = r"%|x\b|×|times\b|ms\b|µs\b|milliseconds\b|microseconds\b"
FIGURE = re.compile(
    rf"(?<![\w.=:])(?:(\d[\d,]*\.\d+)(?![\w.]*\.\d)(?: ?({UNIT}))?|(\d[\d,]*) ?({UNIT}))"
)
"""What marks a measurement: a share, a ratio, a time, and any number with a decimal point."""

TABLES = {"benchmarks.md", "context_gates.md", "promises.md", "reducers.md", "trainings.md"}
"""Pages whose tables are held cell by cell: ``test_numbers.py``, ``test_recorded.py`` and
``tests/test_benchmarks_promises.py``."""

HELD = {"policies_compared.md"}
"""Pages of which ``test_recorded.py`` compares every figure."""

SENTENCES = SAID | SAID_OF_TRAININGS

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
        "0.99": "a default",
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


def names_in(text: str) -> list[str]:
    """Recorded files and folders, as a page names them."""
    return re.findall(r"(?:benchmarks|recipes)/results/[\w*/.-]*\w", text)


def files_of(text: str) -> set[Path]:
    """Recorded files that a page names, by themselves, by their folder or by its README."""
    paths = {path for name in names_in(text) for path in ROOT.glob(name)}
    paths |= {path.parent for path in paths if path.suffix == ".md"}
    found = {file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])}
    return {path for path in found if path.suffix in (".json", ".csv")}


def spaced(sentence: str) -> str:
    """A pattern for the sentence however its lines are broken."""
    return r"\s+".join(map(re.escape, sentence.split()))


def blank(pattern: str, text: str) -> str:
    """The text without what matches, on as many lines."""
    return re.sub(pattern, lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL)


def written(page: Path) -> str:
    """A page, of a notebook what its cells of text say; what it prints is run by ``make``."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
    return "\n\n".join("".join(cell["source"]) for cell in cells)


def prose(page: Path) -> str:
    """A page without code, figures that scripts put between marks, and tables that are held."""
    text = blank(r"```.*?```|`[^`\n]*`", written(page))
    text = blank(r"<!-- (\w+) -->.*?<!-- /\1 -->", text)
    return blank(r"(?m)^\|[^\n]*$", text) if page.name in TABLES else text


@functools.cache
def said_on(page: Path) -> tuple[tuple[str, ...], frozenset[Path]]:
    """Sentences of a page with their values, and the files that these are of."""
    page_values.opened.clear()
    said = SENTENCES.get(page.relative_to(ROOT).as_posix(), ())
    return tuple(text.format(*values()) for text, values in said), frozenset(page_values.opened)


def unknown_in(page: Path) -> list[str]:
    """Lines with figures that are neither in a sentence nor defined."""
    left, defined = prose(page), ASKED | DEFINED.get(page.name, {}).keys()
    for sentence in said_on(page)[0]:
        left = blank(spaced(re.sub(r"`[^`]*`", "", sentence)), left)
    return [
        f"{page.relative_to(ROOT)}:{place}: {found[0]!r} in: {line.strip()}"
        for place, line in enumerate(left.splitlines(), 1)
        for found in FIGURE.finditer(line)
        if found[0] not in defined
    ]


@pytest.mark.parametrize("name", SENTENCES)
def test_sentences_have_the_values_of_their_files(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    said, opened = said_on(ROOT / name)
    wrong = [sentence for sentence in said if not re.search(spaced(sentence), text)]
    files = ", ".join(sorted(str(path.relative_to(ROOT)) for path in opened))
    assert not wrong, "\n".join([f"{name} has to say, by {files}:", *wrong])
    unnamed = sorted(str(path.relative_to(ROOT)) for path in opened - files_of(text))
    assert not unnamed, f"{name} has figures of files that it does not name: {unnamed}"


def test_every_figure_is_recorded_or_defined(page: Path) -> None:
    if page.name in HELD:
        return
    wrong, named = unknown_in(page), sorted(set(names_in(page.read_text(encoding="utf-8"))))
    assert not wrong, "\n".join(
        [
            *wrong,
            f"The page names {', '.join(named) or 'no recorded file'}. Add the sentence and its "
            "values to page_sentences.py, add the figure to DEFINED with what it is, or say it "
            "without a figure.",
        ]
    )


def test_every_figure_of_the_notebook_is_defined() -> None:
    assert unknown_in(ROOT / "docs" / "quickstart.ipynb") == []


def test_definitions_are_on_their_pages() -> None:
    for name, figures in DEFINED.items():
        text = (ROOT / ("" if name == "README.md" else "docs") / name).read_text(encoding="utf-8")
        assert [figure for figure in figures if figure not in text] == [], name


def test_a_figure_of_no_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "It keeps 99 % in `0.5` and\n```\n1.2x\n```\nis 7.77 times as fast, 3 % or 8 ms."
    )
    assert [line.split("'")[1] for line in unknown_in(page)] == ["7.77 times", "3 %", "8 ms"]
    cells = [{"cell_type": kind, "source": ["It is\n", "1.2x"]} for kind in ("code", "markdown")]
    notebook = tmp_path / "page.ipynb"
    notebook.write_text(json.dumps({"cells": cells}))
    assert unknown_in(notebook) == ["page.ipynb:2: '1.2x' in: 1.2x"]
