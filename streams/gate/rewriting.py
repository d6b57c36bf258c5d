"""
Writing a partition's rebuilt state, or passing over its lost requests, while no gate works on it.

The order is what makes it safe to die at any moment:

1. The consumer group has no member, no transaction is open on what a gate writes, and nothing was
   written there since it was read.
2. One transaction writes a Position with ``rebuilding_since``. From here on no gate uses the
   partition's state: one that restores it finds that Position and waits.
3. The group still has no member: none that had restored the state *before* step 2 is at work. A
   gate that was thrown out of the group meanwhile cannot commit, because its generation is over.
4. Transactions of a bounded size write the states. Ended here, the partition waits, and running the
   command again begins at step 1.
5. One last transaction writes the rest, the records of what was lost, and the Position.

Two of these at once fence each other: they have the same ``transactional.id``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, TypeVar

from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.audit.topic_log import TopicLog
from streams.codec.codec import Codecs
from streams.config import Settings
from streams.errors import (
    Aborted,
    GroupAtWork,
    Indefinite,
    KafkaUnavailable,
    PartitionLost,
    StateLost,
)
from streams.gate.rebuilding import WRITTEN, Lost, Reading
from streams.gate.transaction import Output, Transactor
from streams.gate.work import Chain
from streams.kafka.clients import consumer_config, opened, producer_config
from streams.kafka.error_mapping import meaning_of
from streams.records.decisions import LossAnswer, LossRecord
from streams.records.subject import POSITION_KEY, Position, SubjectState
from streams.sealing.signatures import Signer
from streams.topology import (
    BY_NAME,
    CONSENT_LEDGER,
    SMS_REQUESTED,
    SUBJECTS_STATE,
    Topic,
)

STATES_AT_ONCE: Final = 5_000
"""States in one transaction: a few megabytes, a fraction of a second. Half of the transaction's
time-out is what it may take."""

ANSWERED_WITHIN_SECONDS: Final = 15.0
OPEN_AT_MOST_SECONDS: Final = 45.0
"""How long an open transaction of a gate that was killed is waited for: its time-out (10 s) and the
coordinator's check (10 s) with room."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's answer to losses, and why."""

    answer: LossAnswer
    reason: str


def members(admin: AdminClient, group_id: str) -> list[str]:
    """
    Name the gates that are members of the group, by ``instance_id`` and host.

    Raises :class:`KafkaUnavailable` when the coordinator does not answer.
    """
    doing = f"asking for the members of the group {group_id}"
    try:
        described = admin.describe_consumer_groups(
            [group_id], request_timeout=ANSWERED_WITHIN_SECONDS
        )[group_id].result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return []
        raise meaning_of(error, doing) from error
    if described.state is ConsumerGroupState.DEAD:
        return []
    return sorted(
        f"{each.group_instance_id or each.client_id} ({each.host})" for each in described.members
    )


def still_members(admin: AdminClient, settings: Settings) -> list[str]:
    """
    Wait for gates that were stopped to leave the group, and name those that have not.

    Gates are static members: one that has ended stays in the group for its session. Blocks for as
    long as that at most.
    """
    deadline = time.monotonic() + settings.session_timeout_ms / 1000 + 2
    while (names := members(admin, settings.group_id)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return names


def settle(admin: AdminClient, log: TopicLog, settings: Settings, partition: int) -> None:
    """
    Wait until no transaction is open on what a gate writes.

    A commit is answered before its markers are in the partitions, and until then its records are
    not to be seen; one of a gate that was killed is open until its time-out. Raises
    :class:`KafkaUnavailable` when it takes longer than that.
    """
    deadline = time.monotonic() + OPEN_AT_MOST_SECONDS
    while any(_open(admin, log, settings, topic, partition) for topic in WRITTEN):
        if time.monotonic() > deadline:
            raise KafkaUnavailable(
                f"A transaction on partition {partition} has been open for "
                f"{OPEN_AT_MOST_SECONDS:.0f} s: whose is it? (kafka-transactions.sh list)"
            )
        time.sleep(0.1)


def _open(
    admin: AdminClient, log: TopicLog, settings: Settings, topic: Topic, partition: int
) -> bool:
    at = TopicPartition(settings.names.of(topic), partition)
    try:
        answers = admin.list_offsets(
            {at: OffsetSpec.latest()},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=ANSWERED_WITHIN_SECONDS,
        )
        high = int(answers[at].result().offset)
    except KafkaException as error:
        raise meaning_of(error, f"asking for offsets of {at.topic}") from error
    return high > log.extent(topic, partition).end


class Rewriting:
    """
    One partition after the other is written. Make it with :func:`rewriting`.

    Every method raises :class:`KafkaUnavailable` when Kafka does not answer.
    """

    def __init__(
        self,
        settings: Settings,
        admin: AdminClient,
        log: TopicLog,
        codecs: Codecs,
        signer: Signer,
        transactor: Transactor,
        group: object,
    ) -> None:
        self._settings = settings
        self._names = settings.names
        self._admin = admin
        self._log = log
        self._codecs = codecs
        self._signer = signer
        self._transactor = transactor
        self._group = group

    # --------------------------------------------------------------------------- nobody at work

    def alone(self) -> None:
        """Raise :class:`GroupAtWork` if a gate is a member of the group, and stays one."""
        names = still_members(self._admin, self._settings)
        if names:
            raise GroupAtWork(
                f"Gates are at work: {', '.join(names)}. Stop every gate of the group "
                f"{self._settings.group_id!r} first, and keep them stopped until this has ended."
            )

    def unmoved(self, reading: Reading) -> bool:
        """
        Whether nothing was written since ``reading``, once no transaction is open any more.

        Waits for an open transaction of a gate that was killed.
        """
        settle(self._admin, self._log, self._settings, reading.partition)
        return all(
            self._log.extent(topic, reading.partition).end == reading.extents[topic].end
            for topic in WRITTEN
        )

    # -------------------------------------------------------------------------------- rebuilding

    def rebuild(
        self,
        reading: Reading,
        answer: Answer | None,
        progress: Callable[[int], object] = lambda states: None,
    ) -> Position:
        """
        Write the state of ``reading``; return the Position that stands now.

        ``answer`` is a person's to ``reading.lost`` and to what is still in doubt of earlier
        losses; None only where nothing is lost. ``progress`` is told how many states were written.
        Raises :class:`GroupAtWork` when a gate is at work, :class:`StateLost` when something was
        written since the reading.
        """
        if reading.lost and answer is None:
            raise ValueError("what is lost needs an answer")
        self.alone()
        if not self.unmoved(reading):
            raise StateLost(
                f"Partition {reading.partition} was written to since it was read. Run this again."
            )
        now_ms = int(time.time() * 1000)
        losses, chain = self._losses(reading, answer, now_ms)
        for loss in losses:
            reading.rebuild.lost(loss)
        doubt = reading.rebuild.ended()
        if doubt is None and (answer is None or answer.answer is not LossAnswer.RESTORED):
            doubt = reading.standing
        # What the old Position says is kept in the one that warns: if this ends half-way, the next
        # reading must find it.
        before = reading.old or Position(
            partition=reading.partition, key_check=reading.position.key_check
        )
        warning = replace(
            before,
            request_offset=reading.position.request_offset,
            rebuilding_since=now_ms,
            doubt=doubt,
        )
        self._run([self._position(warning)], warning)
        self._nobody_came_between(reading)
        for states in _chunks(reading.rebuild.states.values(), STATES_AT_ONCE):
            self._run([self._state(reading.partition, state) for state in states], warning)
            progress(len(states))
        after = replace(
            reading.position,
            ledger_sequence=chain.sequence,
            ledger_hash=chain.hash,
            written_at=now_ms,
            rebuilt_at=now_ms,
            doubt=doubt,
        )
        self._run([*chain.outputs, self._position(after)], after)
        return after

    def _nobody_came_between(self, reading: Reading) -> None:
        """Raise if a gate began to work between the last look at the group and the warning."""
        self.alone()
        partition = reading.partition
        settle(self._admin, self._log, self._settings, partition)
        end = self._log.extent(SUBJECTS_STATE, partition).end
        start = reading.extents[SUBJECTS_STATE].end
        written = sum(1 for _ in self._log.read(SUBJECTS_STATE, partition, start, end))
        if written != 1:
            raise StateLost(
                f"A gate worked on partition {partition} for a moment. Keep every gate stopped and "
                "run this again: until then the partition waits."
            )

    def _losses(
        self, reading: Reading, answer: Answer | None, now_ms: int
    ) -> tuple[list[LossRecord], Chain]:
        """Make the records of what was lost, chained to the ledger's end and signed."""
        position = reading.position
        chain = self._chain(position)
        if answer is None:
            return [], chain
        lost = list(reading.lost)
        if answer.answer is LossAnswer.RESTORED:
            lost += [Lost(BY_NAME[each.topic], each.first, each.end) for each in reading.doubted]
            if not lost and reading.standing is not None:
                lost.append(Lost(SUBJECTS_STATE, 0, 0))
        counts_from = max(
            position.consent_append_at,
            now_ms if reading.next_append is None else min(now_ms, reading.next_append),
        )
        records = []
        for each in lost:
            record = LossRecord(
                loss_id=f"{each.topic.name}-{position.partition}-{each.first}-{each.end}",
                partition=position.partition,
                topic=each.topic.name,
                first=each.first,
                end=each.end,
                answer=answer.answer,
                reason=answer.reason,
                counts_from=counts_from,
                offset=position.consent_offset - 1,
                sequence=chain.sequence,
                recorded_at=now_ms,
                previous=chain.hash,
            )
            chain.add(self._codecs.losses.encode_body(record), record.loss_id.encode())
            records.append(record)
        chain.seal(self._signer)
        return records, chain

    # ------------------------------------------------------------------------------- lost requests

    def skip_requests(self, position: Position, first: int, reason: str) -> LossRecord:
        """
        Let the partition go on from request ``first``, and file what lay before it as lost.

        ``position`` is the one that stands. Raises as :meth:`rebuild` does.
        """
        self.alone()
        partition = position.partition
        if position.rebuilding_since is not None:
            raise PartitionLost(f"Partition {partition} is being rebuilt: end that first.")
        now_ms = int(time.time() * 1000)
        chain = self._chain(position)
        record = LossRecord(
            loss_id=f"{SMS_REQUESTED.name}-{partition}-{position.request_offset}-{first}",
            partition=partition,
            topic=SMS_REQUESTED.name,
            first=position.request_offset,
            end=first,
            answer=LossAnswer.SKIPPED,
            reason=reason,
            counts_from=0,
            offset=0,
            sequence=chain.sequence,
            recorded_at=now_ms,
            previous=chain.hash,
        )
        chain.add(self._codecs.losses.encode_body(record), record.loss_id.encode())
        chain.seal(self._signer)
        after = replace(
            position,
            request_offset=first,
            ledger_sequence=chain.sequence,
            ledger_hash=chain.hash,
            written_at=now_ms,
        )
        self._run([*chain.outputs, self._position(after)], after)
        return record

    # -------------------------------------------------------------------------------- transactions

    def _chain(self, position: Position) -> Chain:
        return Chain(
            self._codecs.losses.frame,
            self._names.of(CONSENT_LEDGER),
            position.partition,
            position.ledger_sequence,
            position.ledger_hash,
        )

    def _state(self, partition: int, state: SubjectState) -> Output:
        value = self._codecs.subject_states.encode(state)
        return Output(self._names.of(SUBJECTS_STATE), partition, state.subject_id, value)

    def _position(self, position: Position) -> Output:
        value = self._codecs.positions.encode(position)
        return Output(self._names.of(SUBJECTS_STATE), position.partition, POSITION_KEY, value)

    def _run(self, outputs: list[Output], position: Position) -> None:
        """Commit these, with the group's offset of requests for Kafka's own tools."""
        requests = self._names.of(SMS_REQUESTED)
        offsets = [TopicPartition(requests, position.partition, position.request_offset)]
        try:
            self._transactor.run(outputs, offsets, self._group)
        except (Aborted, Indefinite) as error:
            raise KafkaUnavailable(
                f"Partition {position.partition} could not be written ({error}). Run this again: "
                "until it has ended, the partition waits."
            ) from error


@contextmanager
def rewriting(
    settings: Settings, admin: AdminClient, log: TopicLog, codecs: Codecs, signer: Signer
) -> Iterator[Rewriting]:
    """Give what writes; fences another one that is under way."""
    transactor = Transactor(
        producer_config(settings, f"{settings.group_id}-state"),
        timeout_seconds=settings.transaction_timeout_ms / 2000,
    )
    # A consumer that joins nothing: its metadata name the group, and no generation.
    consumer: Any = opened(Consumer, consumer_config(settings, settings.group_id))
    try:
        transactor.start()
        yield Rewriting(
            settings,
            admin,
            log,
            codecs,
            signer,
            transactor,
            consumer.consumer_group_metadata(),
        )
    finally:
        transactor.close()
        consumer.close()


def _chunks(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
