"""`consent-gate import consents|suppressions`, on a real Kafka."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner, Result

from streams.audit.topic_log import TopicLog
from streams.broker.cluster import EmbeddedKafka
from streams.cli.main import TRY_AGAIN, app
from streams.codec.codec import open_codecs
from streams.config import Settings
from streams.errors import KafkaUnavailable, LinesRefused, TopicsUnfit
from streams.importing.importing import PIECE, journal_path, refused_path
from streams.kafka.clients import admin_config, opened
from streams.kafka.placement import partition_of
from streams.kafka.topics import apply
from streams.records.decisions import Refusal
from streams.records.events import Basis, ConsentEvent, ConsentKind, Source
from streams.records.subject import SubjectState
from streams.sealing.secrets_folder import init_secrets
from streams.state.fold import fold_consent
from streams.testing.records import a_number
from streams.topology import CONSENT_EVENTS

PARTITIONS = 3
Invoke = Callable[..., Result]


@pytest.fixture
def settings(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Settings:
    """A cluster with all topics, and keys of an installation's own."""
    made = Settings(
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=topic_prefix,
        partitions=PARTITIONS,
        secrets_dir=tmp_path / "secrets",
    )
    init_secrets(made.secrets_dir)
    apply(made, opened(AdminClient, admin_config(made)))
    return made


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """What a process needs in its environment to use that cluster."""
    return {
        f"CONSENT_GATE_{name.upper()}": str(getattr(settings, name))
        for name in ("bootstrap_servers", "topic_prefix", "secrets_dir")
    }


@pytest.fixture
def invoke(environment: dict[str, str]) -> Invoke:
    """Run `consent-gate import …` on that cluster."""

    def invoked(*args: str | Path) -> Result:
        return CliRunner().invoke(app, ["import", *map(str, args)], env=environment)

    return invoked


def a_list(folder: Path, *lines: str, name: str = "list.csv") -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def written(settings: Settings) -> list[ConsentEvent]:
    """All events in consent.events. Each lies where its subject belongs, under it as the key."""
    decode = open_codecs().consent_events.decode
    events = []
    with TopicLog(settings) as log:
        for partition in range(PARTITIONS):
            extent = log.extent(CONSENT_EVENTS, partition)
            for message in log.read(CONSENT_EVENTS, partition, extent.start, extent.end):
                event = decode(message.value())
                key = event.subject.encode()
                assert message.key() == key
                assert partition_of(key, PARTITIONS) == partition
                events.append(event)
    return events


@pytest.mark.kafka
def test_a_list_of_consents_is_in_the_topic(
    settings: Settings, invoke: Invoke, tmp_path: Path
) -> None:
    file = a_list(
        tmp_path,
        "phone,list,occurred_at",
        *(f"{a_number(n)},newsletter,2024-05-31" for n in range(20)),
        "Mum,newsletter,2024-05-31",
    )

    result = invoke(
        "consents", file, "--map", "subject=phone", "--map", "purpose=list",
        "--default-basis", "express", "--json",
    )  # fmt: skip

    assert isinstance(result.exception, LinesRefused)
    assert json.loads(result.stdout) == {
        "file": str(file),
        "kind": "consents",
        "dry_run": False,
        "complete": True,
        "lines": 21,
        "imported": 20,
        "refused": {"no_number": 1},
        "refused_file": str(refused_path(file)),
        "unacknowledged": 0,
        "went_on_after_line": None,
        "columns": {"subject": "phone", "purpose": "list", "occurred_at": "occurred_at"},
        "columns_not_used": [],
    }
    events = written(settings)
    assert {event.subject for event in events} == {a_number(n) for n in range(20)}
    assert {(event.kind, event.basis, event.source) for event in events} == {
        (ConsentKind.GRANTED, Basis.EXPRESS, Source.BULK_IMPORT)
    }


@pytest.mark.kafka
def test_imported_twice_it_changes_nothing_and_undoes_no_withdrawal(
    settings: Settings, invoke: Invoke, tmp_path: Path
) -> None:
    number = a_number(1)
    stop = a_list(tmp_path, number, name="stop.txt")
    yes = a_list(tmp_path, "subject,purpose,occurred_at", f"{number},invite,2024-05-31")
    for args in (
        ("suppressions", stop, "--no-header"),
        ("consents", yes),
        ("suppressions", stop, "--no-header"),
        ("consents", yes),
    ):
        assert invoke(*args).exit_code == 0

    state, refusals = SubjectState(bytes(16)), []
    for offset, event in enumerate(written(settings)):
        appended_at = time.time_ns() // 1_000_000 + offset
        folded = fold_consent(state, event, offset=offset, appended_at=appended_at, placed=True)
        state = folded.state
        refusals.append(folded.refusal)

    assert refusals == [None, Refusal.WEAK_SOURCE, Refusal.DUPLICATE, Refusal.DUPLICATE]
    assert not state.grants


