"""`consent-gate status`, against real endpoints on loopback."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from rich.console import Console

from streams.cli.main import main
from streams.cli.status import _since, drawn
from streams.errors import Retry
from streams.telemetry import catalogue as facts
from streams.telemetry.health import Health
from streams.telemetry.http import TelemetryServer
from streams.telemetry.labels import Condition, RebalanceKind, StallCause, TransactionResult
from streams.telemetry.reading import Reading, summarise
from streams.telemetry.telemetry import Telemetry

CANNED = """\
# TYPE consent_gate_requests_total counter
consent_gate_requests_total 1200
# TYPE consent_gate_decisions_total counter
consent_gate_decisions_total{purpose="invite",verdict="DROPPED"} 200
consent_gate_decisions_total{purpose="otp",verdict="ALLOWED"} 990
consent_gate_decisions_total{purpose="otp",verdict="DROPPED"} 0
# TYPE consent_gate_reasons_total counter
consent_gate_reasons_total{kind="block",purpose="invite",reason="NO_CONSENT"} 200
consent_gate_reasons_total{kind="hold",purpose="otp",reason="CAMPAIGN_PAUSED"} 7
consent_gate_reasons_total{kind="fault",purpose="otp",reason="STATE_UNDECODABLE"} 1
# TYPE consent_gate_dead_letters_total counter
consent_gate_dead_letters_total{cause="undecodable",topic="sms.requested"} 3
# TYPE consent_gate_lost_records_total counter
consent_gate_lost_records_total{topic="sms.requested"} 5
# TYPE consent_gate_decision_latency_seconds histogram
consent_gate_decision_latency_seconds_bucket{le="0.01"} 0
consent_gate_decision_latency_seconds_bucket{le="0.02"} 100
consent_gate_decision_latency_seconds_bucket{le="+Inf"} 100
# TYPE consent_gate_transactions_total counter
consent_gate_transactions_total{result="committed"} 40
consent_gate_transactions_total{result="aborted"} 2
# TYPE consent_gate_state_lag_records gauge
consent_gate_state_lag_records{partition="1",topic="consent.events"} 12
# TYPE consent_gate_state_lag_seconds gauge
consent_gate_state_lag_seconds{partition="1",topic="consent.events"} 0.3
# TYPE consent_gate_request_lag_records gauge
consent_gate_request_lag_records{partition="1"} 1000
consent_gate_request_lag_records{partition="2"} 234
# TYPE consent_gate_request_lag_seconds gauge
consent_gate_request_lag_seconds{partition="1"} 12.5
consent_gate_request_lag_seconds{partition="2"} 2
# TYPE consent_gate_waiting_holds gauge
consent_gate_waiting_holds{partition="1",reason="QUIET_HOURS"} 1200
consent_gate_waiting_holds{partition="2",reason="QUIET_HOURS"} 34
consent_gate_waiting_holds{partition="2",reason="FREQUENCY"} 0
# TYPE consent_gate_overdue_holds_seconds gauge
consent_gate_overdue_holds_seconds{partition="1"} 0
consent_gate_overdue_holds_seconds{partition="2"} 7.5
"""
READYZ = {
    "ready": False,
    "reasons": ["restored: partition 2 at 43 %"],
    "policy": {"version": "a3f9c1", "since": "2026-11-24T06:07:17+00:00"},
    "partitions": {
        "1": {"state": "running"},
        "2": {"state": "stalled", "cause": "restoring", "restored": 0.43},
    },
}


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(CollectorRegistry())


@pytest.fixture
def health(telemetry: Telemetry) -> Health:
    return Health(telemetry)


@pytest.fixture
def server(telemetry: Telemetry, health: Health) -> Iterator[TelemetryServer]:
    server = TelemetryServer(telemetry, health, "127.0.0.1", 0)
    yield server
    server.stop()


def exit_status(*args: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(["status", *args])
    return ended.value.code


def lines_of(text: str) -> dict[str, str]:
    """Return the drawn lines by what stands in the first column."""
    table = [re.split(r"  +", line.rstrip(), maxsplit=1) for line in text.splitlines()]
    return {row[0]: row[1].strip() for row in table if len(row) == 2}


def test_a_gate_s_own_words_are_drawn() -> None:
    reading = Reading.parse(0.0, CANNED, json.dumps(READYZ))
    written = io.StringIO()

    Console(file=written, width=120).print(drawn({"http://gate-1:9464": summarise(reading)}))

    shown = lines_of(written.getvalue())
    assert shown["ready"] == "no"
    assert shown["because"] == "restored: partition 2 at 43 %"
    assert shown["policy"] == "a3f9c1 since 2026-11-24T06:07:17+00:00"
    assert shown["partitions"] == "1, 2"
    assert shown["stalled, restoring"] == "2"
    assert shown["restoring 2"] == "43%"
    assert shown["requests"] == "1,200"
    assert shown["requests waiting"] == "1,234, the oldest for 12.5 s"
    assert shown["invite"] == "allowed 0, quarantined 0, dropped 200"
    assert shown["blocks"] == "NO_CONSENT 200"
    assert shown["holds"] == "CAMPAIGN_PAUSED 7"
    assert shown["held now"] == "QUIET_HOURS 1,234, the first due for 7.5 s"
    assert shown["faults"] == "STATE_UNDECODABLE 1"
    assert shown["dead letters, sms.requested"] == "undecodable 3"
    assert shown["lost"] == "sms.requested 5"
    assert shown["latency"] == "p50 15.0 ms, p99 19.9 ms (since start)"
    assert shown["barrier wait"] == "p50 –, p99 – (since start)"
    assert shown["transactions"] == "committed 40, aborted 2, rebuilt 0"
    assert shown["lag, consent.events"] == "12 records, 0.3 s"


def test_gates_stand_side_by_side_and_one_that_is_silent_is_said_to_be() -> None:
    reading = Reading.parse(0.0, CANNED, json.dumps(READYZ))
    calm = Reading.parse(0.0, "consent_gate_requests_total 0\n", '{"ready": true}')
    written = io.StringIO()

    Console(file=written, width=200).print(
        drawn(
            {
                "http://one:1": summarise(reading),
                "http://two:2": summarise(calm),
                "http://three:3": Retry("http://three:3 cannot be reached: no."),
            }
        )
    )

    shown = lines_of(written.getvalue())
    assert re.split(r"  +", shown["ready"]) == ["no", "yes", "–"]
    assert re.split(r"  +", shown["requests"]) == ["1,200", "0", "–"]
    assert re.split(r"  +", shown["lag, consent.events"]) == ["12 records, 0.3 s", "–", "–"]
    assert "http://three:3 cannot be reached: no." in written.getvalue()


def test_a_ready_gate_ends_with_0(
    server: TelemetryServer, health: Health, capsys: pytest.CaptureFixture[str]
) -> None:
    for condition in Condition:
        health.set(condition, True)

    assert exit_status("--url", server.url, "--once") == 0
    assert lines_of(capsys.readouterr().out)["ready"] == "yes"


def test_a_gate_that_is_not_ready_ends_with_1_and_says_why(
    server: TelemetryServer, health: Health, capsys: pytest.CaptureFixture[str]
) -> None:
    health.set(Condition.RESTORED, True)

    assert exit_status("--url", server.url, "--once") == 1
    assert "assigned: not yet" in capsys.readouterr().out


def test_a_gate_that_cannot_be_reached_ends_with_75(
    telemetry: Telemetry, health: Health, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = TelemetryServer(telemetry, health, "127.0.0.1", 0)
    gone.stop()

    assert exit_status("--url", gone.url, "--once") == 75
    assert f"{gone.url} cannot be reached: Connection refused" in capsys.readouterr().err


def test_one_gate_that_cannot_be_reached_does_not_hide_the_others(
    server: TelemetryServer,
    telemetry: Telemetry,
    health: Health,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gone = TelemetryServer(Telemetry(CollectorRegistry()), health, "127.0.0.1", 0)
    gone.stop()
    telemetry.emit(facts.RequestsTaken(17))

    assert exit_status("--url", server.url, "--url", gone.url, "--once") == 75
    assert lines_of(capsys.readouterr().out)["requests"].startswith("17")


def test_json_is_for_scripts(
    server: TelemetryServer, telemetry: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.emit(facts.Rebalanced(RebalanceKind.ASSIGNED, [3]))
    telemetry.emit(facts.PartitionStalled(3, StallCause.STORE_FULL))
    telemetry.emit(facts.TransactionEnded(TransactionResult.REBUILT, 2.0))

    assert exit_status("--url", f"{server.url}/", "--json") == 1

    told = json.loads(capsys.readouterr().out)[server.url]
    assert told["ready"] is False
    assert told["stalled"] == {"store_full": [3]}
    assert told["transactions"] == {"rebuilt": 1}


def test_a_gate_that_was_started_again_is_not_compared_with_its_past() -> None:
    def reading(at: float, requests: int) -> Reading:
        return Reading.parse(at, f"consent_gate_requests_total {requests}\n", '{"ready": true}')

    before, after = reading(10, 500), reading(11, 20)
    past = [before]

    assert _since(reading(11, 600), past) is before
    assert _since(after, past) is None
    assert past == []


def test_what_is_no_web_address_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("--url", "file:///etc/passwd", "--once") == 2
    assert "is no web address" in capsys.readouterr().err


def test_the_settings_say_where_the_gate_is(
    server: TelemetryServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_GATE_HTTP_HOST", "0.0.0.0")
    monkeypatch.setenv("CONSENT_GATE_HTTP_PORT", str(server.port))

    exit_status("--json")

    assert list(json.loads(capsys.readouterr().out)) == [server.url]


def test_any_port_is_no_address_to_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_GATE_HTTP_PORT", "0")

    assert exit_status("--once") == 2
    assert "give --url" in capsys.readouterr().err


def test_on_a_terminal_it_follows_the_gate_until_ctrl_c(
    server: TelemetryServer, telemetry: Telemetry
) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    command = "import sys; from streams.cli.main import main; main(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "status", "--url", server.url],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    try:
        seen = ""
        deadline = time.monotonic() + 60
        while "/s now" not in seen and time.monotonic() < deadline:
            telemetry.emit(facts.RequestsTaken(100))
            if select.select([ours], [], [], 0.1)[0]:
                seen += os.read(ours, 65_536).decode()
        process.send_signal(signal.SIGINT)

        assert process.wait(timeout=60) == 0
        assert re.search(r"requests .*[1-9][0-9,]*, [1-9][0-9,]*/s now", seen)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
