"""What Prometheus, Kubernetes and people get over HTTP."""

from __future__ import annotations

import io
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, RemoteDisconnected
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams.errors import ConfigError
from streams.telemetry.health import Health
from streams.telemetry.http import TelemetryServer
from streams.telemetry.labels import Condition
from streams.telemetry.telemetry import Telemetry
from tests.telemetry.examples import EXAMPLES


class StuckClock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> StuckClock:
    return StuckClock()


@pytest.fixture
def health(telemetry: Telemetry, clock: StuckClock) -> Health:
    return Health(telemetry, clock=clock)


@pytest.fixture
def server(telemetry: Telemetry, health: Health) -> Iterator[TelemetryServer]:
    server = TelemetryServer(telemetry, health, "127.0.0.1", 0)
    yield server
    server.stop()


def get(server: TelemetryServer, path: str, **headers: str) -> tuple[int, str, str]:
    """Return status, content type and body."""
    request = urllib.request.Request(server.url + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.headers["Content-Type"], response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def test_metrics_are_served_as_prometheus_reads_them(
    server: TelemetryServer, telemetry: Telemetry
) -> None:
    for example in EXAMPLES:
        telemetry.emit(example)

    status, content_type, body = get(server, "/metrics")

    samples = {s.name: s.value for f in text_string_to_metric_families(body) for s in f.samples}
    assert status == 200
    assert content_type.startswith("text/plain; version=")
    assert samples["consent_gate_requests_total"] == 3
    assert samples["consent_gate_decision_latency_seconds_count"] == 3


def test_metrics_are_served_as_openmetrics_to_who_asks(server: TelemetryServer) -> None:
    status, content_type, body = get(server, "/metrics", Accept="application/openmetrics-text")

    assert status == 200
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith("# EOF\n")


def test_readyz_is_503_with_reasons_until_everything_holds(
    server: TelemetryServer, health: Health
) -> None:
    status, content_type, body = get(server, "/readyz")
    assert (status, content_type) == (503, "application/json")
    assert "assigned: not yet" in json.loads(body)["reasons"]

    for condition in Condition:
        health.set(condition, True)

    status, _, body = get(server, "/readyz")
    assert (status, json.loads(body)["ready"]) == (200, True)


def test_livez_is_503_when_the_loop_is_stuck(
    server: TelemetryServer, health: Health, clock: StuckClock
) -> None:
    assert get(server, "/livez")[0] == 200

    clock.now = 1_000.0

    status, _, body = get(server, "/livez")
    assert (status, json.loads(body)["alive"]) == (503, False)


def test_another_path_is_not_found(server: TelemetryServer) -> None:
    status, _, body = get(server, "/")

    assert status == 404
    assert "/metrics" in body


def test_head_has_no_body(server: TelemetryServer) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("HEAD", "/livez")
    response = connection.getresponse()
    connection.close()

    assert response.status == 200
    assert int(response.headers["Content-Length"]) > 0


def test_a_client_that_goes_away_or_talks_nonsense_writes_nothing(
    server: TelemetryServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(b"\x00\x01 nonsense\r\n\r\n")
        assert b"400" in client.recv(4096)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n")

    assert get(server, "/livez")[0] == 200
    assert capfd.readouterr().err == ""


def test_an_error_while_answering_is_told_by_class_and_place_only(
    telemetry: Telemetry,
    health: Health,
    stderr: io.StringIO,
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    def fail() -> Any:
        raise ValueError("Zhang San")

    health.readyz = fail  # type: ignore[method-assign]
    server = TelemetryServer(telemetry, health, "127.0.0.1", 0)

    with pytest.raises(RemoteDisconnected):
        get(server, "/readyz")
    assert get(server, "/livez")[0] == 200  # the server goes on
    server.stop()

    (line,) = lines()
    assert (line["event"], line["error"]) == ("http_request_failed", "ValueError")
    assert "Zhang" not in stderr.getvalue()


def test_a_client_that_left_before_its_answer_is_no_error(
    telemetry: Telemetry, health: Health, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    def gone() -> Any:
        raise BrokenPipeError

    health.livez = gone  # type: ignore[method-assign]
    server = TelemetryServer(telemetry, health, "127.0.0.1", 0)

    with pytest.raises(RemoteDisconnected):
        get(server, "/livez")
    server.stop()

    assert lines() == []


def test_a_port_that_is_taken_names_the_setting(
    server: TelemetryServer, telemetry: Telemetry, health: Health
) -> None:
    with pytest.raises(ConfigError, match=f"http_port: port {server.port} on 127.0.0.1 is taken"):
        TelemetryServer(telemetry, health, "127.0.0.1", server.port)


def test_an_address_of_another_machine_names_the_setting(
    telemetry: Telemetry, health: Health
) -> None:
    with pytest.raises(ConfigError, match="http_host: cannot listen on"):
        TelemetryServer(telemetry, health, "192.0.2.1", 0)


def test_stopping_frees_the_port_and_may_be_done_twice(
    telemetry: Telemetry, health: Health
) -> None:
    first = TelemetryServer(telemetry, health, "127.0.0.1", 0)

    first.stop()
    first.stop()

    second = TelemetryServer(telemetry, health, "127.0.0.1", first.port)
    assert get(second, "/livez")[0] == 200
    second.stop()
