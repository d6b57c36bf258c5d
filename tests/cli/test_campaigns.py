"""`consent-gate campaigns list|pause|resume`, on a real Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner, Result

from streams.broker.cluster import EmbeddedKafka
from streams.cli.main import app
from streams.config import Settings
from streams.kafka.clients import admin_config, opened, producer_config
from streams.kafka.topics import apply
from streams.topology import CAMPAIGNS

pytestmark = pytest.mark.kafka

Invoke = Callable[..., Result]


@pytest.fixture
def settings(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Settings:
    made = Settings.model_validate(
        {
            "bootstrap_servers": kafka.bootstrap_servers,
            "topic_prefix": topic_prefix,
            "partitions": 1,
        }
    )
    apply(made, opened(AdminClient, admin_config(made)))
    return made


@pytest.fixture
def invoke(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run `consent-gate campaigns …` on that cluster."""
    for name in ("bootstrap_servers", "topic_prefix"):
        monkeypatch.setenv(f"CONSENT_GATE_{name.upper()}", str(getattr(settings, name)))
    return lambda *args: CliRunner().invoke(app, ["campaigns", *args])


def listed(invoke: Invoke) -> list[tuple[str, str | None]]:
    found = json.loads(invoke("list", "--json").stdout)
    return [(each["campaign"], each["by"]) for each in found]


def test_a_person_pauses_a_campaign_sees_it_and_resumes_it(invoke: Invoke) -> None:
    assert invoke("list").stdout == "Nothing is paused.\n"
    assert isinstance(invoke("resume", "spring").exception, Exception)

    paused = invoke("pause", "spring", "--reason", "Wrong price.", "--by", "ann")
    assert paused.exit_code == 0, paused.output
    assert listed(invoke) == [("spring", "ann")]
    assert "Wrong price." in invoke("list").stdout

    assert invoke("resume", "spring").exit_code == 0
    assert listed(invoke) == []


def test_of_two_pauses_each_is_ended_by_name_or_both_by_all(invoke: Invoke) -> None:
    ids = [
        json.loads(invoke("pause", "spring", "--reason", "r", "--json").stdout)["pause"]
        for _ in range(2)
    ]
    refused = invoke("resume", "spring")
    assert refused.exit_code != 0
    assert ids[0] in str(refused.exception)

    ended = json.loads(invoke("resume", "spring", "--pause", ids[0], "--json").stdout)
    assert [each["pause"] for each in ended["ended"]] == ids[:1]
    assert [each["pause"] for each in ended["standing"]] == ids[1:]
    invoke("pause", "spring", "--reason", "r")
    assert invoke("resume", "spring", "--all").exit_code == 0
    assert listed(invoke) == []


def test_what_cannot_be_read_is_listed_and_can_be_ended(settings: Settings, invoke: Invoke) -> None:
    producer = opened(Producer, producer_config(settings))
    producer.produce(settings.names.of(CAMPAIGNS), b"garbage", b"winter#1", partition=0)
    assert producer.flush(60) == 0

    assert listed(invoke) == [("winter", None)]
    assert invoke("resume", "winter").exit_code == 0
    assert listed(invoke) == []
    assert invoke("pause", "a#b", "--reason", "r").exit_code != 0
