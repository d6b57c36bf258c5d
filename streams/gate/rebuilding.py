"""
What can be known of a partition whose state is to be rebuilt: read, folded, and judged.

Nothing is written here. Read are, in this order and each up to the end that it had when it was
looked at:

1. where the topics of the partition begin and end, and its old Position and states;
2. ``consent.ledger`` from its beginning: its chain is verified while the pure fold runs over it
   (:mod:`streams.state.rebuild`);
3. the last decision, for the chain of decisions and the next request;
4. ``consent.events`` as far as it is kept *and was folded*: who is held for an event that could not
   be read. What was not folded yet is left to the gate, which then ledgers it as ever.

``contacts.entries`` is not in the ledger. Where the old state is current its traces are taken over;
else the gate reads the topic again from its beginning.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from streams.audit.chain import body_hash, unsigned
from streams.audit.topic_log import Extent, TopicLog
from streams.audit.verify import Chain, PartitionReport, verify_partition
from streams.audit.verify_topics import Chained, Watch, codecs_of, links
from streams.codec.codec import Codecs
from streams.config import Settings
from streams.errors import KafkaUnavailable, PartitionLost, SecretsError, Undecodable
from streams.kafka.clients import consumer_config, opened
from streams.kafka.placement import partition_of
from streams.records.decisions import LedgerRecord, LossRecord
from streams.records.e164 import is_e164
from streams.records.subject import POSITION_KEY, Position, SubjectState, Withdrawal
from streams.sealing.keyring import KeyRing
from streams.state.arrivals import RESOLVES_ALL, first_appended, resent_digest, resolution
from streams.state.rebuild import Rebuild
from streams.topology import (
    CONSENT_EVENTS,
    CONSENT_LEDGER,
    CONTACTS_ENTRIES,
    SMS_DECISIONS,
    SMS_REQUESTED,
    SUBJECTS_STATE,
    Topic,
)

WRITTEN: Final = (SUBJECTS_STATE, CONSENT_LEDGER, SMS_DECISIONS)
"""What a gate at work on the partition would write to: their ends tell whether one did."""

ANSWER_SECONDS: Final = 30.0

_READ: Final = (*WRITTEN, CONSENT_EVENTS, CONTACTS_ENTRIES, SMS_REQUESTED)


@dataclass(frozen=True, slots=True)
class Lost:
    """
    Offsets of a topic, ``first`` to ``end`` excluded, that were gone before anybody folded them.

    Of ``subjects.state`` no offsets can be named: what is lost is what only the old state knew.
    """

    topic: Topic
    first: int
    end: int


@dataclass(slots=True)
class Reading:
    """What was found of one partition. ``position`` is the one to write, but for the answers."""

    partition: int
    extents: dict[Topic, Extent]
    rebuild: Rebuild
    old: Position | None
    old_states: int
    old_unreadable: int
    current: bool
    """The old states were written up to the ledger's end, and every one can be read."""
    ledger: PartitionReport
    broken: list[str]
    """What speaks against the ledger; empty: nothing."""
    lost: list[Lost]
    standing: Withdrawal | None
    """A doubt whose record may be gone from the ledger; its states are kept."""
    lost_requests: Lost | None
    position: Position
    next_append: int | None
    """When the first consent event after the folded ones was appended; None: there is none."""

    @property
    def doubted(self) -> list[LossRecord]:
        """Losses that were answered earlier, in doubt of everybody, and still are."""
        return self.rebuild.losses


@dataclass(slots=True)
class _Old:
    """The old content of ``subjects.state``."""

    position: Position | None = None
    states: dict[bytes, SubjectState] = field(default_factory=dict)
    unreadable: int = 0


