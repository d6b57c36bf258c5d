"""
The one map of topics: what flows where, who writes it, who reads it, how long it is kept.

``consent-gate topics apply|check|list``, the gate, the table in ``docs/topics.md`` and a company's
access lists all come from here. A topic that is not here does not exist.

The names here are the project's own. :class:`TopicNames` turns them into the names on a cluster.

Broker settings are Kafka's topic configurations (https://kafka.apache.org/documentation/#topicconfigs).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from streams.errors import ConfigError

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
YEAR_MS = 365 * DAY_MS

UNITS_MS: Mapping[str, int] = {"ms": 1, "s": 1000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
"""The units in which durations are written, the smallest first."""


def duration(milliseconds: int) -> str:
    """Write milliseconds in the largest unit that divides them: ``604800000`` is ``7d``."""
    unit, size = next(
        (unit, size) for unit, size in reversed([*UNITS_MS.items()]) if milliseconds % size == 0
    )
    return f"{milliseconds // size}{unit}"


SHORT_MS = 7 * DAY_MS
"""How long plaintext is kept that only waits to be processed. An erasure completes after it."""

CONSENT_EVENTS_MIN_MS = 30 * DAY_MS
"""Guarantee I1: a gate that stood still for less than this loses no withdrawal."""

INPUT_MAX_BYTES = 1024 * 1024
OUTPUT_MAX_BYTES = 2 * INPUT_MAX_BYTES
"""Sealing and headers add to a request. Were the limits equal, one at the limit would abort for
ever."""

UPLOAD_MAX_BYTES = 8 * INPUT_MAX_BYTES
"""Of an address book as it is sent: one of 50,000 contacts with their names has 1.4 MB or more."""

TOMBSTONES_KEPT_MS = 7 * DAY_MS
"""A reader that is further behind than this could miss a deletion; restores start from the
beginning and do not depend on it."""


class Role(Enum):
    """Who writes or reads a topic."""

    SERVICES = "the company's services"
    APP = "the company's app"
    CARRIER = "carrier connector"
    GATE = "gate"
    WORKER = "worker"
    DESK = "desk"
    AUDIT = "audit"


class Cleanup(Enum):
    """What the broker does with old records; the value is Kafka's ``cleanup.policy``."""

    DELETE = "delete"
    COMPACT = "compact"
    COMPACT_DELETE = "compact,delete"


class Partitions(Enum):
    """How many partitions a topic has."""

    LIKE_REQUESTS = "like sms.requested"
    ONE = "1"


