"""The page in a browser."""

from __future__ import annotations

from typing import Any

WORDS = "Ada Lovelace was born in London .".split()
SHOWN = "[...document.querySelectorAll('#pieces .word')].map(one => one.textContent)"
LAYERS = (
    "[...document.querySelectorAll('#pieces li')].map(one => +one.className.match(/f(\\d+)/)[1])"
)
LEFT_AT = "document.querySelectorAll('#pieces .hidden').length"


def asked_again(page: Any, script: str) -> None:
    """What was asked for has come, and this is so."""
    page.until(f"!document.getElementById('status').textContent && ({script})")


def test_the_page_asks_and_shows_the_answer(page):
    assert page.value(SHOWN) == WORDS
    assert page.value(LEFT_AT) == len(WORDS)
    told = page.value("document.body.innerText")
    assert "medians of" in told or "one run each" in told
    assert page.value("document.getElementById('value').textContent") == "0.3"
    assert page.value("document.getElementById('status').textContent") == ""
    assert page.value(
        "['text', 'threshold'].every(id => document.getElementById(id).labels.length)"
    )


def test_dragging_the_threshold_lets_words_leave_later_and_earlier(page):
    depth = page.value("about.depth")
    page.drag("#threshold", 0.5, 0.0)
    asked_again(page, f"{LAYERS}.every(layer => layer === {depth})")
    assert not page.value("document.getElementById('reset').disabled")
    page.drag("#threshold", 0.01, 0.999)
    asked_again(page, f"{LAYERS}.every(layer => layer === 1)")
    assert page.value("document.getElementById('layers').textContent") == f"1.00 of {depth}"
    page.value("document.getElementById('reset').click()")
    page.until("document.getElementById('value').textContent === '0.3'")


def test_arrow_keys_turn_it_as_well(page):
    start = page.value("+document.getElementById('threshold').value")
    page.value("document.getElementById('threshold').focus()")
    page.press("ArrowRight")
    page.until(f"+document.getElementById('threshold').value === {start + 1}")
    page.press("ArrowLeft")
    page.until("document.getElementById('value').textContent === '0.3'")


def test_another_text_is_asked_by_the_keyboard(page):
    page.value("document.getElementById('text').value = 'Ada was born'")
    page.value("document.getElementById('text').form.requestSubmit()")
    asked_again(page, f"{SHOWN}.length === 3")
