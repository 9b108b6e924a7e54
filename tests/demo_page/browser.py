"""Chromium, spoken to over two pipes: pages are opened, pointed at and read."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SECONDS = 60.0
MOVED = """
import os, sys
ends = [os.dup(int(one)) for one in sys.argv[1:3]]  # 3 or 4 may be one of them
for end, place in zip(ends, (3, 4)):
    os.dup2(end, place)
    os.set_inheritable(place, True)
os.execv(sys.argv[3], sys.argv[3:])
"""
KEYS = {"ArrowLeft": 37, "ArrowRight": 39}


class Browser:
    """One tab of a headless Chromium.

    Args:
        folder: For its profile.
        url: What the tab shows.
        width: Of the window, in pixels.
        height: The same.
    """

    def __init__(self, folder: Path, url: str, width: int = 1000, height: int = 900) -> None:
        theirs, self._to = os.pipe()
        self._from, answers = os.pipe()
        command = [
            str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--window-size={width},{height}", f"--user-data-dir={folder}",
            "--remote-debugging-pipe",
        ]  # fmt: skip
        # Chromium reads what is asked from its descriptor 3 and answers on 4.
        self._process = subprocess.Popen(
            [sys.executable, "-c", MOVED, str(theirs), str(answers), *command],
            pass_fds=(theirs, answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs)
        os.close(answers)
        self._held, self._asked, self._session = b"", 0, None
        target = self.ask("Target.createTarget", url=url)["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *told: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the DevTools protocol, and its result."""
        self._asked += 1
        told: dict[str, Any] = {"id": self._asked, "method": method, "params": params}
        if self._session:
            told["sessionId"] = self._session
        os.write(self._to, json.dumps(told).encode() + b"\0")
        until = time.monotonic() + SECONDS
        while True:
            while b"\0" not in self._held:
                left = until - time.monotonic()
                heard = left > 0 and select.select([self._from], [], [], left)[0]
                assert heard, f"{method}: no answer"
                self._held += os.read(self._from, 1 << 16)
            said, _, self._held = self._held.partition(b"\0")
            answer = json.loads(said)
            if answer.get("id") == self._asked:
                assert "error" not in answer, answer
                return answer["result"]

    def value(self, script: str) -> Any:
        """What an expression of JavaScript is in the page."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str) -> Any:
        """The same, once it is true."""
        end = time.monotonic() + SECONDS
        while not (found := self.value(script)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.05)
        return found

    def drag(self, selector: str, start: float, end: float) -> None:
        """Press, move and let go along an element, from one share of its width to another."""
        place = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        left, middle, width = self.value(
            f"(({{x, y, width, height}}) => [x, y + height / 2, width])({place})"
        )
        between = [start + (end - start) * step / 8 for step in range(1, 9)]
        moves = [("mouseMoved", share) for share in between]
        for kind, share in [("mousePressed", start), *moves, ("mouseReleased", end)]:
            self.ask(
                "Input.dispatchMouseEvent", type=kind, x=left + share * width, y=middle,
                button="left", buttons=1, clickCount=1,
            )  # fmt: skip

    def press(self, key: str) -> None:
        """One key: ``ArrowLeft``, ``ArrowRight``."""
        told = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, **told)
