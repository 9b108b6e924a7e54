"""Which task it is, is asked in few places: what differs by task is said by the task."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "tokenexit"

TASKS = frozenset(
    "ner pos classification regression translation data_to_text summarization text2text".split()
)
LEVELS = frozenset("token step sentence value word text number".split())
KINDS = frozenset("tagger classifier generator cascade".split())
ASKED = frozenset("task level unit policy_unit row_unit kind".split())
CLASSES = frozenset(
    "ExitModelForTokenClassification ExitModelForSequenceClassification ExitModelForSeq2SeqLM "
    "EncoderModel CascadeForSequenceClassification ClassificationConfig TaggingConfig "
    "Seq2SeqConfig TextSplit ScoredSplit PairSplit TextTrace".split()
)
MOST = 14
"""Branches outside of tasks, of which two are of files and of what is saved."""


def asked(node: ast.expr) -> str:
    """Name of what is compared: of a variable, an attribute or an entry."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return ""


def texts(node: ast.AST) -> set[str]:
    """Text constants in an expression."""
    found = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
    return {value for value in found if isinstance(value, str)}


def is_branch(node: ast.AST) -> bool:
    """Whether it asks which task, level or kind it is."""
    if isinstance(node, ast.Compare):
        names = {asked(part) for part in (node.left, *node.comparators)}
        said = texts(node)
        return bool(names & ASKED and said & (TASKS | LEVELS | KINDS))
    called = isinstance(node, ast.Call) and asked(node.func) in ("isinstance", "issubclass")
    return called and any(
        asked(part) in CLASSES for part in ast.walk(node) if isinstance(part, ast.expr)
    )


def branches() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        if place.parts[0] in ("tasks", "demo"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if is_branch(node):
                yield f"{place.as_posix()}:{node.lineno} {ast.unparse(node)}"  # type: ignore[attr-defined]


def test_the_task_is_seldom_asked_for():
    found = list(branches())
    assert len(found) <= MOST, "\n".join(found)


def test_what_is_counted_is_seen():
    for text in ("x.task == 'ner'", "level in ('step',)", "isinstance(m, EncoderModel)"):
        assert any(is_branch(node) for node in ast.walk(ast.parse(text))), text
    for text in ("name == 'mlp'", "isinstance(m, str)", "kind == 'static'"):
        assert not any(is_branch(node) for node in ast.walk(ast.parse(text))), text