@dataclass(frozen=True, slots=True)
class Topic:
    """
    One topic.

    ``schemas`` names the Avro records it holds; empty means the bytes of another topic, untouched,
    or what only its one writer reads.
    ``retention_ms`` is None where compaction alone removes records. ``plaintext`` is whether keys
    or values hold phone numbers, names or message bodies: then the broker closes segments early
    enough for the retention to be kept to a quarter of it (a broker deletes closed segments only).
    ``log_append_time`` is whether record timestamps are the broker's clock. ``max_message_bytes``
    bounds a record batch as the broker stores it, after compression.
    """

    name: str
    key: str
    schemas: tuple[str, ...]
    writers: tuple[Role, ...]
    readers: tuple[Role, ...]
    cleanup: Cleanup
    retention_ms: int | None
    partitions: Partitions
    plaintext: bool
    log_append_time: bool = False
    max_message_bytes: int = OUTPUT_MAX_BYTES
    max_compaction_lag_ms: int | None = None
    delete_retention_ms: int | None = None

    @property
    def compacted(self) -> bool:
        """Whether the broker may drop a record because a later one has its key."""
        return self.cleanup is not Cleanup.DELETE

    @property
    def segment_ms(self) -> int:
        """
        After how long the broker closes a segment, in milliseconds.

        At most a quarter of what bounds the life of a record (retention, or for a compacted topic
        the compaction lag), at most a day where there is plaintext, and never more than a week,
        which is Kafka's default.
        """
        bounds = [7 * DAY_MS]
        if self.retention_ms is not None:
            bounds.append(self.retention_ms // 4)
        if self.max_compaction_lag_ms is not None:
            bounds.append(self.max_compaction_lag_ms // 4)
        if self.plaintext:
            bounds.append(DAY_MS)
        return min(bounds)

    def kept_for(self, retention_ms: int) -> Topic:
        """Return the topic with another retention, in milliseconds."""
        return replace(self, retention_ms=retention_ms)

    def broker_settings(self, replication_factor: int) -> dict[str, str]:
        """
        Return the topic configurations that the guarantees rest on, as Kafka spells them.

        With three or more replicas two must have a record before it is acknowledged. Unclean
        elections are off: they give up acknowledged records, a withdrawal among them.
        """
        wanted = {
            "cleanup.policy": self.cleanup.value,
            "segment.ms": str(self.segment_ms),
            "retention.bytes": "-1",
            "message.timestamp.type": "LogAppendTime" if self.log_append_time else "CreateTime",
            "max.message.bytes": str(self.max_message_bytes),
            "min.insync.replicas": "2" if replication_factor >= 3 else "1",
            "unclean.leader.election.enable": "false",
        }
        if self.retention_ms is not None:
            wanted["retention.ms"] = str(self.retention_ms)
        if self.max_compaction_lag_ms is not None:
            wanted["max.compaction.lag.ms"] = str(self.max_compaction_lag_ms)
        if self.delete_retention_ms is not None:
            wanted["delete.retention.ms"] = str(self.delete_retention_ms)
        return wanted


# ------------------------------------------------------------------------------------------ inputs
#
# All with LogAppendTime: no writer's clock bends the order of consent, the latency of a decision or
# how long plaintext stays.

SMS_REQUESTED = Topic(
    name="sms.requested",
    key="recipient E.164",
    schemas=("SmsRequested",),
    writers=(Role.SERVICES, Role.WORKER),
    readers=(Role.GATE,),
    cleanup=Cleanup.DELETE,
    retention_ms=SHORT_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=True,
    log_append_time=True,
    max_message_bytes=INPUT_MAX_BYTES,
)

CONSENT_EVENTS = Topic(
    name="consent.events",
    key="subject E.164",
    schemas=("ConsentEvent",),
    writers=(Role.SERVICES, Role.WORKER, Role.DESK, Role.GATE),
    readers=(Role.GATE, Role.WORKER),
    cleanup=Cleanup.DELETE,
    retention_ms=CONSENT_EVENTS_MIN_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=True,
    log_append_time=True,
    max_message_bytes=INPUT_MAX_BYTES,
)

CONTACTS_UPLOADED = Topic(
    name="contacts.uploaded",
    key="uploader E.164",
    schemas=("ContactsUploaded", "UploadWithdrawn"),
    writers=(Role.APP,),
    readers=(Role.WORKER,),
    cleanup=Cleanup.DELETE,
    retention_ms=SHORT_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=True,
    log_append_time=True,
    max_message_bytes=UPLOAD_MAX_BYTES,
)

SMS_INBOUND = Topic(
    name="sms.inbound",
    key="sender E.164",
    schemas=("InboundSms",),
    writers=(Role.CARRIER,),
    readers=(Role.WORKER,),
    cleanup=Cleanup.DELETE,
    retention_ms=SHORT_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=True,
    log_append_time=True,
    max_message_bytes=INPUT_MAX_BYTES,
)

# A reply that may be a STOP waits for a person: where it stands in sms.inbound, not what it says.
INBOUND_UNCERTAIN = Topic(
    name="inbound.uncertain",
    key="subject id",
    schemas=("UncertainReply",),
    writers=(Role.WORKER,),
    readers=(Role.DESK,),
    cleanup=Cleanup.DELETE,
    retention_ms=SHORT_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=False,
)

# A reviewer's note is free text: kept like plaintext, though it should name nobody.
QUARANTINE_REVIEWS = Topic(
    name="quarantine.reviews",
    key="hold id; partition of the hold",
    schemas=("QuarantineReview",),
    writers=(Role.DESK,),
    readers=(Role.GATE,),
    cleanup=Cleanup.DELETE,
    retention_ms=SHORT_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=True,
    log_append_time=True,
    max_message_bytes=INPUT_MAX_BYTES,
)

CONTACTS_ENTRIES = Topic(
    name="contacts.entries",
    key="subject id; partition of the E.164",
    schemas=("ContactEntry",),
    writers=(Role.WORKER,),
    readers=(Role.GATE,),
    cleanup=Cleanup.DELETE,
    retention_ms=30 * DAY_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=False,
    log_append_time=True,
    max_message_bytes=INPUT_MAX_BYTES,
)

# --------------------------------------------------- broadcast: read whole by every gate at start

NAMES_CONSENTS = Topic(
    name="names.consents",
    key="subject E.164",
    schemas=("NameConsent",),
    writers=(Role.SERVICES, Role.WORKER),
    readers=(Role.GATE,),
    cleanup=Cleanup.COMPACT,
    retention_ms=None,
    partitions=Partitions.ONE,
    plaintext=True,
    log_append_time=True,
    max_message_bytes=INPUT_MAX_BYTES,
    max_compaction_lag_ms=DAY_MS,
    delete_retention_ms=TOMBSTONES_KEPT_MS,
)

TEMPLATES = Topic(
    name="templates",
    key="`<template id>#<version>`",
    schemas=("Template",),
    writers=(Role.SERVICES,),
    readers=(Role.GATE,),
    cleanup=Cleanup.COMPACT,
    retention_ms=None,
    partitions=Partitions.ONE,
    plaintext=False,
    log_append_time=True,
    max_message_bytes=INPUT_MAX_BYTES,
    max_compaction_lag_ms=7 * DAY_MS,
    delete_retention_ms=TOMBSTONES_KEPT_MS,
)

CAMPAIGNS = Topic(
    name="campaigns",
    key="campaign id; of a pause and its end `<campaign id>#<pause id>`",
    schemas=("Campaign",),
    writers=(Role.SERVICES, Role.WORKER, Role.DESK),
    readers=(Role.GATE, Role.WORKER),
    cleanup=Cleanup.COMPACT,
    retention_ms=None,
    partitions=Partitions.ONE,
    plaintext=False,
    log_append_time=True,
    max_message_bytes=INPUT_MAX_BYTES,
    max_compaction_lag_ms=7 * DAY_MS,
    delete_retention_ms=TOMBSTONES_KEPT_MS,
)

# One partition, so that one agent sees all parts of a sum together with the ends of pauses.
HOURS_COUNTED = Topic(
    name="hours.counted",
    key="campaign id or uploader, hour and partition",
    schemas=("HourCounted",),
    writers=(Role.WORKER,),
    readers=(Role.WORKER,),
    cleanup=Cleanup.DELETE,
    retention_ms=SHORT_MS,
    partitions=Partitions.ONE,
    plaintext=False,
)

# ------------------------------------------------------------------------------- the gate's memory

POLICIES = Topic(
    name="policies",
    key="content hash",
    schemas=("PolicyArchived",),
    writers=(Role.GATE,),
    readers=(Role.AUDIT,),
    cleanup=Cleanup.COMPACT,
    retention_ms=None,
    partitions=Partitions.ONE,
    plaintext=False,
    max_compaction_lag_ms=7 * DAY_MS,
    delete_retention_ms=TOMBSTONES_KEPT_MS,
)

SUBJECTS_STATE = Topic(
    name="subjects.state",
    key="subject id, and one reserved key a partition; partition of the E.164",
    schemas=("SubjectState", "Position"),
    writers=(Role.GATE,),
    readers=(Role.GATE, Role.AUDIT),
    cleanup=Cleanup.COMPACT,
    retention_ms=None,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=False,
    max_compaction_lag_ms=DAY_MS,
    delete_retention_ms=TOMBSTONES_KEPT_MS,
)

# A shredded key must be gone soon: the lag is what an erasure waits for.
SUBJECTS_KEYS = Topic(
    name="subjects.keys",
    key="subject id; partition of the E.164",
    schemas=("SubjectKey",),
    writers=(Role.GATE,),
    readers=(Role.GATE, Role.DESK, Role.AUDIT),
    cleanup=Cleanup.COMPACT,
    retention_ms=None,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=False,
    max_compaction_lag_ms=DAY_MS,
    delete_retention_ms=TOMBSTONES_KEPT_MS,
)

# What caps and repeated requests are counted by: kept for the longest window that a cap may have.
SMS_SENDS = Topic(
    name="sms.sends",
    key="none; partition of the requests",
    schemas=("SendsRemembered",),
    writers=(Role.GATE,),
    readers=(Role.GATE,),
    cleanup=Cleanup.DELETE,
    retention_ms=32 * DAY_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=False,
    log_append_time=True,
)

# ----------------------------------------------------------------------------------------- outputs

SMS_ALLOWED = Topic(
    name="sms.allowed",
    key="as it came",
    schemas=("SmsRequested",),
    writers=(Role.GATE,),
    readers=(Role.CARRIER,),
    cleanup=Cleanup.DELETE,
    retention_ms=SHORT_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=True,
)

SMS_QUARANTINED = Topic(
    name="sms.quarantined",
    key="hold id; partition of the request",
    schemas=("QuarantinedSms",),
    writers=(Role.GATE,),
    readers=(Role.GATE, Role.DESK, Role.WORKER),
    cleanup=Cleanup.COMPACT_DELETE,
    retention_ms=SHORT_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=False,
    max_compaction_lag_ms=DAY_MS,
    delete_retention_ms=TOMBSTONES_KEPT_MS,
)

SMS_DECISIONS = Topic(
    name="sms.decisions",
    key="subject id; partition of the request",
    schemas=("SmsDecision",),
    writers=(Role.GATE,),
    readers=(Role.GATE, Role.DESK, Role.WORKER, Role.AUDIT),
    cleanup=Cleanup.DELETE,
    retention_ms=3 * YEAR_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=False,
)

# Whom to look up: a number must not stay longer than the messages that it is held for.
NUMBERS_UNCHECKED = Topic(
    name="numbers.unchecked",
    key="recipient E.164",
    schemas=("NumberUnchecked",),
    writers=(Role.GATE,),
    readers=(Role.WORKER,),
    cleanup=Cleanup.DELETE,
    retention_ms=SHORT_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=True,
)

CONSENT_LEDGER = Topic(
    name="consent.ledger",
    key="subject id; partition of the E.164",
    schemas=("LedgerRecord", "LossRecord"),
    writers=(Role.GATE,),
    readers=(Role.DESK, Role.WORKER, Role.AUDIT),
    cleanup=Cleanup.DELETE,
    retention_ms=3 * YEAR_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=False,
)

# How many entries an upload has: what the receipts are counted against. Between two agents only.
UPLOADS_SPLIT = Topic(
    name="uploads.split",
    key="upload id",
    schemas=("UploadSplit",),
    writers=(Role.WORKER,),
    readers=(Role.WORKER,),
    cleanup=Cleanup.DELETE,
    retention_ms=SHORT_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=False,
)

CONTACTS_SCREENED = Topic(
    name="contacts.screened",
    key="upload id",
    schemas=("ContactsScreened",),
    writers=(Role.GATE,),
    readers=(Role.APP, Role.WORKER),
    cleanup=Cleanup.DELETE,
    retention_ms=SHORT_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=False,
)

UPLOADS_COMPLETED = Topic(
    name="uploads.completed",
    key="upload id",
    schemas=("UploadCompleted",),
    writers=(Role.WORKER,),
    readers=(Role.APP,),
    cleanup=Cleanup.DELETE,
    retention_ms=SHORT_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=False,
)

DEAD_LETTERS = Topic(
    name="dead-letters",
    key="as it came",
    schemas=(),
    writers=(Role.GATE, Role.WORKER),
    readers=(Role.DESK,),
    cleanup=Cleanup.DELETE,
    retention_ms=14 * DAY_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=True,
)

# Kept compacted and rewritten often: the lag bounds how long an agent's older values stay.
WORKER_STATE = Topic(
    name="worker.state",
    key="agent and its key; partition of the agent's source",
    schemas=(),
    writers=(Role.WORKER,),
    readers=(Role.WORKER,),
    cleanup=Cleanup.COMPACT,
    retention_ms=None,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=False,
    max_compaction_lag_ms=DAY_MS,
    delete_retention_ms=TOMBSTONES_KEPT_MS,
)

ERASURES_COMPLETED = Topic(
    name="erasures.completed",
    key="subject id",
    schemas=("ErasureCompleted",),
    writers=(Role.WORKER,),
    readers=(Role.DESK, Role.AUDIT),
    cleanup=Cleanup.DELETE,
    retention_ms=3 * YEAR_MS,
    partitions=Partitions.LIKE_REQUESTS,
    plaintext=False,
)

TOPICS: tuple[Topic, ...] = (
    SMS_REQUESTED,
    CONSENT_EVENTS,
    CONTACTS_UPLOADED,
    SMS_INBOUND,
    INBOUND_UNCERTAIN,
    QUARANTINE_REVIEWS,
    CONTACTS_ENTRIES,
    NAMES_CONSENTS,
    TEMPLATES,
    CAMPAIGNS,
    POLICIES,
    SUBJECTS_STATE,
    SUBJECTS_KEYS,
    SMS_SENDS,
    SMS_ALLOWED,
    SMS_QUARANTINED,
    SMS_DECISIONS,
    NUMBERS_UNCHECKED,
    CONSENT_LEDGER,
    UPLOADS_SPLIT,
    CONTACTS_SCREENED,
    UPLOADS_COMPLETED,
    HOURS_COUNTED,
    DEAD_LETTERS,
    WORKER_STATE,
    ERASURES_COMPLETED,
)
"""Every topic, inputs first."""

BROADCAST: tuple[Topic, ...] = (NAMES_CONSENTS, CAMPAIGNS, TEMPLATES)
"""
The topics that every gate reads whole from the beginning at every start, before the first decision,
and follows under the same barrier as its own state.
"""

BY_NAME: Mapping[str, Topic] = {topic.name: topic for topic in TOPICS}
"""The topics by the project's own names."""

_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")  # Kafka: org.apache.kafka.common.internals.Topic


class TopicNames:
    """
    The names of the topics on one cluster.

    A topic in ``renamed`` has the name given there; every other one its own name after ``prefix``,
    with nothing put between them. Raises :class:`ConfigError` when a renamed topic does not exist,
    when a name is not one that Kafka takes, or when two topics would share one.
    """

    __slots__ = ("_names", "_topics")

    def __init__(self, prefix: str = "", renamed: Mapping[str, str] | None = None) -> None:
        renamed = renamed or {}
        for name in renamed:
            if name not in BY_NAME:
                raise ConfigError(f"topic_names: there is no topic {name!r}; see `topics list`")
        self._names = {name: renamed.get(name, prefix + name) for name in BY_NAME}
        for name, given in self._names.items():
            if not _LEGAL_NAME.fullmatch(given) or given in (".", ".."):
                raise ConfigError(
                    f"topic {name}: Kafka does not take the name {given!r}; use letters, digits, "
                    "'.', '_' and '-', at most 249 of them"
                )
        # Kafka refuses a topic whose name differs from another's in '.' and '_' only: the names of
        # its metrics would be the same.
        shared = Counter(given.replace(".", "_") for given in self._names.values())
        for name, given in self._names.items():
            if shared[given.replace(".", "_")] > 1:
                raise ConfigError(f"topic {name}: another topic is also named {given!r}")
        self._topics = {given: BY_NAME[name] for name, given in self._names.items()}

    def of(self, topic: Topic) -> str:
        """Return the topic's name on the cluster."""
        return self._names[topic.name]

    def topic(self, name: str) -> Topic:
        """Return the topic that has this name on the cluster; KeyError if none has."""
        return self._topics[name]
