"""Messages say what was given, and do nothing to the terminal they are read in."""

from __future__ import annotations

import logging

import pytest

from tokenexit.config import friendly_errors
from tokenexit.errors import UserError, printable, unknown_name
from tokenexit.reporting.tables import results_markdown, results_text
from tokenexit.workflows.logs import _Plain

OBEYED = (
    "\x1b[31m", "\x07", "\x00", "\r", "\x7f", "\x9b2J", "\x85", "\u202e", "\u2066", "\u200f",
    "\u061c", "\u2028", "\ud800",
)  # fmt: skip


@pytest.mark.parametrize("mark", OBEYED, ids=ascii)
def test_what_a_terminal_obeys_is_written_as_its_escape(mark):
    shown = printable(f"a{mark}b")
    assert shown == f"a{ascii(mark)[1:-1]}b"
    assert shown.isprintable()


@pytest.mark.parametrize("text", ["a\tb\nc", "naïve", "日本語", "👩‍🚀", "עברית", "a\u200cb", "é"])
def test_what_people_write_stays(text):
    assert printable(text) == text


def test_anything_can_be_printed():
    assert printable(7) == "7"


@pytest.mark.parametrize("mark", OBEYED, ids=ascii)
def test_errors_are_printable(mark, capsys):
    error = unknown_name(f"label{mark}", "x", [f"B-{mark}"])
    assert mark not in str(error)
    with pytest.raises(SystemExit), friendly_errors():
        raise UserError(f"The task {mark} is unknown.")
    assert mark not in capsys.readouterr().err


def test_tables_and_messages_of_a_run_are_printable():
    row = {
        "split": "te\x1b]0;st", "metric": "f\x9b1", "quality": 0.5, "mean_exit_layer": 1.5,
        "num_layers": 2, "exit_histogram": [1, 1], "policy": {"name": "\u202enever"},
    }  # fmt: skip
    record = logging.LogRecord("tokenexit", logging.INFO, "", 0, "%s", ("lab\x1bel",), None)
    for text in (results_text(row), results_markdown([row]), _Plain("%(message)s").format(record)):
        assert not {"\x1b", "\x9b", "\u202e"} & set(text)
