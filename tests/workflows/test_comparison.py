"""What comparisons have in common: failures in one line, and settings that stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenexit.errors import UserError
from tokenexit.workflows.comparison import comparison, refuse_others, without_fail


def test_a_failure_is_a_line_that_says_where():
    def stumbles():
        raise RuntimeError("out of\nmemory")

    assert without_fail(lambda: {"quality": 1}) == {"quality": 1}
    error = without_fail(stumbles)["error"]
    assert error.startswith("RuntimeError: out of memory (test_comparison.py:")


def test_a_users_mistake_is_told_as_it_is_and_a_stop_is_no_failure():
    def mistaken():
        raise UserError("No such thing.")

    def stopped():
        raise KeyboardInterrupt

    assert without_fail(mistaken) == {"error": "No such thing."}
    with pytest.raises(KeyboardInterrupt):
        without_fail(stopped)


def test_only_settings_that_differ_are_named():
    held = {"batch_size": 4, "data": "a"}
    refuse_others(Path("x.json"), held, {"batch_size": "4", "data": "a"}, _as_text)
    message = "x.json was made with other settings: batch_size was '4' and is '5'. Give"
    with pytest.raises(UserError, match=message):
        refuse_others(Path("x.json"), held, {"batch_size": 5, "data": "a"}, _as_text)


def _as_text(settings):
    return {key: str(value) for key, value in settings.items()}


def test_a_folder_has_one_comparison_at_a_time(tmp_path):
    with (
        comparison(str(tmp_path), None),
        pytest.raises(UserError, match="a comparison"),
        comparison(str(tmp_path), None),
    ):
        pass
