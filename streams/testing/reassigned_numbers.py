"""
A reassigned-numbers service for tests and trying out, with the interface of
:mod:`streams.processors.reassigned_numbers`. Asks nobody; listens on loopback only.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeReassignedNumbers:
    """
    Answers ``no_data`` for every number but those in ``answers``.

    ``answers`` maps numbers to ``yes``, ``no`` or ``no_data``. While ``status`` is not 200 it
    answers with that and no body; while ``silent`` is set it accepts and never answers.
    ``asked`` are the questions, oldest first, each a number and a day; ``tokens`` what they came
    with.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, str] = {}
        self.status = 200
        self.body: bytes | None = None
        """Given in the place of an answer."""
        self.silent = threading.Event()
        self.ended = threading.Event()
        self.asked: list[tuple[str, str]] = []
        self.tokens: list[str | None] = []


@contextmanager
def fake_reassigned_numbers() -> Iterator[FakeReassignedNumbers]:
    """Serve one until the block ends, on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    fake = FakeReassignedNumbers(f"http://127.0.0.1:{server.server_address[1]}/ask")
    server.RequestHandlerClass = type("_Bound", (_Handler,), {"fake": fake})
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeReassignedNumbers

    def do_POST(self) -> None:
        fake = self.fake
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fake.asked.append((asked["number"], asked["consented_on"]))
        fake.tokens.append(self.headers["Authorization"])
        if fake.silent.is_set():
            fake.ended.wait(30)
            return
        said = json.dumps({"reassigned": fake.answers.get(asked["number"], "no_data")}).encode()
        body = fake.body if fake.body is not None else said if fake.status == 200 else b""
        self.send_response(fake.status)
        if 300 <= fake.status < 400:
            self.send_header("Location", fake.url)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what is asked is a phone number."""
