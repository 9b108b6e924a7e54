"""``tokenexit demo``: from the command line to a page, and back."""

from __future__ import annotations

import json
import socket
from threading import Thread
from urllib.request import urlopen

from tokenexit.demo_page.server import PageServer


def test_it_serves_until_it_is_interrupted(cli, folder, monkeypatch):
    seen = {}

    def serve(self, poll_interval):
        thread = Thread(target=self.handle_request)
        thread.start()
        seen.update(json.load(urlopen(f"{self.url}about")))
        thread.join()
        raise KeyboardInterrupt

    monkeypatch.setattr(PageServer, "serve_forever", serve)
    done = cli("demo", folder, "--no-open", "--port", 0, "--policy", "entropy:0.2")
    assert done.code == 0, done.err
    assert seen["slider"]["policy"] == "entropy below 0.2"
    assert seen["name"] == folder.name
    first, last = done.out.splitlines()
    assert first.startswith(f"{folder} answers at http://127.0.0.1:")
    assert last.startswith("Goodbye")


def test_mistakes(cli, folder):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = cli("demo", folder, "--no-open", "--port", other.getsockname()[1])
    assert done.code == 2
    assert "another program has it" in done.err
    assert cli("demo", folder, "--no-open", "--host", "0.0.0.0").code == 2
