"""``consent-gate demo`` as anybody runs it: a process, a real Kafka, a gate."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.cli.main import INTERRUPTED
from streams.errors import SecretsError, TopicsUnfit
from streams.sealing.secrets_folder import init_secrets
from tests.conftest import need_embedded_kafka

pytestmark = pytest.mark.kafka

COMMAND = [sys.executable, "-c", "from streams.cli.main import main; main()", "demo"]


@pytest.fixture(autouse=True)
def _jars() -> None:
    need_embedded_kafka()


def test_it_plays_checks_everything_and_leaves_nothing_behind(tmp_path: Path) -> None:
    # What is set for another installation does not reach the demo's own.
    settings = {"CONSENT_GATE_BOOTSTRAP_SERVERS": "nowhere.example:1", "CONSENT_GATE_NO_SUCH": "1"}
    done = _run(tmp_path, "--requests", "400", "--json", environ=settings)

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["holds"]
    assert [each["name"] for each in said["invariants"] if not each["holds"]] == []
    assert sum(sum(fates.values()) for fates in said["outcomes"].values()) == 400
    assert said["case"]["verdict"] == "DROPPED"
    assert said["case"]["reasons"][3]["rules"][0]["cites"]
    assert 0 < said["measured"]["latency_p50_ms"] <= said["measured"]["latency_p99_ms"]
    assert "playing the rush" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_two_at_once_play_against_a_stack_that_stays_until_it_is_interrupted(
    tmp_path: Path,
) -> None:
    with _staying(tmp_path, "--requests", "200", "--stay") as (process, told):
        config = told["config"]
        environ = {"CONSENT_GATE_CONFIG": config}
        arguments = ["--requests", "300", "--json", "--bootstrap-servers", told["kafka"]]
        players = [_start(tmp_path, *arguments, environ=environ) for _ in range(2)]
        outs = [player.communicate(timeout=120) for player in players]
        assert [player.returncode for player in players] == [0, 0], outs
        first, second = (json.loads(out) for out, _ in outs)
        assert first["holds"]
        assert second["holds"]
        assert first["run"] != second["run"]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_in_the_middle_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = _start(tmp_path, "--requests", "20000")
    assert process.stderr is not None
    _until(process.stderr, "playing the day")
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, errors
    assert list(tmp_path.iterdir()) == []


def test_without_topics_it_says_how_to_make_them(
    kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path
) -> None:
    init_secrets(tmp_path / "secrets")
    done = _against(kafka, topic_prefix, tmp_path)
    assert done.returncode == TopicsUnfit.exit_code
    assert "topics apply" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_keys_of_the_stack_it_says_so(
    kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path
) -> None:
    environ = {
        "CONSENT_GATE_TOPIC_PREFIX": topic_prefix,
        "CONSENT_GATE_SECRETS_DIR": str(tmp_path / "none"),
        "CONSENT_GATE_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
    }
    applied = subprocess.run(
        [*COMMAND[:-1], "topics", "apply"], env=os.environ | environ, check=False, timeout=60
    )
    assert applied.returncode == 0
    done = _against(kafka, topic_prefix, tmp_path / "none", environ)
    assert done.returncode == SecretsError.exit_code
    assert "Traceback" not in done.stderr


def _against(
    kafka: EmbeddedKafka, prefix: str, folder: Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    own = {
        "CONSENT_GATE_TOPIC_PREFIX": prefix,
        "CONSENT_GATE_SECRETS_DIR": str(folder / "secrets"),
    }
    arguments = ["--requests", "200", "--bootstrap-servers", kafka.bootstrap_servers]
    return _run(folder.parent, *arguments, environ=own | dict(environ or {}))


def _start(
    temporary: Path, *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    own = {"TMPDIR": str(temporary), "PYTHONWARNINGS": "error"}
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | own | dict(environ or {}),
    )


def _run(
    temporary: Path, *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    process = _start(temporary, *arguments, environ=environ)
    out, errors = process.communicate(timeout=180)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


@contextmanager
def _staying(
    temporary: Path, *arguments: str
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run a demo until it says where everything is; kill it at the end if it still runs."""
    process = _start(temporary, *arguments)
    assert process.stdout is not None
    try:
        lines = _until(process.stdout, "--bootstrap-servers")
        config = next(line.split("=", 1)[1] for line in lines if "CONSENT_GATE_CONFIG=" in line)
        yield process, {"config": config.strip(), "kafka": lines[-1].split()[-1]}
    finally:
        if process.poll() is None:
            process.kill()
        _, errors = process.communicate(timeout=60)
        print(errors)  # pytest shows it where the test fails


def _until(stream: IO[str], wanted: str) -> list[str]:
    lines = []
    for line in stream:
        lines.append(line)
        if wanted in line:
            return lines
    raise AssertionError(f"{wanted!r} was never said:\n{''.join(lines)}")