@pytest.mark.kafka
def test_killed_half_way_it_goes_on(
    settings: Settings, environment: dict[str, str], invoke: Invoke, tmp_path: Path
) -> None:
    lines = [
        f"{a_number(n % 100)},purpose {n}" if n % 100 else f"nobody {n}," for n in range(4 * PIECE)
    ]
    file = a_list(tmp_path, "subject,purpose", *lines)
    command = [sys.executable, "-c", "from streams.cli.main import main; main()"]
    # Three seconds are left of it when the journal is there: enough to see that and to kill it.
    args = ["import", "suppressions", str(file), "--rate", str(PIECE)]
    importing = subprocess.Popen([*command, *args], env=os.environ | environment)
    try:
        wait_until(lambda: journal_path(file).exists() or importing.poll() is not None)
    finally:
        importing.send_signal(signal.SIGKILL)
        importing.wait()
    assert importing.returncode == -signal.SIGKILL, "it was done too soon"

    result = invoke(*args[1:], "--json")

    said = json.loads(result.stdout)
    assert said["went_on_after_line"] >= PIECE
    assert said["imported"] == len(lines) - len(lines) // 100
    assert said["refused"] == {"no_number": len(lines) // 100}
    times = Counter(f"{event.subject},{event.purpose}" for event in written(settings))
    assert set(times) == {line for line in lines if line.startswith("+")}
    assert sum(times.values()) - len(times) <= PIECE
    refused = refused_path(file).read_text().splitlines()[1:]
    assert len(refused) == len(set(refused)) == len(lines) // 100
    assert not journal_path(file).exists()


@pytest.mark.kafka
def test_without_its_topic_it_sends_nothing(
    kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path
) -> None:
    init_secrets(tmp_path / "secrets")
    environment = {
        "CONSENT_GATE_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "CONSENT_GATE_TOPIC_PREFIX": topic_prefix,
        "CONSENT_GATE_SECRETS_DIR": str(tmp_path / "secrets"),
    }
    file = a_list(tmp_path, "subject", a_number(1))
    result = CliRunner().invoke(app, ["import", "suppressions", str(file)], env=environment)
    assert isinstance(result.exception, TopicsUnfit)


def test_without_a_broker_it_is_to_be_tried_again(tmp_path: Path) -> None:
    init_secrets(tmp_path / "secrets")
    file = a_list(tmp_path, "subject", a_number(1))
    environment = {
        "CONSENT_GATE_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "CONSENT_GATE_SECRETS_DIR": str(tmp_path / "secrets"),
    }
    command = [sys.executable, "-c", "from streams.cli.main import main; main()"]
    result = subprocess.run(
        [*command, "import", "suppressions", str(file)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == TRY_AGAIN
    assert "asking for the partitions of consent.events" in result.stderr
    assert not journal_path(file).exists()


def dry(*args: str | Path) -> Result:
    """Run it dry: no Kafka, no keys."""
    return CliRunner().invoke(app, ["import", *map(str, args), "--dry-run"])


def test_a_dry_run_says_what_would_be_refused_and_shows_no_number(tmp_path: Path) -> None:
    file = a_list(
        tmp_path,
        "Phone;Name;occurred_at",
        f"{a_number(1)};Li;2024-05-31",
        f"{a_number(2)};Xu;yesterday",
    )
    result = dry("consents", file, "--map", "subject=phone", "--default-purpose", "invite")
    assert "2 lines, 1 would be imported, 1 refused" in result.stdout
    assert "the date is not one: write 2024-05-31" in result.stdout
    assert "not used: Name" in result.stdout
    assert "555" not in result.output
    assert "Li" not in result.output.replace("Lines", "")
    assert LinesRefused.exit_code == getattr(result.exception, "exit_code", None)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--map", "subject"], "write COLUMN=NAME"),
        (["--map", "phone=subject"], "COLUMN one of subject, dialled_from"),
        (["--default-region", "Germany"], "two letters"),
        (["--default-basis", "legitimate"], "express, implied or soft_opt_in"),
        (["--occurred-at", "yesterday"], "2024-05-31"),
        (["--delimiter", ",,"], "one character"),
        (["--encoding", "rot13"], "no such encoding"),
        (["--rate", "0"], "greater than or equal to 1"),
    ],
)
def test_a_wrong_option_is_wrong_usage(tmp_path: Path, args: Sequence[str], told: str) -> None:
    result = dry("consents", a_list(tmp_path, "subject,purpose,occurred_at"), *args)
    assert result.exit_code == 2
    assert told in " ".join(result.output.replace("│", " ").split())


def test_a_lost_broker_is_told_with_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent:
        destination = "here"
        unacknowledged = 7

        def __init__(self, *_: object) -> None:
            pass

        def send(self, event: ConsentEvent) -> None:
            pass

        def settle(self) -> None:
            raise KafkaUnavailable("no answer")

    monkeypatch.setattr("streams.cli.imports.Sending", Silent)
    init_secrets(tmp_path / "secrets")
    file = a_list(tmp_path, "subject", *(a_number(n) for n in range(7)))
    result = CliRunner().invoke(
        app,
        ["import", "suppressions", str(file), "--json"],
        env={"CONSENT_GATE_SECRETS_DIR": str(tmp_path / "secrets")},
    )
    assert isinstance(result.exception, KafkaUnavailable)
    said = json.loads(result.stdout)
    assert (said["complete"], said["imported"], said["unacknowledged"]) == (False, 0, 7)


def wait_until(held: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not held():
        assert time.monotonic() < deadline
        time.sleep(0.01)
