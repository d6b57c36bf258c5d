"""
Putting a gate together from its settings, and taking it apart again.

The order matters and is the order of failure: what needs no broker first (secrets, policy,
schemas), then the topics' fitness, then the store, then the producer, and last the group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.codec.codec import open_codecs
from streams.config import Settings
from streams.errors import ConfigError, KafkaUnavailable
from streams.gate.assignment import Assignment
from streams.gate.barrier import Barrier, asked
from streams.gate.batch_bound import BatchBound
from streams.gate.broadcast import Broadcast
from streams.gate.deciding import Deciding
from streams.gate.folding import Folding
from streams.gate.gate import Gate
from streams.gate.holding import Holding
from streams.gate.intake import Intake
from streams.gate.live_policy import LivePolicy
from streams.gate.resend import Resender
from streams.gate.restoring import Restoring
from streams.gate.shadow import CandidatePolicy
from streams.gate.topics import GateTopics
from streams.gate.transaction import Transactor
from streams.kafka.clients import (
    Complaints,
    admin_config,
    consumer_config,
    opened,
    producer_config,
    reader_config,
)
from streams.kafka.topics import ensure_fit
from streams.kafka.waiting import UntilAnswered
from streams.sealing.keyring import open_keyring
from streams.state.holds import Holds
from streams.state.log_reader import At, LogReader
from streams.state.sends import Sends
from streams.state.store import Store, boot_id
from streams.state.subjects import Subjects
from streams.telemetry.catalogue import TopicsWarned
from streams.telemetry.health import Health
from streams.telemetry.labels import Condition
from streams.telemetry.telemetry import Telemetry
from streams.topology import SHORT_MS, SMS_QUARANTINED

ADMIN_TIMEOUT_SECONDS: Final = 5.0
LEADERS_KNOWN_MS: Final = 1_000
"""For how long the admin client, which reads the barrier, believes to know a partition's leader.
Seen with librdkafka 2.16: it asks a leader that died or hangs again and again, and looks for its
successor only once this is over, which by default is after 15 minutes."""
MOST_FOLDED: Final = 20_000
"""State records folded in one turn, over all its partitions: a second or so. A backlog of millions
(a bulk import, a long outage) is committed in such pieces, so that the loop goes on turning."""
RESEND_TIMEOUT_SECONDS: Final = 2.0
"""The loop stands still for so long when the home of a misplaced record does not answer."""


@contextmanager
def assembled(
    settings: Settings,
    telemetry: Telemetry,
    health: Health,
    *,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Gate]:
    """
    Give a gate that is ready to :meth:`~streams.gate.gate.Gate.run`; release everything at the end.

    Waits for Kafka as long as it does not answer, telling so, until ``stopping``. Raises the
    :class:`streams.errors.Stop` of whatever a person must put right.
    """
    if settings.instance_id is None:
        raise ConfigError(
            "instance_id is not set: give each gate a name of its own that it keeps over restarts "
            "(--instance-id, CONSENT_GATE_INSTANCE_ID, or instance_id in the configuration file)."
        )
    keyring = open_keyring(settings.secrets_dir)
    data_keys = keyring.data_keys()
    codecs = open_codecs(settings.schema_registry_url, settings.schema_registry, settings.names)
    topics = GateTopics.of(settings.names)
    transactional_id = f"{settings.group_id}-{settings.instance_id}"
    with ExitStack() as stack:
        resender = Resender(producer_config(settings), timeout_seconds=RESEND_TIMEOUT_SECONDS)
        policy = LivePolicy(
            settings.policy_dir,
            archive=resender,
            topic=topics.policies,
            codec=codecs.policies,
            telemetry=telemetry,
            health=health,
        )
        complaints = Complaints()
        admin = opened(
            AdminClient,
            {
                "metadata.max.age.ms": LEADERS_KNOWN_MS,
                **admin_config(settings),
                "error_cb": complaints,
            },
        )
        until_answered = UntilAnswered(telemetry, health, stopping, admin, complaints)
        for warning in until_answered(lambda: ensure_fit(settings, admin)):
            telemetry.emit(TopicsWarned(warning))
        until_answered(policy.start)
        cluster = until_answered(lambda: _cluster(admin, topics.requests))
        written_by = " ".join(
            (boot_id(), cluster.cluster_id, topics.changelog, keyring.subject_ids.check_value.hex())
        )
        store = Store(
            settings.state_dir / settings.instance_id,
            map_bytes=settings.state_map_bytes,
            written_by=written_by,
        )
        stack.callback(store.close)
        subjects = Subjects(store, codecs.subject_states, codecs.subject_keys)
        sends = Sends(policy.current.caps.horizon_ms)
        holds = Holds(settings.configured(SMS_QUARANTINED).retention_ms or SHORT_MS)
        holding = Holding(
            holds=holds, store=store, subjects=subjects, data_keys=data_keys, codecs=codecs
        )
        reader = LogReader(reader_config(settings))
        stack.callback(reader.close)
        restores = LogReader(reader_config(settings))
        stack.callback(restores.close)
        barrier = Barrier(admin, timeout_seconds=max(1.0, settings.barrier_timeout_ms / 1000))
        broadcast = Broadcast(reader, codecs, topics, telemetry, keyring.subject_ids.of)
        reader.start(until_answered(lambda: _beginnings(admin, topics.broadcast)), bounded=False)
        transactor = Transactor(
            producer_config(settings, transactional_id),
            timeout_seconds=settings.transaction_timeout_ms / 2000,
        )
        until_answered(transactor.start)
        stack.callback(transactor.close)
        health.set(Condition.PRODUCER_INITIALISED, True)
        consumer = opened(
            Consumer,
            {
                **consumer_config(settings, settings.group_id, settings.instance_id),
                "partition.assignment.strategy": "range",
                "queued.max.messages.kbytes": settings.batch_max_bytes // 1024,
            },
        )
        stack.callback(consumer.close)
        restoring = Restoring(
            admin=admin,
            consumer=consumer,
            barrier=barrier,
            topics=topics,
            group_id=settings.group_id,
            key_check=keyring.subject_ids.check_value,
            store=store,
            codecs=codecs,
            sends=sends,
            holds=holds,
            reader=restores,
            telemetry=telemetry,
            timeout_seconds=ADMIN_TIMEOUT_SECONDS,
        )
        stack.callback(restoring.close)
        assignment = Assignment(
            consumer=consumer,
            admin=admin,
            barrier=barrier,
            topics=topics,
            restoring=restoring,
            subjects=subjects,
            data_keys=data_keys,
            state=reader,
            telemetry=telemetry,
        )
        yield Gate(
            topics=topics,
            assignment=assignment,
            intake=Intake(
                consumer,
                assignment,
                telemetry,
                max_bytes=settings.batch_max_bytes,
                linger_seconds=settings.batch_linger_ms / 1000,
            ),
            bound=BatchBound(
                settings.batch_max_records, MOST_FOLDED, settings.transaction_timeout_ms / 4000
            ),
            barrier=barrier,
            reader=reader,
            broadcast=broadcast,
            folding=Folding(
                reader=reader,
                subjects=subjects,
                codecs=codecs,
                keyring=keyring,
                data_keys=data_keys,
                topics=topics,
                partitions=cluster.partitions,
                contact_entry_days=settings.contact_entry_days,
                group_id=settings.group_id,
            ),
            deciding=Deciding(
                subjects=subjects,
                sends=sends,
                holding=holding,
                codecs=codecs,
                subject_ids=keyring.subject_ids,
                data_keys=data_keys,
                names=broadcast.names,
                campaigns=broadcast.campaigns,
                templates=broadcast.templates,
                topics=topics,
                partitions=cluster.partitions,
                group_id=settings.group_id,
            ),
            transactor=transactor,
            resender=resender,
            policy=policy,
            candidate=CandidatePolicy(settings.shadow_policy_dir, telemetry),
            store=store,
            subjects=subjects,
            sends=sends,
            holding=holding,
            codecs=codecs,
            signer=keyring.signer,
            telemetry=telemetry,
            health=health,
            barrier_timeout_seconds=settings.barrier_timeout_ms / 1000,
            tick_seconds=settings.idle_tick_ms / 1000,
        )


class _Cluster:
    """What the gate has to know of the cluster it works on."""

    def __init__(self, cluster_id: str, partitions: int) -> None:
        self.cluster_id = cluster_id
        self.partitions = partitions


def _cluster(admin: AdminClient, requests: str) -> _Cluster:
    try:
        metadata = admin.list_topics(requests, timeout=ADMIN_TIMEOUT_SECONDS)
    except KafkaException as error:
        raise KafkaUnavailable(f"Kafka does not answer: {error.args[0].name()}.") from error
    return _Cluster(str(metadata.cluster_id), len(metadata.topics[requests].partitions))


def _beginnings(admin: AdminClient, partitions: list[At]) -> dict[At, int]:
    question = asked(admin, partitions, OffsetSpec.earliest(), ADMIN_TIMEOUT_SECONDS)
    question.wait()
    found = {at: offset for at, offset in question.offsets().items() if offset is not None}
    if len(found) < len(partitions):
        raise KafkaUnavailable("The beginnings of the broadcast topics are not known.")
    return found
