"""`consent-gate topics apply|check|list`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from streams.broker.cluster import EmbeddedKafka
from streams.cli.main import app
from streams.topology import SMS_REQUESTED, TOPICS

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, topic_prefix: str) -> Invoke:
    """Run `consent-gate topics …` with topics of this test's own."""
    monkeypatch.setenv("CONSENT_GATE_TOPIC_PREFIX", topic_prefix)
    monkeypatch.setenv("CONSENT_GATE_PARTITIONS", "2")

    def invoked(*args: str) -> Result:
        return CliRunner().invoke(app, ["topics", *args])

    return invoked


def test_the_list_needs_no_kafka_and_names_topics_as_on_the_cluster(
    invoke: Invoke, topic_prefix: str
) -> None:
    rows = json.loads(invoke("list", "--json").stdout)

    assert [row["topic"] for row in rows] == [topic.name for topic in TOPICS]
    assert rows[0]["name"] == f"{topic_prefix}{SMS_REQUESTED.name}"
    assert rows[0]["partitions"] == 2


@pytest.mark.kafka
def test_check_fails_until_apply_has_run(
    invoke: Invoke, kafka: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSENT_GATE_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)

    before = invoke("check", "--json")
    applied = invoke("apply", "--json")
    after = invoke("check", "--json")

    assert before.exit_code == 5
    assert json.loads(before.stdout)["fit"] is False
    assert applied.exit_code == 0
    assert all(topic["created"] for topic in json.loads(applied.stdout)["topics"])
    assert after.exit_code == 0
    assert json.loads(after.stdout)["fit"] is True


@pytest.mark.kafka
def test_people_get_tables(
    invoke: Invoke, kafka: EmbeddedKafka, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSENT_GATE_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)

    shown = invoke("check").stdout

    assert f"{topic_prefix}{SMS_REQUESTED.name}" in shown
    assert "missing" in shown
    assert "run `consent-gate topics apply`" in shown