def read_partition(
    log: TopicLog,
    settings: Settings,
    codecs: Codecs,
    keyring: KeyRing,
    partition: int,
    watch: Watch = lambda topic, number, offsets: lambda done: None,
) -> Reading:
    """
    Read and fold what there is of a partition. Gates may run meanwhile.

    Blocks: some 10,000 ledger records a second. Takes some 2 KB of memory a subject. Raises
    :class:`PartitionLost` where topics were made anew, so that offsets mean something else by now,
    :class:`SecretsError` with another installation's subject-id key, :class:`KafkaUnavailable`
    where the group's coordinator does not answer.
    """
    extents = {topic: log.extent(topic, partition) for topic in _READ}
    old = _old(log, codecs, partition, extents[SUBJECTS_STATE], watch)
    if old.position is not None and old.position.key_check != keyring.subject_ids.check_value:
        raise SecretsError(
            f"Partition {partition} was written with another subject-id key than the one in "
            "secrets_dir. Put the installation's own key back."
        )
    rebuild = Rebuild(offsets_from=extents[CONSENT_EVENTS].start)
    report, tail = _fold_ledger(log, settings, codecs, keyring, partition, extents, rebuild, watch)
    broken = [] if report.finding is None else [report.finding.text]
    before = old.position or Position(partition=partition)
    if before.ledger_sequence > tail.sequence:
        broken.append(
            f"{CONSENT_LEDGER.name} partition {partition} ends at sequence {tail.sequence - 1}, "
            f"but its Position knows of {before.ledger_sequence - 1}: its end was cut off."
        )
    elif before.ledger_sequence == tail.sequence and before.ledger_hash != tail.hash:
        broken.append(
            f"{CONSENT_LEDGER.name} partition {partition}: the last record is not the one that "
            "its Position names."
        )
    current = (
        old.position is not None and before.ledger_sequence >= tail.sequence and old.unreadable == 0
    )
    rebuild.remembered(
        old.states,
        current=current,
        ledger_from=rebuild.first_consent if report.gone else None,
        doubt=before.doubt,
    )
    folded_to = max(before.consent_offset, rebuild.next_consent)
    _held(
        log,
        keyring,
        partition,
        extents[CONSENT_EVENTS],
        folded_to,
        rebuild,
        watch,
        gone=report.gone,
        known=current,
    )
    decided = _last_decision(log, codecs, partition, extents[SMS_DECISIONS])
    contacts_to = before.contacts_offset if current else None
    lost = _lost(extents, folded_to, contacts_to, current=current, gone=report.gone)
    if broken:
        # From there on anything may have been changed, removed or added: a withdrawal, a grant.
        where = extents[CONSENT_LEDGER]
        found = report.finding.offset if report.finding is not None else None
        lost.append(Lost(CONSENT_LEDGER, where.end if found is None else found, where.end))
    requests_to = max(
        before.request_offset,
        decided.next_request,
        _committed(settings, partition),
    )
    if broken:
        folded_to = min(folded_to, extents[CONSENT_EVENTS].end)
    for topic, offset in (
        (CONSENT_EVENTS, folded_to),
        (CONTACTS_ENTRIES, contacts_to or 0),
        (SMS_REQUESTED, requests_to),
    ):
        _refuse_anew(topic, partition, offset, extents[topic])
    consent_offset = max(folded_to, extents[CONSENT_EVENTS].start)
    following = log.first_from(
        CONSENT_EVENTS, partition, consent_offset, extents[CONSENT_EVENTS].end
    )
    first_request = extents[SMS_REQUESTED].start
    ledger = (tail.sequence, tail.hash)
    if before.ledger_sequence > tail.sequence:
        ledger = (before.ledger_sequence, before.ledger_hash)
    decisions = (decided.sequence, decided.hash)
    if before.decision_sequence > decided.sequence:
        decisions = (before.decision_sequence, before.decision_hash)
    standing = before.doubt if report.gone else None
    return Reading(
        partition=partition,
        extents=extents,
        rebuild=rebuild,
        old=old.position,
        old_states=len(old.states),
        old_unreadable=old.unreadable,
        current=current,
        ledger=report,
        broken=broken,
        lost=lost,
        standing=standing,
        lost_requests=Lost(SMS_REQUESTED, requests_to, first_request)
        if requests_to < first_request
        else None,
        position=Position(
            partition=partition,
            request_offset=requests_to,
            consent_offset=consent_offset,
            contacts_offset=max(contacts_to or 0, extents[CONTACTS_ENTRIES].start),
            reviews_offset=before.reviews_offset,
            consent_append_at=max(before.consent_append_at, rebuild.newest_append),
            contacts_append_at=before.contacts_append_at if current else 0,
            decision_sequence=decisions[0],
            decision_hash=decisions[1],
            ledger_sequence=ledger[0],
            ledger_hash=ledger[1],
            send_checkpoint=before.send_checkpoint if current else 0,
            key_check=keyring.subject_ids.check_value,
            rebuilt_at=before.rebuilt_at,
        ),
        next_append=None if following is None else following.timestamp()[1],
    )


