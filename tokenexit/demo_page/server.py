"""A page for one person on this machine: no other can reach it."""

from __future__ import annotations

import errno
import ipaddress
import json
import math
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from importlib.resources import files as resources
from socketserver import ThreadingTCPServer
from typing import Any

from tokenexit import files
from tokenexit.demo_page.answering import Answering
from tokenexit.errors import UserError

LARGEST = 1 << 20
"""Bytes of a request: many more than the letters that are answered."""

_JSON = "application/json"


class PageServer(ThreadingTCPServer):
    """Serves one model; its requests wait for each other where it computes."""

    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"  # where it would let two servers have one port

    def __init__(self, host: str, port: int, model: Answering) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self.model = model

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = self.server_address[:2]
        return f"http://[{host}]:{port}/" if ":" in str(host) else f"http://{host}:{port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever closes a page before it is answered need not be told of."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def bound(host: str, port: int, model: Answering) -> Iterator[PageServer]:
    """A server that has its port.

    Args:
        host: A name or address of this machine for itself.
        port: 0 for any that is free.
        model: Who answers.

    Raises:
        UserError: The host is one that others reach, or the port cannot be had.
    """
    if not is_own(host):
        raise UserError(
            f"The page is for this machine alone, and others may reach {host!r}: leave --host out. "
            "To see it from another machine, forward the port: ssh -L PORT:127.0.0.1:PORT."
        )
    if not 0 <= port <= 65535:
        raise UserError(f"--port must be a number from 0 (any that is free) to 65535, not {port}.")
    try:
        server = PageServer(host, port, model)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "another program has it" if taken else (error.strerror or str(error)).lower()
        raise UserError(
            f"Port {port} of {host} cannot be used: {why}. Choose another with --port; --port 0 "
            "takes any that is free."
        ) from error
    with server:
        yield server


def is_own(host: str) -> bool:
    """Whether a host is a name or address by which a machine reaches itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Handler(BaseHTTPRequestHandler):
    server: Any  # PageServer
    server_version, sys_version = "tokenexit", ""
    timeout = 20  # seconds for who connects and says nothing

    def do_GET(self) -> None:
        """The page, and what it has to know."""
        if not self._is_for_us():
            return
        if self.path in ("/", "/index.html"):
            page = resources("tokenexit.demo_page").joinpath("page.html").read_bytes()
            self._send(200, "text/html; charset=utf-8", page)
        elif self.path == "/about":
            self._send_json(200, self.server.model.about())
        elif self.path == "/favicon.ico":
            self._send(204, "image/x-icon", b"")
        else:
            self._refuse(404, f"There is no {self.path[:80]!r} here; the page is at /.")

    def do_POST(self) -> None:
        """An answer."""
        if not self._is_for_us():
            return
        if self.path != "/answer":
            self._refuse(404, f"Nothing is answered at {self.path[:80]!r}, but at /answer.")
            return
        try:
            asked = read_question(self._body())
            self._send_json(200, self.server.model.answer(**asked))
        except UserError as error:
            self._refuse(400, str(error))

    def _is_for_us(self) -> bool:
        """Refuse pages of other sites that had their own name lead here."""
        name = (self.headers.get("Host") or "localhost").rpartition("@")[2]
        host = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        if is_own(host):
            return True
        self._refuse(403, f"This page is served as 127.0.0.1 or localhost, not as {host[:80]!r}.")
        return False

    def _body(self) -> bytes:
        if self.headers.get_content_type() != _JSON:  # which no other site's form can send
            raise UserError(f"Send {_JSON}, not {self.headers.get_content_type()}.")
        told = self.headers.get("Content-Length") or ""
        if not (told.isascii() and told.isdigit()) or int(told) > LARGEST:
            self.close_connection = True
            raise UserError(
                f"A request has a Content-Length of at most {LARGEST:,} bytes, not {told[:20]!r}."
            )
        return self.rfile.read(int(told))

    def _refuse(self, code: int, message: str) -> None:
        self._send_json(code, {"error": message})

    def _send_json(self, code: int, data: Any) -> None:
        self._send(code, _JSON, files.to_json(data).encode("utf-8", "replace"))

    def _send(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal belongs to who started the server."""


def read_question(body: bytes) -> dict[str, Any]:
    """What is asked, checked.

    Raises:
        UserError: No such question.
    """
    form = '{"text": "...", "pair": null, "setting": null}'
    try:
        data = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise UserError(f"A question is JSON such as {form}; this is none.") from None
    if not isinstance(data, dict) or not data.keys() <= {"text", "pair", "setting"}:
        raise UserError(f"A question looks like {form}, and has nothing else in it.")
    text, pair, setting = (data.get(name) for name in ("text", "pair", "setting"))
    if not isinstance(text, str) or not isinstance(pair, str | None):
        raise UserError(f"text and pair are strings: {form}.")
    if setting is not None:
        number = isinstance(setting, int | float) and not isinstance(setting, bool)
        if not number or not math.isfinite(setting):
            raise UserError(f"setting is a number, or null for the policy's own: {form}.")
    return {"text": text, "pair": pair, "setting": setting}
