"""
Creates missing topics and reports how the others differ from :mod:`streams.topology`.

Nothing here deletes a topic, changes one that is there, or adds a partition: a topic of the
company's may have other readers, and more partitions would move people away from their state.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import assert_never

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from streams.config import Settings
from streams.errors import KafkaUnavailable, Retry, Stop, TopicsUnfit
from streams.kafka.error_mapping import meaning_of
from streams.kafka.placement_sample import PlacementSample, sample_placement
from streams.kafka.topic_differences import (
    Difference,
    FoundTopic,
    Severity,
    differences,
    missing,
)
from streams.topology import SMS_REQUESTED, TOPICS, Partitions, Topic

_ANSWER_WITHIN_SECONDS = 15.0
_READY_WITHIN_SECONDS = 15.0
_LOOK_AGAIN_SECONDS = 0.02

_SAFE_REPLICAS = 3
"""With three, two of them in sync, one broker can be lost and nothing acknowledged with it."""


@dataclass(frozen=True, slots=True)
class TopicReport:
    """
    One topic of the map and how it stands on the cluster under ``name``.

    ``found`` is None where it is missing; ``created`` is whether this call made it.
    """

    topic: Topic
    name: str
    found: FoundTopic | None
    differences: tuple[Difference, ...]
    created: bool = False

    @property
    def unfit(self) -> bool:
        """Whether the gate refuses to start because of this topic."""
        return any(found.severity is Severity.ERROR for found in self.differences)


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """All topics in the order of the map, what holds for the cluster, and the placement of keys."""

    topics: tuple[TopicReport, ...]
    notes: tuple[str, ...]
    placement: tuple[PlacementSample, ...] = ()

    @property
    def unfit(self) -> bool:
        """Whether the gate refuses to start."""
        return any(report.unfit for report in self.topics)

    def lines(self, severity: Severity) -> list[str]:
        """All differences of one severity, a line each."""
        must = "must be" if severity is Severity.ERROR else "should be"
        return [
            f"{report.name}: {found.setting} is {found.found}, {must} {found.expected}: "
            f"{found.breaks}"
            for report in self.topics
            for found in report.differences
            if found.severity is severity
        ]

    @property
    def complaints(self) -> list[str]:
        """What the sample of keys found, a line a topic."""
        return [line for sample in self.placement if (line := sample.complaint) is not None]

    @property
    def warnings(self) -> list[str]:
        """Everything that does not keep the gate from starting, a line each."""
        return [*self.notes, *self.lines(Severity.WARNING), *self.complaints]


def check(settings: Settings, admin: AdminClient) -> ClusterReport:
    """
    Compare the cluster with the map; change nothing. Samples the placement of keys too.

    Blocks for up to about half a minute. Raises :class:`KafkaUnavailable`, or
    :class:`ConfigError` when the cluster refuses to tell.
    """
    report = _compared(settings, _look(settings, admin))
    if report.unfit:
        # Where topics are missing or uneven, a sample would only repeat that in other words.
        return report
    return replace(report, placement=tuple(sample_placement(settings, admin)))


def apply(settings: Settings, admin: AdminClient) -> ClusterReport:
    """
    Create what is missing, wait until it can be written and read, and report as :func:`check` does.

    New topics get as many partitions as ``sms.requested`` has; if it is missing too, as many as
    the settings say. Safe to run twice, and by two at once. Raises as :func:`check` does, and
    :class:`TopicsUnfit` when the cluster refuses a topic.
    """
    cluster = _look(settings, admin)
    absent = [topic for topic in TOPICS if settings.names.of(topic) not in cluster.topics]
    if not absent:
        return _compared(settings, cluster)
    requests = cluster.topics.get(settings.names.of(SMS_REQUESTED))
    partitions = settings.partitions if requests is None else requests.partitions
    replicas = cluster.replicas_for_new_topics(settings)
    created = admin.create_topics(
        [_new_topic(settings, topic, partitions, replicas) for topic in absent],
        operation_timeout=_ANSWER_WITHIN_SECONDS,
        request_timeout=_ANSWER_WITHIN_SECONDS,
    )
    for name, future in created.items():
        _wait_created(name, future)
    names = {settings.names.of(topic) for topic in absent}
    report = _compared(settings, _look_until_ready(settings, admin, names))
    topics = (replace(topic, created=topic.name in names) for topic in report.topics)
    return replace(report, topics=tuple(topics))


def ensure_fit(settings: Settings, admin: AdminClient) -> list[str]:
    """
    Make sure, before a gate decides anything, that the guarantees can hold on these topics.

    Returns what is weaker than it should be, a line each. Raises :class:`TopicsUnfit` with every
    reason, :class:`KafkaUnavailable` when Kafka does not answer. Blocks as :func:`check` does.
    """
    report = check(settings, admin)
    if report.unfit:
        reasons = (f"  {line}" for line in report.lines(Severity.ERROR))
        raise TopicsUnfit(
            "\n".join(
                [
                    f"The topics at {settings.bootstrap_servers} cannot carry the guarantees:",
                    *reasons,
                    "`consent-gate topics apply` makes what is missing; change the rest yourself.",
                ]
            )
        )
    return report.warnings


@dataclass(frozen=True, slots=True)
class _Cluster:
    """What one look found: how many brokers, and those of our topics that are there."""

    brokers: int
    topics: Mapping[str, FoundTopic]

    def replicas_for_new_topics(self, settings: Settings) -> int:
        if settings.replication_factor is not None:
            return settings.replication_factor
        return _SAFE_REPLICAS if self.brokers >= _SAFE_REPLICAS else 1


def _look(settings: Settings, admin: AdminClient) -> _Cluster:
    try:
        metadata = admin.list_topics(timeout=_ANSWER_WITHIN_SECONDS)
    except KafkaException as error:
        raise meaning_of(error, f"asking {settings.bootstrap_servers} for its topics") from error
    names = [name for topic in TOPICS if (name := settings.names.of(topic)) in metadata.topics]
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    answers = (
        admin.describe_configs(resources, request_timeout=_ANSWER_WITHIN_SECONDS)
        if resources
        else {}
    )
    found = {}
    for resource, answer in answers.items():
        partitions = metadata.topics[resource.name].partitions
        try:
            settings_found = answer.result()
        except KafkaException as error:
            raise meaning_of(error, f"asking for the settings of {resource.name}") from error
        found[resource.name] = FoundTopic(
            partitions=len(partitions),
            replicas=min((len(part.replicas) for part in partitions.values()), default=0),
            settings={name: entry.value for name, entry in settings_found.items()},
        )
    return _Cluster(len(metadata.brokers), found)


def _look_until_ready(settings: Settings, admin: AdminClient, names: set[str]) -> _Cluster:
    """
    Look again until all of ``names`` are seen and every partition's leader answers.

    Brokers hear of a new topic a moment after its creation was confirmed; until then they refuse
    with UNKNOWN_TOPIC_OR_PART or NOT_LEADER_FOR_PARTITION whoever comes next, such as a gate.
    """
    deadline = time.monotonic() + _READY_WITHIN_SECONDS
    while True:
        try:
            cluster = _look(settings, admin)
            unseen = names - cluster.topics.keys()
            if unseen:
                raise KafkaUnavailable(f"created topics do not show: {', '.join(sorted(unseen))}")
            _ask_leaders(admin, {name: cluster.topics[name].partitions for name in names})
            return cluster
        except (KafkaUnavailable, TopicsUnfit):
            if time.monotonic() > deadline:
                raise
        admin.poll(_LOOK_AGAIN_SECONDS)


def _ask_leaders(admin: AdminClient, partitions: Mapping[str, int]) -> None:
    """Ask every partition's leader for its end. Raises what :func:`meaning_of` says."""
    ends = admin.list_offsets(
        {
            TopicPartition(name, number): OffsetSpec.latest()
            for name, count in partitions.items()
            for number in range(count)
        },
        request_timeout=_ANSWER_WITHIN_SECONDS,
    )
    for partition, end in ends.items():
        try:
            end.result()
        except KafkaException as error:
            doing = f"waiting for the leader of {partition.topic} partition {partition.partition}"
            raise meaning_of(error, doing) from error


