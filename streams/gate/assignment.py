"""
Assignment: how a partition comes to this gate, is restored, waits, and goes.

The callbacks of a rebalance only note what changed; everything that takes time happens in
:meth:`Assignment.advance`, in slices, while the loop goes on polling and other partitions go on
being decided. A partition's requests are not read until it is LIVE.

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
5. The state topics are read from their positions, and so are the requests.

Until then librdkafka is given nothing of the partition to read, so that it is never told to begin
at an end or a beginning, which it has to ask for. An answer that comes after the seek to the
position has it ask again half a second later and go on from *there* (2.16,
``rd_kafka_toppar_handle_Offset``; its issue 2256): the requests between were passed over, seen
where a seek came within the milliseconds in which the question was under way.

On revoke, all of it is dropped at once. What was taken under an earlier assignment can never be
committed under a later one: the group metadata is taken in the assign callback and kept with every
batch. (Tried: with fresh metadata a gate commits a batch of partitions that it no longer owns.)
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.errors import KeyMissing, PartitionLost, StateRebuilding, StoreFull
from streams.gate.barrier import Asked, Barrier
from streams.gate.owned import Owned, Phase
from streams.gate.restoring import RETRY_SECONDS, Restoring
from streams.gate.topics import GateTopics
from streams.sealing.data_keys import DataKeys
from streams.state.log_reader import MOST_BUFFERED, UNPACKED_TO_MORE, At, LogReader
from streams.state.subjects import Subjects
from streams.telemetry.catalogue import (
    ErrorMet,
    PartitionResumed,
    PartitionStalled,
    Rebalanced,
)
from streams.telemetry.labels import RebalanceKind, StallCause
from streams.telemetry.telemetry import Telemetry

KEY_AGAIN_SECONDS: Final = 10.0
"""How often a partition that waits for a key-encryption key looks for it. Each time reads the
secrets folder; an operator who has put the file back waits for so long."""

REBUILT_AGAIN_SECONDS: Final = 5.0
"""How often a partition whose state a person rebuilds is looked at again."""

READ_ANEW_SECONDS: Final = 0.25
"""How often the requests are assigned anew at most, while more partitions are on their way. Each
time the fetch that is under way is thrown away, up to ``fetch.wait.max.ms`` (50): were it done as
often as one of a hundred partitions is restored, those that are LIVE would get nothing."""


class Assignment:
    """All partitions that this gate owns now. Used by the loop's thread only."""

    def __init__(
        self,
        *,
        consumer: Consumer,
        admin: AdminClient,
        barrier: Barrier,
        topics: GateTopics,
        restoring: Restoring,
        subjects: Subjects,
        data_keys: DataKeys,
        state: LogReader,
        telemetry: Telemetry,
    ) -> None:
        self._consumer = consumer
        self._admin = admin
        self._barrier = barrier
        self._topics = topics
        self._restoring = restoring
        self._subjects = subjects
        self._data_keys = data_keys
        self._state = state
        self._telemetry = telemetry
        self._owned: dict[int, Owned] = {}
        self._probes: dict[int, Asked] = {}
        self._read: set[int] = set()
        """Those of which librdkafka reads requests, or may go on to: some are paused."""
        self._read_anew_at = 0.0
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
        # Where to read from is not known yet: nothing is read.
        consumer.assign([])
        self._read.clear()
        for tp in partitions:
            self._owned[tp.partition] = Owned(tp.partition)
            self._restoring.begin(tp.partition)
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
        self._read.clear()
        numbers = [tp.partition for tp in partitions]
        for number in numbers:
            self._drop(number)
            self._owned.pop(number, None)
        self._data_keys.forget_all()
        self._telemetry.emit(Rebalanced(kind, numbers))

    def _drop(self, number: int) -> None:
        """Forget what is in memory of a partition; its place in the store stays."""
        self._restoring.drop(number)
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
        self._restoring.fetch()
        for owned in self.all():
            if time.monotonic() < owned.not_before:
                continue
            match owned.phase:
                case Phase.RESTORING:
                    self._restore(owned)
                case Phase.STALLED:
                    self._recheck(owned)
                case Phase.LIVE | Phase.HELD:
                    pass
        self._read_live()

    def _restore(self, owned: Owned) -> None:
        number = owned.partition
        try:
            position = self._restoring.step(number)
        except StoreFull as error:
            self.hold(owned, StallCause.STORE_FULL, error)
            return
        except PartitionLost as error:
            self.hold(owned, StallCause.OUT_OF_RANGE, error)
            return
        except StateRebuilding as error:
            self._telemetry.emit(ErrorMet(error))
            self._restoring.begin(number)
            owned.not_before = time.monotonic() + REBUILT_AGAIN_SECONDS
            return
        if position is None:
            return
        owned.position = position
        self._subjects.doubt(number, position.doubt)
        self._state.start(
            {
                At(self._topics.consent, number): position.consent_offset,
                At(self._topics.contacts, number): position.contacts_offset,
            }
        )
        owned.waits_for = {}
        owned.locked = None
        owned.phase = Phase.STALLED
        self._recheck(owned)

    def _later(self, owned: Owned) -> None:
        owned.not_before = time.monotonic() + RETRY_SECONDS

    # ------------------------------------------------------------------------- stalled and resumed

    def stall(
        self,
        owned: Owned,
        cause: StallCause,
        waits_for: dict[At, int | None],
        not_before_seconds: float = RETRY_SECONDS,
    ) -> None:
        """
        Pause a LIVE partition until its state has reached these offsets; its requests go back.

        It is looked at again after ``not_before_seconds``. None stands for an offset that nobody
        has answered for yet.
        """
        self._consumer.pause([TopicPartition(self._topics.requests, owned.partition)])
        owned.phase = Phase.STALLED
        owned.end = 0
        owned.waits_for = waits_for
        owned.locked = None
        owned.stall = cause
        owned.stalled_at = time.monotonic()
        owned.not_before = time.monotonic() + not_before_seconds
        self._telemetry.emit(PartitionStalled(owned.partition, cause))

    def lock(self, owned: Owned, error: KeyMissing) -> None:
        """
        Pause a LIVE partition until the data key of this subject can be opened.

        Not for good: a key file that is put back is found, and until then nothing is lost.
        """
        self.stall(owned, StallCause.SECRETS_MISSING, {}, KEY_AGAIN_SECONDS)
        owned.locked = error.subject_id
        self._telemetry.emit(ErrorMet(error))

    def hold(self, owned: Owned, cause: StallCause, error: Exception) -> None:
        """Pause a partition for good: a person must act. The other partitions go on."""
        self._drop(owned.partition)
        if owned.phase is Phase.LIVE:
            self._consumer.pause([TopicPartition(self._topics.requests, owned.partition)])
        owned.phase = Phase.HELD
        owned.end = 0
        owned.stall = cause
        self._telemetry.emit(PartitionStalled(owned.partition, cause))
        self._telemetry.emit(ErrorMet(error))

    def _recheck(self, owned: Owned) -> None:
        number = owned.partition
        if owned.locked is not None and not self._unlocked(owned, owned.locked):
            return
        probe = self._probes.get(number)
        if probe is not None:
            if not probe.over:
                return
            del self._probes[number]
            owned.waits_for |= probe.offsets()
        unknown = [at for at, offset in owned.waits_for.items() if offset is None]
        if unknown:
            self._probes[number] = self._barrier.ask(unknown)
            self._later(owned)
            return
        for at, offset in owned.waits_for.items():
            fault = self._state.fault(at)
            if fault is not None:
                unpacking = fault.code() == KafkaError._BAD_COMPRESSION
                why = UNPACKED_TO_MORE if unpacking else f"{fault.name()}."
                error = PartitionLost(f"{at.topic} partition {at.partition}: {why}")
                cause = StallCause.BATCH_UNREADABLE if unpacking else StallCause.OUT_OF_RANGE
                self.hold(owned, cause, error)
                return
            if offset is not None and offset < self._folded(owned, at):
                error = PartitionLost(
                    f"{at.topic} partition {at.partition} ends at {offset}, before the offset up "
                    "to which it was folded: it was truncated or made anew."
                )
                self.hold(owned, StallCause.OUT_OF_RANGE, error)
                return
            full = at not in self._topics.broadcast and self._state.waiting(at) >= MOST_BUFFERED
            if offset is not None and not full and not self._state.reached(at, offset):
                return
        self._resume(owned)

    def _unlocked(self, owned: Owned, subject_id: bytes) -> bool:
        try:
            key = self._subjects.key(owned.partition, subject_id)
            if key is not None:
                self._data_keys.sealer(key)
        except KeyMissing as error:
            # Said again: it is the line that names the key-encryption key.
            self._telemetry.emit(ErrorMet(error))
            owned.not_before = time.monotonic() + KEY_AGAIN_SECONDS
            return False
        owned.locked = None
        return True

    def _folded(self, owned: Owned, at: At) -> int:
        if at.topic == self._topics.consent:
            return owned.position.consent_offset
        return owned.position.contacts_offset if at.topic == self._topics.contacts else 0

    def _resume(self, owned: Owned) -> None:
        number = owned.partition
        if number in self._read:
            at = TopicPartition(self._topics.requests, number, owned.next_request)
            try:
                self._consumer.seek(at)
                self._consumer.resume([at])
            except KafkaException:
                # It has not begun with the partition yet, or an error has ended it there.
                self._read.discard(number)
        owned.phase = Phase.LIVE
        owned.waits_for = {}
        owned.stall = None
        owned.stalled_at = 0.0
        self._telemetry.emit(PartitionResumed(owned.partition))

    def _read_live(self) -> None:
        """
        Have the requests of all LIVE partitions read, if those of one are not.

        Each from its position, between batches: a new assignment drops what was fetched ahead, also
        of the others. What waits is not in it until it goes on.
        """
        live, now = self.live(), time.monotonic()
        if all(owned.partition in self._read for owned in live):
            return
        coming = any(owned.phase is Phase.RESTORING for owned in self.all())
        if coming and now < self._read_anew_at:
            return
        self._read_anew_at = now + READ_ANEW_SECONDS
        positions = [
            TopicPartition(self._topics.requests, owned.partition, owned.next_request)
            for owned in live
        ]
        # What was paused stays so through later assignments, one without it included.
        self._consumer.resume(positions)
        self._consumer.assign(positions)
        self._read = {owned.partition for owned in live}

    def rewind(self, partitions: Iterable[int]) -> None:
        """Take the requests of these LIVE partitions again from their positions."""
        for number in partitions:
            owned = self._owned.get(number)
            if owned is None or owned.phase is not Phase.LIVE:
                continue
            owned.end = 0
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
            owned.phase = Phase.RESTORING
            owned.end = 0
            owned.stall = StallCause.RESTORING
            owned.waits_for = {}
            self._restoring.begin(owned.partition)
            self._telemetry.emit(PartitionStalled(owned.partition, StallCause.RESTORING))
