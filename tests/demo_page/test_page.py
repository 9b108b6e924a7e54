"""The page in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_the_page_asks_and_shows_the_answer(server, tmp_path):
    command = [
        str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-extensions",
        f"--user-data-dir={tmp_path}", "--virtual-time-budget=4000", "--dump-dom", server.url,
    ]  # fmt: skip
    page = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    words = re.findall(r'<span class="word">([^<]*)</span>', page)
    assert words == "Ada Lovelace was born in London .".split()
    assert page.count('<span class="hidden">layer </span>') == len(words)
    assert "medians of" in page or "one run each" in page
    assert re.search(r'id="value">0.3</output>', page)
    assert re.search(r'<p id="status" role="status"[^>]*></p>', page)
    for field in ("text", "threshold"):
        assert f'for="{field}"' in page
