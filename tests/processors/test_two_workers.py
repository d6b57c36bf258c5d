"""Two workers: partitions are shared, their state goes with them, and no name is used twice."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.errors import ConfigError, StoreInUse
from streams.processors.agent import Agent, Effects, Event, Tools, each
from streams.processors.runtime import assembled
from streams.processors.state import AgentState
from streams.telemetry import metrics
from streams.telemetry.health import Health
from streams.telemetry.telemetry import Telemetry
from streams.topology import CAMPAIGNS, CONSENT_EVENTS, SMS_INBOUND
from tests.gate.bed import Bed
from tests.processors.bed import RunningWorker, running, working
from tests.processors.counting import count, counting, text_of
from tests.processors.test_crash import outputs

pytestmark = pytest.mark.kafka


def send(bed: Bed, text: str) -> None:
    for partition in range(bed.settings.partitions):
        topic = bed.settings.names.of(SMS_INBOUND)
        bed.write(topic, b"key-%d" % partition, text.encode(), partition)
    bed.flush()


def partitions(worker: RunningWorker) -> set[int]:
    return set(worker.telemetry.members(metrics.ASSIGNED_PARTITIONS))


def test_state_goes_with_its_partition_and_shows_no_other_s(bed: Bed) -> None:
    seen: dict[int, list[str]] = {}

    def noting(event: Event[str], state: AgentState) -> Effects:
        effects = count(event, state)
        seen[event.partition] = [bytes.fromhex(key).decode() for key, _ in state.items()]
        return effects

    agent = partial(counting, handle=each(noting))
    with working(bed, agent) as first:
        send(bed, "one")
        first.until(lambda: len(outputs(bed)) == 2)
        with working(bed, agent, instance_id="worker-2") as second:
            second.until(lambda: len(partitions(first)) == len(partitions(second)) == 1)
            send(bed, "both")
            second.until(lambda: len(outputs(bed)) == 4)
            assert partitions(first) | partitions(second) == {0, 1}
        # A static member that leaves keeps its partitions until its session has ended.
        first.until(lambda: len(partitions(first)) == 2)
        send(bed, "one again")
        first.until(lambda: len(outputs(bed)) == 6)

    assert sorted(set(outputs(bed))) == [("both", 2), ("one", 1), ("one again", 3)]
    assert seen == {0: ["key-0"], 1: ["key-1"]}


def test_both_topics_of_an_agent_come_to_the_same_worker(
    kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path
) -> None:
    # Three partitions and two workers: dealt out in turn, the topics would come apart.
    bed = Bed(kafka.bootstrap_servers, topic_prefix, tmp_path, partitions=3)
    both: dict[str, set[tuple[str, int]]] = {"worker-1": set(), "worker-2": set()}

    def named(name: str, _tools: Tools) -> Agent:
        def note(event: Event[str], state: AgentState) -> Effects:
            both[name].add((event.topic.name, event.partition))
            return Effects()

        return Agent("both", {SMS_INBOUND: text_of, CONSENT_EVENTS: text_of}, each(note))

    with (
        working(bed, partial(named, "worker-1")) as first,
        working(bed, partial(named, "worker-2"), instance_id="worker-2") as second,
    ):
        second.until(lambda: partitions(first) and len(partitions(first) | partitions(second)) == 3)
        second.until(lambda: not partitions(first) & partitions(second))
        for topic in (SMS_INBOUND, CONSENT_EVENTS):
            for partition in range(3):
                bed.write(bed.settings.names.of(topic), b"k", b"v", partition)
        bed.flush()
        second.until(lambda: sum(map(len, both.values())) == 6)

    for found in both.values():
        assert len(found) == 2 * len({partition for _, partition in found})


def test_on_one_machine_the_second_is_refused_at_once(bed: Bed) -> None:
    with (
        working(bed, counting),
        pytest.raises(StoreInUse, match="worker-1"),
        running(bed, [counting], "worker-1"),
    ):
        pass


def uneven(_tools: Tools) -> Agent:
    return Agent("uneven", {CAMPAIGNS: text_of, SMS_INBOUND: text_of}, each(count))


@pytest.mark.parametrize(
    ("agents", "reason"),
    [
        ([], "no agents"),
        ([counting, counting], "the same topic"),
        ([lambda tools: Agent("x", {}, each(count))], "nothing to read"),
        (
            [lambda tools: Agent("x", {CAMPAIGNS: text_of, SMS_INBOUND: text_of}, each(count))],
            "diff",
        ),
    ],
)
def test_agents_that_cannot_be_kept_apart_are_refused(
    bed: Bed, agents: list[object], reason: str
) -> None:
    telemetry = Telemetry()
    settings = bed.settings.model_copy(update={"instance_id": "worker-1"})
    with (
        pytest.raises((ConfigError, ValueError), match=reason),
        assembled(settings, telemetry, Health(telemetry), agents=agents),  # type: ignore[arg-type]
    ):
        pass


def test_a_worker_without_a_name_is_refused(bed: Bed) -> None:
    telemetry = Telemetry()
    with (
        pytest.raises(ConfigError, match="instance_id is not set"),
        assembled(bed.settings, telemetry, Health(telemetry), agents=[counting]),
    ):
        pass
