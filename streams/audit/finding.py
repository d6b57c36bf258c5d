"""
Finding decisions again: by their id, by the request's id, or by whom they were about.

A decision id is ``<topic>-<partition>-<offset>-<attempt>`` of its request, and decisions of first
attempts stand in the order of their requests: so it is found by halving its partition. Everything
else means reading: records are told apart by their bytes, and only those that fit are decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import Message

from streams.audit.topic_log import TopicLog, Watch
from streams.codec.codec import Codecs, RecordCodec
from streams.config import Settings
from streams.errors import Undecodable
from streams.records.decisions import LedgerRecord, PolicyArchived, SmsDecision
from streams.topology import CONSENT_LEDGER, POLICIES, SMS_DECISIONS, SMS_REQUESTED

_R = TypeVar("_R", SmsDecision, LedgerRecord, PolicyArchived)

_READERS_AT_ONCE = 8
"""Each has a connection and up to 64 MiB that librdkafka fetches ahead."""


@dataclass(frozen=True, slots=True)
class DecisionId:
    """What a decision id says: where the request stood, and which attempt at it was decided."""

    partition: int
    offset: int
    attempt: int


def read_decision_id(written: str, topic_name: str) -> DecisionId | None:
    """
    Take a decision id apart; None if it is not one.

    ``topic_name`` is the cluster's name of ``sms.requested``: it is taken for the project's own.
    """
    parts = written.rsplit("-", 3)
    if len(parts) != 4 or parts[0] not in (SMS_REQUESTED.name, topic_name):
        return None
    if not all(part.isascii() and part.isdigit() for part in parts[1:]):
        return None
    return DecisionId(int(parts[1]), int(parts[2]), int(parts[3]))


def find_by_id(
    log: TopicLog, codecs: Codecs, wanted: DecisionId, watch: Watch
) -> SmsDecision | None:
    """
    Find one decision; None if there is none, or not any more.

    Reads about 20 records of a million. A later attempt stands anywhere behind the first one, so
    for it the rest of the partition is read.
    """
    if wanted.partition >= log.partitions(SMS_DECISIONS):
        return None
    extent = log.extent(SMS_DECISIONS, wanted.partition)
    low, high = extent.start, extent.end
    # Every first attempt before `low` is of an earlier request, none at or after `high` is.
    while low < high:
        middle = (low + high) // 2
        found = _first_attempt_from(log, codecs, wanted.partition, middle, high)
        if found is None or found[1].request_offset >= wanted.offset:
            high = middle
        else:
            low = found[0] + 1
    progress = watch(f"{SMS_DECISIONS.name} {wanted.partition}", extent.end - low)
    for message in log.read(SMS_DECISIONS, wanted.partition, low, extent.end, progress):
        decision = _decoded(codecs.decisions, message)
        if decision is None:
            continue
        if decision.request_offset == wanted.offset and decision.attempt == wanted.attempt:
            return decision
        if (
            wanted.attempt == 0
            and decision.attempt == 0
            and decision.request_offset > wanted.offset
        ):
            return None
    return None


def find_by_request(
    settings: Settings, codecs: Callable[[], Codecs], request_id: str, since: int, watch: Watch
) -> list[SmsDecision]:
    """
    Find every decision about a request id since a time, oldest first.

    Reads all partitions, several at a time. ``codecs`` opens codecs for one thread.
    """
    with TopicLog(settings) as log:
        partitions = log.partitions(SMS_DECISIONS)
    needle = request_id.encode()

    def scan(partition: int) -> list[SmsDecision]:
        own = codecs()
        with TopicLog(settings) as log:
            extent = log.extent(SMS_DECISIONS, partition)
            start = max(extent.start, log.offset_at(SMS_DECISIONS, partition, since))
            progress = watch(f"{SMS_DECISIONS.name} {partition}", max(0, extent.end - start))
            found = []
            for message in log.read(SMS_DECISIONS, partition, start, extent.end, progress):
                if needle in (message.value() or b""):
                    decision = _decoded(own.decisions, message)
                    if decision is not None and decision.request_id == request_id:
                        found.append(decision)
            return found

    with ThreadPoolExecutor(min(partitions, _READERS_AT_ONCE)) as threads:
        found = [decision for part in threads.map(scan, range(partitions)) for decision in part]
    return sorted(found, key=lambda decision: decision.decided_at)


def find_by_subject(
    log: TopicLog, codecs: Codecs, partition: int, subject_id: bytes, since: int, watch: Watch
) -> list[SmsDecision]:
    """Find every decision about one person since a time, oldest first, in their partition."""
    extent = log.extent(SMS_DECISIONS, partition)
    start = max(extent.start, log.offset_at(SMS_DECISIONS, partition, since))
    progress = watch(f"{SMS_DECISIONS.name} {partition}", max(0, extent.end - start))
    found = []
    for message in log.read(SMS_DECISIONS, partition, start, extent.end, progress):
        if message.key() == subject_id:
            decision = _decoded(codecs.decisions, message)
            if decision is not None:
                found.append(decision)
    return found


def ledger_of(
    log: TopicLog, codecs: Codecs, partition: int, subject_id: bytes, watch: Watch
) -> list[LedgerRecord]:
    """Find everything that the ledger has of one person, oldest first, in their partition."""
    extent = log.extent(CONSENT_LEDGER, partition)
    progress = watch(f"{CONSENT_LEDGER.name} {partition}", extent.end - extent.start)
    found = []
    for message in log.read(CONSENT_LEDGER, partition, extent.start, extent.end, progress):
        if message.key() == subject_id:
            record = _decoded(codecs.ledger, message)
            if record is not None:
                found.append(record)
    return found


def archived_policy(log: TopicLog, codecs: Codecs, version: str) -> PolicyArchived | None:
    """Find the files of a policy version that was live once."""
    extent = log.extent(POLICIES, 0)
    found = None
    for message in log.read(POLICIES, 0, extent.start, extent.end):
        if version.encode() in (message.value() or b""):
            archived = _decoded(codecs.policies, message)
            if archived is not None and archived.version == version:
                found = archived
    return found


def _first_attempt_from(
    log: TopicLog, codecs: Codecs, partition: int, start: int, end: int
) -> tuple[int, SmsDecision] | None:
    """Give the next decision of a first attempt at or after an offset, and where it stands."""
    for message in log.read(SMS_DECISIONS, partition, start, end):
        decision, offset = _decoded(codecs.decisions, message), message.offset()
        if decision is not None and decision.attempt == 0 and offset is not None:
            return offset, decision
    return None


def _decoded(codec: RecordCodec[_R], message: Message) -> _R | None:
    """Decode, passing over what is none of ours: that it is there is what `audit verify` tells."""
    try:
        return codec.decode(message.value())
    except Undecodable:
        return None
