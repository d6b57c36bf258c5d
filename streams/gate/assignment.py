"""
Assignment: how a partition comes to this gate, is restored, waits, and goes.

The callbacks of a rebalance only note what changed; everything that takes time happens in
:meth:`Assignment.advance`, in slices, while the loop goes on polling and other partitions go on
being decided. A partition's requests are paused until it is LIVE.

On assign, in this order:

1. The group's *stable* committed offsets are asked for (``require_stable``: while a predecessor's
   transaction is open the answer is "not yet", and is asked for again).
2. Then the extents of its partitions of ``subjects.state`` and ``subjects.keys``, and of the
   topics it reads.
3. Those are read, committed only, up to the high watermarks of step 2
   (:mod:`streams.state.restore`). An open transaction of a dead predecessor ends, by its
   time-out, before that can be reached.
4. The Position found there says where everything goes on. Group offsets are committed in the same
   transactions and would say the same; where Kafka has expired them, the Position's are used.
5. The state topics are read from their positions, the requests are sought and resumed.

On revoke, all of it is dropped at once. What was taken under an earlier assignment can never be
committed under a later one: the group metadata is taken in the assign callback and kept with every
batch. (Tried: with fresh metadata a gate commits a batch of partitions that it no longer owns.)
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import (
    OFFSET_END,
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.codec.codec import RecordCodec
from streams.errors import SecretsError, StateLost, Undecodable
from streams.gate.barrier import Barrier, answered
from streams.gate.owned import Owned, Phase
from streams.gate.topics import GateTopics
from streams.records.subject import Position
from streams.state.log_reader import At, LogReader
from streams.state.restore import Extent, Restore
from streams.state.store import Store, StoreFull
from streams.state.subjects import Subjects
from streams.telemetry.catalogue import (
    ErrorMet,
    PartitionResumed,
    PartitionStalled,
    Rebalanced,
    RecordsLost,
    RestoreFinished,
    RestoreProgressed,
)
from streams.telemetry.labels import RebalanceKind, StallCause
from streams.telemetry.telemetry import Telemetry
from streams.topology import SMS_REQUESTED

RETRY_SECONDS: Final = 0.3
"""Pause before a question that got no answer is asked again."""


@dataclass(slots=True)
class _Coming:
    """The answers that a partition in phase ASKING waits for, and its restore afterwards."""

    began: float = field(default_factory=time.monotonic)
    committed: Future[Any] | None = None
    committed_offset: int = -1
    low: dict[At, Future[Any]] = field(default_factory=dict)
    high: dict[At, Future[Any]] = field(default_factory=dict)
    restore: Restore | None = None
    requests: tuple[int, int] = (0, 0)
    earliest: dict[At, int] = field(default_factory=dict)


class Assignment:
    """All partitions that this gate owns now. Used by the loop's thread only."""

    def __init__(
        self,
        *,
        consumer: Consumer,
        admin: AdminClient,
        barrier: Barrier,
        topics: GateTopics,
        group_id: str,
        key_check: bytes,
        store: Store,
        subjects: Subjects,
        positions: RecordCodec[Position],
        restores: LogReader,
        state: LogReader,
        telemetry: Telemetry,
        timeout_seconds: float,
    ) -> None:
        self._consumer = consumer
        self._admin = admin
        self._barrier = barrier
        self._topics = topics
        self._group_id = group_id
        self._key_check = key_check
        self._store = store
        self._subjects = subjects
        self._positions = positions
        self._restores = restores
        self._state = state
        self._telemetry = telemetry
        self._timeout = timeout_seconds
        self._owned: dict[int, Owned] = {}
        self._coming: dict[int, _Coming] = {}
        self._probes: dict[int, dict[At, Future[Any]]] = {}
        self.epoch = 0
        """Raised by every rebalance: what was taken under another epoch is void."""
        self.group: object = None
        """The group metadata of this epoch, to be kept with each batch taken in it."""

    # ------------------------------------------------------------------------- rebalance callbacks

    def subscribe(self) -> None:
        """Join the group."""
        self._consumer.subscribe(
            [self._topics.requests],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.epoch += 1
        self.group = consumer.consumer_group_metadata()
        # Where to read from is not known yet. OFFSET_END keeps librdkafka from looking for
        # committed offsets; nothing is delivered, because the partitions are paused at once.
        assigned = [TopicPartition(tp.topic, tp.partition, OFFSET_END) for tp in partitions]
        consumer.assign(assigned)
        if assigned:
            consumer.pause(assigned)
        for tp in partitions:
            self._owned[tp.partition] = Owned(tp.partition)
            self._coming[tp.partition] = _Coming()
        numbers = [tp.partition for tp in partitions]
        self._telemetry.emit(Rebalanced(RebalanceKind.ASSIGNED, numbers))
        for number in numbers:
            self._telemetry.emit(PartitionStalled(number, StallCause.RESTORING))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._left(RebalanceKind.REVOKED, partitions)
        consumer.unassign()

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._left(RebalanceKind.LOST, partitions)
        consumer.unassign()

    def _left(self, kind: RebalanceKind, partitions: Iterable[TopicPartition]) -> None:
        self.epoch += 1
        self.group = None
        numbers = [tp.partition for tp in partitions]
        for number in numbers:
            self._drop(number)
            self._owned.pop(number, None)
        self._telemetry.emit(Rebalanced(kind, numbers))

    def _drop(self, number: int) -> None:
        """Forget what is in memory of a partition; its place in the store stays."""
        coming = self._coming.pop(number, None)
        if coming is not None and coming.restore is not None:
            coming.restore.abandon()
        self._probes.pop(number, None)
        self._state.stop(self._topics.state_of(number))
        self._subjects.forget(number)

    # -------------------------------------------------------------------------------- what is owned

    def owned(self, partition: int) -> Owned | None:
        """Return what is held of this partition, if it is owned."""
        return self._owned.get(partition)

    def all(self) -> list[Owned]:
        """Return every owned partition, in the order of their numbers."""
        return [self._owned[number] for number in sorted(self._owned)]

    def live(self) -> list[Owned]:
        """Return those whose requests are being taken."""
        return [owned for owned in self.all() if owned.phase is Phase.LIVE]

    # ------------------------------------------------------------------------------------- progress

    def advance(self) -> None:
        """
        Take every partition that is not LIVE one step further. Blocks for milliseconds only.

        Raises :class:`StateLost` or :class:`SecretsError` when the gate must not go on.
        """
        self._admin.poll(0)  # librdkafka's log lines pile up in a client that nobody polls
        if any(coming.restore is not None for coming in self._coming.values()):
            self._restores.fetch(0.01)
        for owned in self.all():
            if time.monotonic() < owned.not_before:
                continue
            match owned.phase:
                case Phase.ASKING:
                    self._ask(owned)
                case Phase.RESTORING:
                    self._restore(owned)
                case Phase.STALLED:
                    self._recheck(owned)
                case Phase.LIVE | Phase.HELD:
                    pass

    def _later(self, owned: Owned) -> None:
        owned.not_before = time.monotonic() + RETRY_SECONDS

    def _ask(self, owned: Owned) -> None:
        coming = self._coming[owned.partition]
        if coming.committed is None:
            coming.committed = self._ask_committed(owned.partition)
        if not coming.committed.done():
            return
        if not coming.low:
            offset = _committed_offset(coming.committed, owned.partition)
            if offset is None:
                coming.committed = None
                self._later(owned)
                return
            coming.committed_offset = offset
            self._ask_extents(owned.partition, coming)
        answers = [*coming.low.values(), *coming.high.values()]
        if not all(answer.done() for answer in answers):
            return
        low = {at: answered(answer) for at, answer in coming.low.items()}
        high = {at: answered(answer) for at, answer in coming.high.items()}
        if any(offset is None for offset in (*low.values(), *high.values())):
            began = coming.began
            self._coming[owned.partition] = _Coming(began=began)
            self._later(owned)
            return
        self._begin_restore(
            owned,
            coming,
            {at: offset for at, offset in low.items() if offset is not None},
            {at: offset for at, offset in high.items() if offset is not None},
        )

    def _ask_committed(self, partition: int) -> Future[Any]:
        asked = ConsumerGroupTopicPartitions(
            self._group_id, [TopicPartition(self._topics.requests, partition)]
        )
        answers = self._admin.list_consumer_group_offsets(
            [asked], require_stable=True, request_timeout=self._timeout
        )
        answer: Future[Any] = answers[self._group_id]
        return answer

    def _ask_extents(self, partition: int, coming: _Coming) -> None:
        topics = self._topics
        wanted = [
            At(topics.changelog, partition),
            At(topics.keys, partition),
            *topics.state_of(partition),
            At(topics.requests, partition),
        ]
        coming.high = self._barrier.ask(wanted)
        answers = self._admin.list_offsets(
            {TopicPartition(at.topic, at.partition): OffsetSpec.earliest() for at in wanted},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=self._timeout,
        )
        coming.low = {At(tp.topic, tp.partition): answer for tp, answer in answers.items()}

    def _begin_restore(
        self, owned: Owned, coming: _Coming, low: dict[At, int], high: dict[At, int]
    ) -> None:
        number = owned.partition
        changelog = At(self._topics.changelog, number)
        keys = At(self._topics.keys, number)
        requests = At(self._topics.requests, number)
        coming.earliest = low
        coming.requests = (low[requests], high[requests])
        if high[changelog] == 0:
            self._first_start(owned, coming)
            return
        try:
            coming.restore = Restore(
                number,
                store=self._store,
                reader=self._restores,
                changelog=Extent(changelog, low[changelog], high[changelog]),
                keys=Extent(keys, low[keys], high[keys]),
                now_ms=int(time.time() * 1000),
            )
        except StoreFull as error:
            self.hold(owned, StallCause.STORE_FULL, error)
            return
        owned.phase = Phase.RESTORING

    def _first_start(self, owned: Owned, coming: _Coming) -> None:
        """Begin a partition whose changelog never held a record: everything from the beginning."""
        number = owned.partition
        if coming.committed_offset >= 0:
            raise StateLost(
                f"The group {self._group_id!r} has decided requests of partition {number}, but "
                f"{self._topics.changelog} is empty: it was deleted or made anew. Restore it, or "
                "begin again with another topic_prefix and import consent and suppressions there."
            )
        self._store.forget(number)
        self._go(
            owned,
            Position(
                partition=number,
                request_offset=coming.requests[0],
                consent_offset=coming.earliest[At(self._topics.consent, number)],
                contacts_offset=coming.earliest[At(self._topics.contacts, number)],
                key_check=self._key_check,
            ),
        )

    def _restore(self, owned: Owned) -> None:
        number = owned.partition
        coming = self._coming[number]
        restore = coming.restore
        if restore is None:
            return
        try:
            done = restore.step(
                lambda done, total: self._telemetry.emit(RestoreProgressed(number, done, total))
            )
        except StoreFull as error:
            self.hold(owned, StallCause.STORE_FULL, error)
            return
        if not done:
            return
        try:
            position = self._positions.decode(restore.position)
        except Undecodable as error:
            raise StateLost(
                f"The position of partition {number} in {self._topics.changelog} cannot be read: "
                "was it written by a newer version?"
            ) from error
        if position.key_check != self._key_check:
            raise SecretsError(
                f"Partition {number} was written with another subject-id key than the one in "
                "secrets_dir: with this key no withdrawal in it would be found. Put the "
                "installation's own key back."
            )
        self._telemetry.emit(
            RestoreFinished(
                number, time.monotonic() - coming.began, restore.records, restore.rebuilt
            )
        )
        self._go(owned, position)

    def _go(self, owned: Owned, position: Position) -> None:
        """Let a restored partition read its state topics; its requests follow when it is sought."""
        number = owned.partition
        coming = self._coming.pop(number)
        owned.position = position
        gone = self._gone(position, coming)
        if gone is not None:
            self.hold(owned, StallCause.OUT_OF_RANGE, gone)
            return
        topics = self._topics
        self._state.start(
            {
                At(topics.consent, number): position.consent_offset,
                At(topics.contacts, number): position.contacts_offset,
            }
        )
        owned.waits_for = {}
        owned.phase = Phase.STALLED
        self._recheck(owned)

    def _gone(self, position: Position, coming: _Coming) -> StateLost | None:
        """Say what this partition would have to read but cannot any more."""
        number = position.partition
        first, end = coming.requests
        if position.request_offset < first:
            lost = first - position.request_offset
            self._telemetry.emit(RecordsLost(SMS_REQUESTED, number, lost))
            return StateLost(
                f"{lost} requests of {self._topics.requests} partition {number} were deleted "
                "before they were decided: the gate stood still for longer than they are kept."
            )
        if position.request_offset > end:
            return StateLost(
                f"{self._topics.requests} partition {number} ends at {end}, before the offset "
                f"{position.request_offset} up to which it was decided: it was made anew."
            )
        for topic, offset in (
            (self._topics.consent, position.consent_offset),
            (self._topics.contacts, position.contacts_offset),
        ):
            if offset < coming.earliest[At(topic, number)]:
                return StateLost(
                    f"Events of {topic} partition {number} were deleted before they were folded: "
                    "a withdrawal may be among them. Nothing of this partition is decided."
                )
        return None

    # ------------------------------------------------------------------------- stalled and resumed

    def stall(self, owned: Owned, cause: StallCause, waits_for: dict[At, int | None]) -> None:
        """
        Pause a LIVE partition until its state has reached these offsets; its requests go back.

        None stands for an offset that nobody has answered for yet.
        """
        self._consumer.pause([TopicPartition(self._topics.requests, owned.partition)])
        owned.phase = Phase.STALLED
        owned.waits_for = waits_for
        owned.stall = cause
        owned.stalled_at = time.monotonic()
        self._later(owned)
        self._telemetry.emit(PartitionStalled(owned.partition, cause))

    def hold(self, owned: Owned, cause: StallCause, error: Exception) -> None:
        """Pause a partition for good: a person must act. The other partitions go on."""
        self._drop(owned.partition)
        if owned.phase is Phase.LIVE:
            self._consumer.pause([TopicPartition(self._topics.requests, owned.partition)])
        owned.phase = Phase.HELD
        owned.stall = cause
        self._telemetry.emit(PartitionStalled(owned.partition, cause))
        self._telemetry.emit(ErrorMet(error))

    def _recheck(self, owned: Owned) -> None:
        number = owned.partition
        probe = self._probes.get(number)
        if probe is not None:
            if not all(answer.done() for answer in probe.values()):
                return
            del self._probes[number]
            for at, answer in probe.items():
                owned.waits_for[at] = answered(answer)
        unknown = [at for at, offset in owned.waits_for.items() if offset is None]
        if unknown:
            self._probes[number] = self._barrier.ask(unknown)
            self._later(owned)
            return
        for at, offset in owned.waits_for.items():
            fault = self._state.fault(at)
            if fault is not None:
                error = StateLost(f"{at.topic} partition {at.partition}: {fault.name()}.")
                self.hold(owned, StallCause.OUT_OF_RANGE, error)
                return
            if offset is not None and not self._state.reached(at, offset):
                return
        self._resume(owned)

    def _resume(self, owned: Owned) -> None:
        at = TopicPartition(self._topics.requests, owned.partition, owned.next_request)
        try:
            self._consumer.seek(at)
        except KafkaException:
            # Right after an assignment librdkafka may not have begun to look at the partition.
            self._later(owned)
            return
        self._consumer.resume([at])
        owned.phase = Phase.LIVE
        owned.waits_for = {}
        owned.stall = None
        owned.stalled_at = 0.0
        self._telemetry.emit(PartitionResumed(owned.partition))

    def rewind(self, partitions: Iterable[int]) -> None:
        """Take the requests of these LIVE partitions again from their positions."""
        for number in partitions:
            owned = self._owned.get(number)
            if owned is None or owned.phase is not Phase.LIVE:
                continue
            at = TopicPartition(self._topics.requests, number, owned.next_request)
            try:
                self._consumer.seek(at)
            except KafkaException:
                self.stall(owned, StallCause.STATE_NOT_REACHED, {})

    def restore_all(self) -> None:
        """Drop everything in memory and restore every partition, as on assign."""
        for owned in self.all():
            if owned.phase is Phase.LIVE:
                self._consumer.pause([TopicPartition(self._topics.requests, owned.partition)])
            self._drop(owned.partition)
            owned.phase = Phase.ASKING
            owned.stall = StallCause.RESTORING
            owned.waits_for = {}
            self._coming[owned.partition] = _Coming()
            self._telemetry.emit(PartitionStalled(owned.partition, StallCause.RESTORING))


def _committed_offset(answer: Future[Any], partition: int) -> int | None:
    """Return the group's offset, -1 where it has none, None where it is not stable or unknown."""
    try:
        result = answer.result()
    except (KafkaException, ValueError):
        return None
    for tp in result.topic_partitions:
        if tp.partition == partition:
            if tp.error is not None:
                return None
            return max(int(tp.offset), -1)
    return -1
