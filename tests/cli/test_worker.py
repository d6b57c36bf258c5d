"""``consent-gate worker`` as a process: it starts, waits, serves, stops, and tells no content."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.errors import Fenced
from streams.topology import SMS_INBOUND, UPLOADS_COMPLETED
from tests.gate.bed import PATIENCE, Bed, wait_for
from tests.pace import allowed, until_in_time
from tests.processors.bed import committed, ends
from tests.processors.worker_process import log_of, worker_process

pytestmark = pytest.mark.kafka

NOBODY_LISTENS = "127.0.0.1:1"


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    return Bed(kafka.bootstrap_servers, topic_prefix, tmp_path, session_timeout_ms=6_000)


def url_of(bed: Bed) -> str:
    """Where it says that it serves."""
    found: list[str] = []

    def said() -> bool:
        found[:] = re.findall(r"http://\S+(?=/metrics)", log_of(bed).read_text())
        return bool(found)

    wait_for(said, what="for the worker to say where it listens")
    return found[-1]


def answer(url: str) -> tuple[int, bytes]:
    """What it answers, with the status; status 0 for no answer."""
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()
    except (OSError, HTTPException):
        return 0, b""


def ready(url: str) -> bool:
    return answer(f"{url}/readyz")[0] == 200


def lines(bed: Bed, instance_id: str = "worker-1") -> list[dict[str, Any]]:
    """Its log: every line but the first is JSON."""
    written = log_of(bed, instance_id).read_text().splitlines(keepends=True)
    # It may be writing the last one.
    return [json.loads(line) for line in written if line.startswith("{") and line.endswith("\n")]


def seconds_to_end(process: subprocess.Popen[bytes], by: signal.Signals) -> float:
    """Ask it to end; how long it took to do so as it should."""
    began = time.monotonic()
    process.send_signal(by)
    assert process.wait(PATIENCE) == 0
    return time.monotonic() - began


def caught_by(pid: int) -> set[int]:
    """The signals for which a process has a handler; none where there is no /proc."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return set()
    mask = int(re.findall(r"SigCgt:\s+(\w+)", status.read_text())[0], 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_ends_in_time_with_all_committed(bed: Bed, by: signal.Signals) -> None:
    topic = bed.settings.names.of(SMS_INBOUND)
    for index in range(500):
        bed.write(topic, b"key-%d" % index, b"value", index % 2)
    bed.flush()
    with worker_process(bed) as process:
        url = url_of(bed)
        output = bed.settings.names.of(UPLOADS_COMPLETED)
        wait_for(lambda: sum(ends(bed, output).values()) == 500)
        wait_for(lambda: ready(url))
        counted = b'consent_gate_worker_events_total{agent="counting",outcome="handled"} 500'
        wait_for(lambda: counted in answer(f"{url}/metrics")[1])
        assert answer(f"{url}/livez")[0] == 200
        # Faust's own worker would open a debugger at this signal.
        assert signal.SIGUSR2 not in caught_by(process.pid)
        took = [seconds_to_end(process, by)]
    assert lines(bed)[-1]["event"] == "worker_stopped"
    for _ in until_in_time(took, 5):
        with worker_process(bed) as process:
            wait_for(lambda: ready(url_of(bed)))  # the last that it said
            took.append(seconds_to_end(process, by))
    assert min(took) < allowed(5)
    assert committed(bed, topic) == {0: 250, 1: 250}


def test_nothing_of_a_record_gets_into_its_log(bed: Bed) -> None:
    topic = bed.settings.names.of(SMS_INBOUND)
    bed.write(topic, b"+12025550123", b"\xffthe secret body", 0, [("secret-header", b"secret")])
    for index in range(50):
        bed.write(topic, b"+12025550123", b"secret %d" % index, 0)
    bed.flush()
    with worker_process(bed, log_level="debug") as process:
        output = bed.settings.names.of(UPLOADS_COMPLETED)
        wait_for(lambda: sum(ends(bed, output).values()) == 50)
        process.terminate()
        assert process.wait(60) == 0

    log = log_of(bed).read_text()
    assert "dead_lettered" in log
    assert "secret" not in log
    assert "2025550123" not in log
    assert b"+12025550123".hex() not in log


def test_it_waits_for_a_kafka_that_does_not_answer_and_ends_when_asked(bed: Bed) -> None:
    took: list[float] = []
    for _ in until_in_time(took, 5):
        log_of(bed).write_text("")
        with worker_process(bed, bootstrap_servers=NOBODY_LISTENS) as process:
            url = url_of(bed)
            wait_for(lambda: any(line.get("error") == "KafkaUnavailable" for line in lines(bed)))
            assert process.poll() is None
            assert not ready(url)
            took.append(seconds_to_end(process, signal.SIGTERM))
    assert min(took) < allowed(5)


def test_a_second_of_its_name_ends_the_first_with_a_reason(bed: Bed) -> None:
    topic, output = (bed.settings.names.of(each) for each in (SMS_INBOUND, UPLOADS_COMPLETED))
    with worker_process(bed) as first:
        url = url_of(bed)
        wait_for(lambda: ready(url))
        # As on another machine: the lock in the state folder does not see it.
        with worker_process(bed, state_dir=str(bed.folder / "elsewhere")) as second:
            assert first.wait(60) == Fenced.exit_code
            # It has not come back and pushed the second out in its turn.
            bed.write(topic, b"key", b"value", 0)
            bed.flush()
            wait_for(lambda: sum(ends(bed, output).values()) == 1)
            assert second.poll() is None

    assert "Give each worker an instance_id of its own" in log_of(bed).read_text()