def _compared(settings: Settings, cluster: _Cluster) -> ClusterReport:
    requests = cluster.topics.get(settings.names.of(SMS_REQUESTED))
    replicas = cluster.replicas_for_new_topics(settings)
    if cluster.brokers >= _SAFE_REPLICAS:
        replicas = max(replicas, _SAFE_REPLICAS)
    reports = []
    for own in TOPICS:
        topic, name = settings.configured(own), settings.names.of(own)
        found = cluster.topics.get(name)
        unlike = (
            [missing(topic)] if found is None else differences(topic, found, requests, replicas)
        )
        reports.append(TopicReport(topic, name, found, tuple(unlike)))
    return ClusterReport(tuple(reports), tuple(_notes(settings, cluster, requests)))


def _notes(settings: Settings, cluster: _Cluster, requests: FoundTopic | None) -> Iterator[str]:
    if cluster.brokers < _SAFE_REPLICAS:
        yield (
            f"the cluster has {cluster.brokers} broker(s): a lost one can take acknowledged "
            f"withdrawals with it; guarantee I1 needs {_SAFE_REPLICAS} replicas"
        )
    if requests is not None and requests.partitions != settings.partitions:
        yield (
            f"{settings.names.of(SMS_REQUESTED)} has {requests.partitions} partitions, the setting "
            f"partitions says {settings.partitions}: what is there counts"
        )


def _new_topic(settings: Settings, topic: Topic, partitions: int, replicas: int) -> NewTopic:
    match topic.partitions:
        case Partitions.LIKE_REQUESTS:
            count = partitions
        case Partitions.ONE:
            count = 1
        case _:
            assert_never(topic.partitions)
    return NewTopic(
        settings.names.of(topic),
        num_partitions=count,
        replication_factor=replicas,
        config=settings.configured(topic).broker_settings(replicas),
    )


def _wait_created(name: str, future: Future[None]) -> None:
    try:
        future.result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return  # Someone else applies at the same moment; what they made is checked below.
        meaning = meaning_of(error, f"creating {name}")
        if isinstance(meaning, Stop | Retry):
            raise meaning from error
        raise TopicsUnfit(str(meaning)) from error