# ------------------------------------------------------------------------------- the old state


def _old(log: TopicLog, codecs: Codecs, partition: int, extent: Extent, watch: Watch) -> _Old:
    old = _Old()
    raw_states: dict[bytes, bytes | None] = {}
    raw_position: bytes | None = None
    progress = watch(SUBJECTS_STATE, partition, extent.end - extent.start)
    for message in log.read(SUBJECTS_STATE, partition, extent.start, extent.end, progress):
        key, value = message.key(), message.value()
        if key == POSITION_KEY:
            raw_position = value
        elif key is not None:
            raw_states[key] = value
    for key, raw in raw_states.items():
        if raw is None:
            continue
        try:
            old.states[key] = codecs.subject_states.decode(raw)
        except Undecodable:
            old.unreadable += 1
    if raw_position is not None:
        try:
            old.position = codecs.positions.decode(raw_position)
        except Undecodable:
            old.unreadable += 1
    return old


def last_position(log: TopicLog, codecs: Codecs, partition: int) -> Position | None:
    """Give the Position that stands in ``subjects.state`` now; None where there is none."""
    extent = log.extent(SUBJECTS_STATE, partition)
    for message in _backwards(log, SUBJECTS_STATE, partition, extent):
        if message.key() == POSITION_KEY:
            try:
                return codecs.positions.decode(message.value())
            except Undecodable as error:
                raise PartitionLost(
                    f"The Position of partition {partition} cannot be read: was it written by a "
                    "newer version?"
                ) from error
    return None


# ----------------------------------------------------------------------------------- the ledger


@dataclass(slots=True)
class _Tail:
    """The end of a chain: the next record's sequence and what it must name as previous."""

    sequence: int = 0
    hash: bytes = b""


def _fold_ledger(
    log: TopicLog,
    settings: Settings,
    codecs: Codecs,
    keyring: KeyRing,
    partition: int,
    extents: dict[Topic, Extent],
    rebuild: Rebuild,
    watch: Watch,
) -> tuple[PartitionReport, _Tail]:
    extent = extents[CONSENT_LEDGER]
    tail = _Tail()

    def fold(record: Chained) -> None:
        match record:
            case LedgerRecord():
                rebuild.ledgered(record)
            case LossRecord():
                rebuild.lost(record)
            case _:
                return

    retention_ms = settings.configured(CONSENT_LEDGER).retention_ms or 0
    chain = Chain(
        topic=CONSENT_LEDGER.name,
        partition=partition,
        log_start_offset=extent.start,
        signed_by=keyring.verifier.signed_by,
        retention_ms=retention_ms,
        now=int(time.time() * 1000),
    )
    progress = watch(CONSENT_LEDGER, partition, extent.end - extent.start)
    messages = log.read(CONSENT_LEDGER, partition, extent.start, extent.end, progress)

    def noting() -> Iterator[object]:
        for link in links(codecs_of(CONSENT_LEDGER, codecs), messages, fold):
            sequence, own = getattr(link, "sequence", None), getattr(link, "hash", None)
            if sequence is not None and own is not None and sequence >= tail.sequence:
                tail.sequence, tail.hash = sequence + 1, own
            yield link

    walked = noting()
    report = verify_partition(chain, walked)  # type: ignore[arg-type]  # it hands on what it got
    for _ in walked:
        pass  # behind what was found: folded all the same, for --despite-broken-chain
    return report, tail


# -------------------------------------------------------------------------------- consent.events


