"""The page's script in a real browser, where there is one."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tokenexit.reporting import write_report
from tokenexit.reporting.run import load_run

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)

PROBE = """
const slider = document.getElementById("threshold");
const state = () => ({
  setting: document.getElementById("setting").textContent,
  figures: [...document.querySelectorAll(".readout dd")].map((one) => one.textContent),
  words: [...document.querySelectorAll(".words .w")].map((one) => one.className),
  tip: document.querySelector(".words .w").dataset.tip,
  told: slider.getAttribute("aria-valuetext"),
});
const move = (by) => { slider.stepUp(by); slider.dispatchEvent(new Event("input")); };
const start = state();
const place = Number(slider.value);
move(-place);
const full = state();
move(place);
const back = state();
const text = document.querySelector(".words");
text.focus();
text.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
const tip = document.getElementById("tip");
const walked = {
  shown: !tip.hidden, tip: tip.textContent, focused: document.activeElement.className,
};
const folded = [...document.querySelectorAll("section > details:first-child")];
const shut = folded.filter((one) => !one.open).length;
document.querySelector('nav a[href="#exits"]').click();
setTimeout(() => {
  document.body.dataset.found = JSON.stringify({
    start, full, back, shut, folded: folded.length,
    ...walked,
    opened: document.querySelector("#exits details").open,
    shadowed: document.querySelector(".track").hidden,
  });
}, 50);
"""


@pytest.fixture
def found(run: Path) -> dict[str, Any]:
    """What a script sees that moves the slider, walks the words and follows a link."""
    if BROWSER is None:
        pytest.skip("there is no Chromium here")
    chosen = next(p for p in load_run(run).pareto or [] if "0.13}" in p.policy)
    metrics = json.loads((run / "metrics.json").read_text())
    mine = {"quality": chosen.quality, "mean_exit_layer": chosen.depth}
    metrics["splits"]["test"] |= mine  # so that the page begins at a setting of the slider
    (run / "metrics.json").write_text(json.dumps(metrics))
    page = write_report(run).read_text(encoding="utf-8")
    own = base64.b64encode(hashlib.sha256(PROBE.encode()).digest()).decode()
    page = page.replace("script-src '", f"script-src 'sha256-{own}' '", 1)
    probed = run / "probed.html"
    probed.write_text(page.replace("</body>", f"<script>{PROBE}</script></body>"), encoding="utf-8")
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000")
    command = [BROWSER, *flags, f"--user-data-dir={run / 'profile'}", "--dump-dom", str(probed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    told = re.search(r'data-found="([^"]*)"', done.stdout)
    assert told is not None, done.stderr[-2000:]
    return json.loads(html.unescape(told[1]))


def test_the_page_answers(found: dict[str, Any]):
    start, full, back = (found[name] for name in ("start", "full", "back"))
    assert full["setting"] == full["told"] == "nobody leaves early"
    assert full["figures"][:3] == ["0.9508", "100.0%", "6.00 of 6"]
    assert {re.findall(r"\bf\d+\b", name)[0] for name in full["words"]} == {"f6"}
    assert full["tip"].endswith("left at layer 6 of 6")
    assert len({re.findall(r"\bf\d+\b", name)[0] for name in start["words"]}) > 1
    assert back == start
    assert not found["shadowed"]
    # Without a pointer: the first word has the focus, and its tip is there.
    assert found["shown"]
    assert found["tip"] == start["tip"]
    assert found["focused"].startswith("w f")
    # Sections are folded, and a link opens the one that it leads to.
    assert 0 < found["shut"] == found["folded"]
    assert found["opened"]
