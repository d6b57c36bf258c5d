"""``/metrics``, ``/livez`` and ``/readyz`` over HTTP, for Prometheus, Kubernetes and people."""

from __future__ import annotations

import errno
import json
import socket
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

from prometheus_client.exposition import choose_encoder

from streams.errors import ConfigError
from streams.telemetry.health import Health
from streams.telemetry.logs import get_logger
from streams.telemetry.redaction import described
from streams.telemetry.telemetry import Telemetry

_CLIENT_SECONDS = 5.0  # A client that is slower than this loses its connection.
_POLL_SECONDS = 0.1  # The longest that `stop` waits; the gate must stop within 5 s.


class TelemetryServer:
    """
    The HTTP side of telemetry. It listens as soon as it is made, in daemon threads.

    ``/metrics`` is in Prometheus' text format (or OpenMetrics, if asked for). ``/livez`` and
    ``/readyz`` are JSON, with status 200 or 503. It asks for no credentials and is meant for
    loopback or a network that only the company's monitoring reaches.
    """

    def __init__(self, telemetry: Telemetry, health: Health, host: str, port: int) -> None:
        """
        Listen on ``host`` and ``port``; port 0 takes any that is free.

        Raises :class:`ConfigError` when the address cannot be listened on.
        """
        try:
            self._server = _Server(telemetry, health, host, port)
        except OSError as error:
            raise ConfigError(_why_not(error, host, port)) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(_POLL_SECONDS,),
            name="telemetry-http",
            daemon=True,
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        host = str(self._server.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def stop(self) -> None:
        """Stop listening and close the socket. Idempotent; takes a tenth of a second."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingTCPServer):
    """One thread a request. Not http.server's class, which asks DNS for its own name."""

    allow_reuse_address = True  # A restart need not wait for the last connections to be forgotten.
    daemon_threads = True

    def __init__(self, telemetry: Telemetry, health: Health, host: str, port: int) -> None:
        self.telemetry = telemetry
        self.health = health
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell class and place; the base class would print the whole error."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):  # OSError: the client went away
            get_logger().error("http_request_failed", **described(error))


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: _Server
    timeout = _CLIENT_SECONDS
    server_version = "consent-gate"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer GET and HEAD."""
        match self.path.partition("?")[0]:
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._answer(HTTPStatus.OK, content_type, encode(self.server.telemetry.registry))
            case "/livez":
                live = self.server.health.livez()
                self._answer_json(live.alive, live.as_json())
            case "/readyz":
                ready = self.server.health.readyz()
                self._answer_json(ready.ready, ready.as_json())
            case _:
                text = b"There are /metrics, /livez and /readyz.\n"
                self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", text)

    do_HEAD = do_GET  # noqa: N815 - the base class's name

    def _answer_json(self, ok: bool, values: dict[str, object]) -> None:
        status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, "application/json", (json.dumps(values) + "\n").encode())

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Write no line a request."""


def _why_not(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"http_port: port {port} on {host} is taken by another process. "
                "Set http_port to a free one, or to 0 for any."
            )
        case errno.EACCES:
            return f"http_port: this user may not listen on port {port}. Take one above 1023."
        case _:
            return (
                f"http_host: cannot listen on {host!r} (port {port}): {error.strerror}. "
                "Use an address of this machine, 127.0.0.1 for this machine only."
            )