def _held(
    log: TopicLog,
    keyring: KeyRing,
    partition: int,
    extent: Extent,
    folded_to: int,
    rebuild: Rebuild,
    watch: Watch,
    *,
    gone: int,
    known: bool,
) -> None:
    """
    Hold those whose events the gate passed over, and let go those whom a person has resolved.

    An event that the gate could read stands in the ledger, applied or refused. What was folded,
    does not stand there and has a key that belongs here, is one that it could not read, or says
    that such a one was resolved. ``known``: the old state says all that; then only append times are
    looked at.
    """
    start, end = extent.start, min(folded_to, extent.end)
    if gone and rebuild.first_consent is not None:
        start = max(start, rebuild.first_consent)  # before that the ledger cannot tell
    if start >= end:
        return
    progress = watch(CONSENT_EVENTS, partition, end - start)
    partitions = log.partitions(CONSENT_EVENTS)
    for message in log.read(CONSENT_EVENTS, partition, start, end, progress):
        offset = message.offset()
        rebuild.newest_append = max(rebuild.newest_append, message.timestamp()[1])
        if known or offset is None or offset in rebuild.offsets:
            continue
        key = message.key()
        if not isinstance(key, bytes) or not is_e164(key.decode("ascii", "replace")):
            continue
        if partition_of(key, partitions) != partition:
            continue
        subject_id = keyring.subject_ids.of(key.decode("ascii"))
        said = resolution(message, keyring.verifier)
        if said is None:
            first = first_appended(message, keyring.verifier)
            resent = None if first is None else resent_digest(message.value(), first)
            rebuild.passed(subject_id, offset, resent)
        else:
            rebuild.resolved(subject_id, None if said == RESOLVES_ALL else int(said), at=offset)


# ------------------------------------------------------------------------------ what was decided


@dataclass(frozen=True, slots=True)
class _Decided:
    sequence: int
    hash: bytes
    next_request: int


def _last_decision(log: TopicLog, codecs: Codecs, partition: int, extent: Extent) -> _Decided:
    last: _Decided | None = None
    for message in _backwards(log, SMS_DECISIONS, partition, extent):
        raw = message.value()
        try:
            decision = codecs.decisions.decode(raw)
        except Undecodable:
            continue
        if last is None:
            own = body_hash(unsigned(codecs.decisions.body_of(raw), decision.signature))
            last = _Decided(decision.sequence + 1, own, 0)
        if decision.attempt == 0:
            # Holds decided again are of older requests, whichever they are.
            return replace(last, next_request=decision.request_offset + 1)
    return last or _Decided(0, b"", 0)


def _committed(settings: Settings, partition: int) -> int:
    """
    The group's offset of requests; 0 where it has none, or none any more.

    Asked through a consumer, which joins nothing: see :meth:`Restoring._ask_committed`. No answer
    is not "none": requests that were dead-lettered since would come again.
    """
    asked = [TopicPartition(settings.names.of(SMS_REQUESTED), partition)]
    consumer = opened(Consumer, consumer_config(settings, settings.group_id))
    try:
        (answer,) = consumer.committed(asked, ANSWER_SECONDS)
    except KafkaException as error:
        raise KafkaUnavailable(
            f"The coordinator of the group does not say its offsets: {error.args[0].name()}."
        ) from None
    finally:
        consumer.close()
    if answer.error is not None:
        raise KafkaUnavailable(
            f"The coordinator of the group does not say its offsets: {answer.error.name()}."
        )
    return max(0, int(answer.offset))


def _backwards(log: TopicLog, topic: Topic, partition: int, extent: Extent) -> Iterator[Message]:
    """Give committed records from the last to the first, in steps that grow."""
    end, step = extent.end, 100
    while end > extent.start:
        start = max(extent.start, end - step)
        yield from reversed(list(log.read(topic, partition, start, end)))
        end, step = start, min(step * 4, 100_000)


# --------------------------------------------------------------------------------- what is lost


def _lost(
    extents: dict[Topic, Extent],
    folded_to: int,
    contacts_to: int | None,
    *,
    current: bool,
    gone: int,
) -> list[Lost]:
    lost = []
    consent, contacts = extents[CONSENT_EVENTS].start, extents[CONTACTS_ENTRIES].start
    if consent > folded_to:
        lost.append(Lost(CONSENT_EVENTS, folded_to, consent))
    if contacts_to is not None and contacts > contacts_to:
        lost.append(Lost(CONTACTS_ENTRIES, contacts_to, contacts))
    if not current and (gone or consent or contacts):
        # Who was held, whose number stood in whose address book, who said STOP before the ledger's
        # first record: the old state alone knew it for longer than the topics are kept.
        lost.append(Lost(SUBJECTS_STATE, 0, 0))
    return lost


def _refuse_anew(topic: Topic, partition: int, offset: int, extent: Extent) -> None:
    if offset > extent.end:
        raise PartitionLost(
            f"{topic.name} partition {partition} ends at {extent.end}, before the offset {offset} "
            "up to which it was folded or decided: it was made anew or truncated, and its offsets "
            "mean something else now. Restore the topic, or begin again with another topic_prefix."
        )
