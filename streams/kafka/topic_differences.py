"""
Compares a topic as it is on the cluster with what :mod:`streams.topology` says. Pure.

An *error* is a difference with which a guarantee cannot hold: the gate refuses to start. A
*warning* weakens one under a further fault, or keeps data longer or shorter than promised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from streams.topology import (
    BROADCAST,
    CONSENT_EVENTS,
    CONSENT_EVENTS_MIN_MS,
    CONTACTS_ENTRIES,
    CONTACTS_UPLOADED,
    DEAD_LETTERS,
    INPUT_MAX_BYTES,
    OUTPUT_MAX_BYTES,
    SMS_REQUESTED,
    Cleanup,
    Partitions,
    Role,
    Topic,
)

_LARGEST_OUTPUT_BYTES = INPUT_MAX_BYTES + 64 * 1024
"""The largest request, and what sealing, headers and ids add to it, with plenty to spare."""

_LOG_OVERHEAD_BYTES = 12
"""By which Kafka's own default is above 1 MiB: no reason to warn of a topic made with it."""

_FOREVER = -1


class Severity(Enum):
    """Whether the gate starts all the same."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be, and what breaks by it."""

    setting: str
    expected: str
    found: str
    breaks: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic on the cluster. ``settings`` are its configurations, the broker's defaults too."""

    partitions: int
    replicas: int
    settings: Mapping[str, str]

    def number(self, setting: str) -> int:
        """Return a numeric configuration."""
        return int(self.settings[setting])


def missing(topic: Topic) -> Difference:
    """Return the difference that a topic is not there. Without one of its own the gate can run."""
    needed = Role.GATE in topic.readers or Role.GATE in topic.writers
    return Difference(
        setting="topic",
        expected="there",
        found="missing",
        breaks="run `consent-gate topics apply`",
        severity=Severity.ERROR if needed else Severity.WARNING,
    )


def differences(
    topic: Topic, found: FoundTopic, requests: FoundTopic | None, replicas: int
) -> list[Difference]:
    """
    Return all differences of one topic, the errors first.

    ``topic`` has the retention that the settings give it, ``requests`` is ``sms.requested`` as it
    is on the cluster, ``replicas`` how many each partition should have.
    """
    all_of_them = [
        *_partitions(topic, found, requests),
        *_cleanup(topic, found),
        *_retention(topic, found),
        *_compaction(topic, found),
        *_timestamps(topic, found),
        *_sizes(topic, found),
        *_durability(found, replicas),
    ]
    return sorted(all_of_them, key=lambda difference: difference.severity is Severity.WARNING)


def _error(setting: str, expected: object, found: object, breaks: str) -> Difference:
    return Difference(setting, str(expected), str(found), breaks, Severity.ERROR)


def _warning(setting: str, expected: object, found: object, breaks: str) -> Difference:
    return Difference(setting, str(expected), str(found), breaks, Severity.WARNING)


def _partitions(
    topic: Topic, found: FoundTopic, requests: FoundTopic | None
) -> Iterator[Difference]:
    match topic.partitions:
        case Partitions.ONE:
            if found.partitions != 1:
                breaks = "its readers read one partition: what lies in others is never seen"
                yield _error("partitions", 1, found.partitions, breaks)
        case Partitions.LIKE_REQUESTS:
            if requests is not None and found.partitions != requests.partitions:
                breaks = (
                    f"a person's records here and in {SMS_REQUESTED.name} lie in partitions of "
                    "different numbers: no STOP would be found"
                )
                yield _error("partitions", requests.partitions, found.partitions, breaks)


def _cleanup(topic: Topic, found: FoundTopic) -> Iterator[Difference]:
    policies = {part.strip() for part in found.settings["cleanup.policy"].split(",")}
    expected = topic.cleanup.value
    written = ",".join(sorted(policies))
    if topic.cleanup is Cleanup.DELETE and "compact" in policies:
        breaks = "records that share a key are lost, each but the last"
        yield _error("cleanup.policy", expected, written, breaks)
    elif topic.cleanup is Cleanup.COMPACT and "delete" in policies:
        breaks = "what has not changed for the retention is forgotten, a STOP among it"
        yield _error("cleanup.policy", expected, written, breaks)
    elif policies != set(expected.split(",")):
        breaks = "old records stay longer, or settled ones are read again at every restore"
        yield _warning("cleanup.policy", expected, written, breaks)


def _retention(topic: Topic, found: FoundTopic) -> Iterator[Difference]:
    if topic.retention_ms is None:
        return
    kept_ms = found.number("retention.ms")
    kept_bytes = found.number("retention.bytes")
    expected = f"at least {topic.retention_ms}"
    if topic.name == CONSENT_EVENTS.name:
        if kept_ms != _FOREVER and kept_ms < CONSENT_EVENTS_MIN_MS:
            breaks = "a gate that stood still for a while has lost withdrawals"
            yield _error("retention.ms", f"at least {CONSENT_EVENTS_MIN_MS}", kept_ms, breaks)
            kept_ms = topic.retention_ms
        if kept_bytes != _FOREVER:
            breaks = "a flood of events pushes withdrawals out before they are read"
            yield _error("retention.bytes", _FOREVER, kept_bytes, breaks)
    elif kept_bytes != _FOREVER:
        breaks = "records go before their time when there are many"
        yield _warning("retention.bytes", _FOREVER, kept_bytes, breaks)
    if kept_ms != _FOREVER and kept_ms < topic.retention_ms:
        yield _warning("retention.ms", expected, kept_ms, "records go before their time")
    elif kept_ms != topic.retention_ms:
        breaks = (
            "people's data stay longer than promised, and erasures complete later"
            if topic.plaintext
            else "records stay longer than promised"
        )
        yield _warning("retention.ms", topic.retention_ms, kept_ms, breaks)


