"""Workers on a test's own installation: in a thread of the test, or in a process to be killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from streams.kafka.clients import consumer_config
from streams.processors.agent import MakeAgent
from streams.processors.app import group_of
from streams.processors.library_logs import tame_library_logs
from streams.processors.runtime import CONDITIONS, Runtime, assembled
from streams.telemetry import metrics
from streams.telemetry.health import Health
from streams.telemetry.labels import EventOutcome
from streams.telemetry.telemetry import Telemetry
from tests.gate.bed import PLAIN_POLICY, Bed, InThread


class RunningWorker(InThread):
    """A worker in its thread."""

    def __init__(self, runtime: Runtime, telemetry: Telemetry, health: Health) -> None:
        super().__init__(runtime.run, telemetry, health)
        self.runtime = runtime

    def handled(self, agent: str, outcome: EventOutcome = EventOutcome.HANDLED) -> int:
        """How many events came to this end."""
        counts = self.telemetry.values(metrics.WORKER_EVENTS)
        return int(counts.get((agent, outcome.value), 0))


@contextmanager
def working(
    bed: Bed, *agents: MakeAgent, instance_id: str = "worker-1", **changes: object
) -> Iterator[RunningWorker]:
    """Run a worker in a thread until the block ends. Its failure fails the test."""
    with running(bed, agents, instance_id, **changes) as worker:
        worker.until_ready()
        yield worker
    if worker.error is not None:
        raise worker.error


@contextmanager
def running(
    bed: Bed, agents: Sequence[MakeAgent], instance_id: str, **changes: object
) -> Iterator[RunningWorker]:
    """The same, not waited for; its failure is the test's to look at."""
    tame_library_logs()
    settings = bed.settings.model_copy(update={"instance_id": instance_id, **changes})
    telemetry = Telemetry()
    health = Health(telemetry, conditions=CONDITIONS)
    with assembled(settings, telemetry, health, agents=agents) as runtime:
        worker = RunningWorker(runtime, telemetry, health)
        worker.thread.start()
        try:
            yield worker
        finally:
            runtime.stop()
            worker.thread.join(60)
            assert not worker.thread.is_alive(), "the worker did not stop"


def committed(bed: Bed, topic: str) -> dict[int, int]:
    """The offsets that the worker's group has committed for a topic, by partition."""
    config = consumer_config(bed.settings, group_of(bed.settings))
    consumer = Consumer(config)
    try:
        asked = [TopicPartition(topic, number) for number in range(bed.settings.partitions)]
        return {tp.partition: tp.offset for tp in consumer.committed(asked, timeout=60)}
    finally:
        consumer.close()


def ends(bed: Bed, topic: str) -> dict[int, int]:
    """Where each partition of a topic ends, aborted records and markers included."""
    consumer = Consumer(consumer_config(bed.settings, "nobody"))
    try:
        return {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number), 10)[1]
            for number in range(bed.settings.partitions)
        }
    finally:
        consumer.close()


def policy_wanting_confirmations(folder: Path, purpose: str = "confirmation") -> Path:
    """Write the plain policy that wants consents to advertising confirmed, within 7 days."""
    policy = folder / "policy"
    shutil.copytree(PLAIN_POLICY, policy)
    manifest = (policy / "policy.yaml").read_text()
    manifest = manifest.replace("purposes:\n", f"purposes:\n  {purpose}: Is it yours?\n", 1)
    (policy / "policy.yaml").write_text(
        f"{manifest}\nconfirm: {{purposes: [marketing], within_days: 7}}\n"
    )
    return policy
