"""A plugin that fails says in which file, at which line and why."""

from __future__ import annotations

import sys

import pytest

from tokenexit.errors import UserError
from tokenexit.registry import load_plugin


@pytest.mark.parametrize(
    ("code", "line", "why"),
    [
        ("x = 1\ndef f(:\n", 2, "SyntaxError: invalid syntax"),
        ("x = [\n\n", 1, "SyntaxError: '[' was never closed"),
        ("if x:\nprint(1)\n", 2, "IndentationError: expected an indented block"),
        ("import math\n\nmath.nothing\n", 3, "AttributeError: module 'math' has no attribute"),
        ("def f():\n    return 1 / 0\nf()\n", 2, "ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)\n", 1, "SystemExit: 0"),
        ("raise RuntimeError\n", 1, "RuntimeError: no reason given"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError: Expecting property name"),
        ("x = (\n" * 300, 1, "SyntaxError: "),
    ],
)
def test_a_file_that_fails(code, line, why, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(code, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_plugin(str(path))
    told = str(caught.value)
    assert why in told
    if len(code) < 1000:
        assert f"{path}, line {line}" in told
    assert "\n" not in told


@pytest.mark.parametrize("content", [b"\0\0", b"# -*- coding: nothing -*-\n", b"x = '\xff'\n"])
def test_a_file_that_is_no_python(content, tmp_path):
    (tmp_path / "mine.py").write_bytes(content)
    with pytest.raises(UserError, match=r"mine\.py"):
        load_plugin(str(tmp_path / "mine.py"))


def test_a_file_that_imports_what_there_is_not(tmp_path):
    (tmp_path / "mine.py").write_text("import nobody_has_this\n")
    with pytest.raises(UserError, match=r"mine\.py.*No module named 'nobody_has_this'"):
        load_plugin(str(tmp_path / "mine.py"))


def test_a_module_that_fails(tmp_path, monkeypatch):
    (tmp_path / "my_plugin_module.py").write_text("a = 1\n1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"my_plugin_module\.py, line 2: ZeroDivisionError"):
        load_plugin("my_plugin_module")
    assert "my_plugin_module" not in sys.modules
    for name in ("nothing_here", "..up", ""):
        with pytest.raises(UserError, match="Plugin"):
            load_plugin(name)


def test_its_own_word_is_passed_on(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from tokenexit.errors import UserError\nraise UserError('set MY_KEY first')\n"
    )
    with pytest.raises(UserError, match=r"^set MY_KEY first$"):
        load_plugin(str(tmp_path / "mine.py"))