def _compaction(topic: Topic, found: FoundTopic) -> Iterator[Difference]:
    segment_ms = found.number("segment.ms")
    if (topic.plaintext or topic.compacted) and segment_ms > topic.segment_ms:
        breaks = "the broker removes records of closed segments only: people's data stay longer"
        yield _warning("segment.ms", f"at most {topic.segment_ms}", segment_ms, breaks)
    if topic.max_compaction_lag_ms is not None:
        lag_ms = found.number("max.compaction.lag.ms")
        if lag_ms > topic.max_compaction_lag_ms:
            breaks = "what was overwritten or erased stays longer"
            expected = f"at most {topic.max_compaction_lag_ms}"
            yield _warning("max.compaction.lag.ms", expected, lag_ms, breaks)
    if topic.delete_retention_ms is not None:
        kept_ms = found.number("delete.retention.ms")
        if kept_ms != topic.delete_retention_ms:
            breaks = (
                "a reader that is behind misses deletions"
                if kept_ms < topic.delete_retention_ms
                else "the keys of deleted records stay longer"
            )
            yield _warning("delete.retention.ms", topic.delete_retention_ms, kept_ms, breaks)


def _timestamps(topic: Topic, found: FoundTopic) -> Iterator[Difference]:
    kind = found.settings["message.timestamp.type"]
    if not topic.log_append_time or kind == "LogAppendTime":
        return
    names = {CONSENT_EVENTS.name, CONTACTS_ENTRIES.name, *(topic.name for topic in BROADCAST)}
    if topic.name in names:
        breaks = "a writer's clock, not Kafka's, would say whether a grant is newer than a STOP"
        yield _error("message.timestamp.type", "LogAppendTime", kind, breaks)
    else:
        breaks = "a writer's clock says how old a record is and how long it is kept"
        yield _warning("message.timestamp.type", "LogAppendTime", kind, breaks)


def _sizes(topic: Topic, found: FoundTopic) -> Iterator[Difference]:
    """
    Compare the sizes of messages, which brokers count compressed.

    However large the requests are that ``sms.requested`` takes, no output grows with them: what is
    above :data:`INPUT_MAX_BYTES` uncompressed becomes a dead letter (:mod:`streams.kafka.bounds`),
    with its bytes if they fit :data:`OUTPUT_MAX_BYTES`.
    """
    largest = found.number("max.message.bytes")
    if topic.max_message_bytes == INPUT_MAX_BYTES:
        if largest > topic.max_message_bytes + _LOG_OVERHEAD_BYTES:
            breaks = "a larger record is accepted here, but only to become a dead letter"
            expected = f"at most {topic.max_message_bytes}"
            yield _warning("max.message.bytes", expected, largest, breaks)
        return
    expected = f"at least {topic.max_message_bytes}"
    if topic.name == CONTACTS_UPLOADED.name:
        if largest < topic.max_message_bytes:
            breaks = "large address books are refused before anybody reads them"
            yield _warning("max.message.bytes", expected, largest, breaks)
        return
    needed = OUTPUT_MAX_BYTES if topic.name == DEAD_LETTERS.name else _LARGEST_OUTPUT_BYTES
    if largest < needed:
        breaks = "one record at the limit would abort every transaction of its partition"
        yield _error("max.message.bytes", expected, largest, breaks)
    elif largest < topic.max_message_bytes:
        breaks = "the more a record grows, the nearer it comes to aborting for ever"
        yield _warning("max.message.bytes", expected, largest, breaks)


def _durability(found: FoundTopic, replicas: int) -> Iterator[Difference]:
    if found.replicas < replicas:
        breaks = "a lost broker takes acknowledged records with it, a withdrawal among them"
        yield _warning("replication", f"at least {replicas}", found.replicas, breaks)
    in_sync = found.number("min.insync.replicas")
    if in_sync > found.replicas:
        breaks = "nothing can be written: no record ever has that many replicas"
        yield _error("min.insync.replicas", f"at most {found.replicas}", in_sync, breaks)
    elif found.replicas >= 3 and in_sync < 2:
        breaks = "a record counts as acknowledged that only the leader has"
        yield _warning("min.insync.replicas", "at least 2", in_sync, breaks)
    unclean = found.settings["unclean.leader.election.enable"]
    if unclean != "false":
        breaks = "a broker that was behind may lead, and forget acknowledged records"
        yield _warning("unclean.leader.election.enable", "false", unclean, breaks)
