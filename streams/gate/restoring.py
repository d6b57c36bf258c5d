"""
From an assigned partition to its known position: what is asked, what is read, what is checked.

The order is part of the protocol and explained in :mod:`streams.gate.assignment`: stable committed
offsets first, then the extents of the topics, then the changelog up to them, then the send memory,
then what is held. Driven in slices by :meth:`Restoring.step`, which never blocks for long.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.codec.codec import Codecs
from streams.errors import PartitionLost, SecretsError, StateRebuilding, Undecodable
from streams.gate.barrier import Asked, Barrier, asked
from streams.gate.topics import GateTopics
from streams.records.subject import Position
from streams.state.holds import Holds
from streams.state.log_reader import At, LogReader
from streams.state.restore import Extent, Restore
from streams.state.restore_holds import RestoreHolds
from streams.state.restore_sends import RestoreSends
from streams.state.sends import Sends
from streams.state.store import Store
from streams.telemetry.catalogue import RecordsLost, RestoreFinished, RestoreProgressed
from streams.telemetry.telemetry import Telemetry
from streams.topology import CONSENT_EVENTS, CONTACTS_ENTRIES, SMS_REQUESTED

RETRY_SECONDS: Final = 0.3
"""Pause before a question that got no answer is asked again."""

COMMITTED_SECONDS: Final = 1.0
"""How long one answer about committed offsets is waited for, in a thread of its own. Within it
librdkafka asks again by itself while they are not stable, or the coordinator is elsewhere."""


CLOCKS_APART_MS: Final = 3600 * 1000
"""How far the clock of a gate that wrote decisions may have been behind this one's."""


@dataclass(slots=True)
class _Coming:
    """What is known so far of a partition on its way."""

    began: float = field(default_factory=time.monotonic)
    not_before: float = 0.0
    committed: Future[list[TopicPartition]] | None = None
    committed_offset: int = -1
    low: Asked | None = None
    high: Asked | None = None
    restore: Restore | None = None
    copy: bytes | None = None
    """The framed Position of the local copy that the restore began with."""
    since: Asked | None = None
    """Where records begin that are not older than the longest window of the send memory."""
    requests: tuple[int, int] = (0, 0)
    sends: dict[At, Extent] = field(default_factory=dict)
    held: Extent = field(default_factory=lambda: Extent(At("", 0), 0, 0))
    restore_sends: RestoreSends | None = None
    restore_holds: RestoreHolds | None = None
    position: Position | None = None
    """Known once the changelog is read, while the send memory is still to come."""
    earliest: dict[At, int] = field(default_factory=dict)


class Restoring:
    """Partitions whose state is being restored. Used by the loop's thread only."""

    def __init__(
        self,
        *,
        admin: AdminClient,
        consumer: Consumer,
        barrier: Barrier,
        topics: GateTopics,
        group_id: str,
        key_check: bytes,
        store: Store,
        codecs: Codecs,
        sends: Sends,
        holds: Holds,
        reader: LogReader,
        telemetry: Telemetry,
        timeout_seconds: float,
    ) -> None:
        self._admin = admin
        self._consumer = consumer
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="committed-offsets")
        self._barrier = barrier
        self._topics = topics
        self._group_id = group_id
        self._key_check = key_check
        self._store = store
        self._positions = codecs.positions
        self._codecs = codecs
        self._sends = sends
        self._holds = holds
        self._reader = reader
        self._telemetry = telemetry
        self._timeout = timeout_seconds
        self._coming: dict[int, _Coming] = {}

    def close(self) -> None:
        """Ask for no more offsets; waits for the answer that is under way."""
        self._asking.shutdown(cancel_futures=True)

    def begin(self, partition: int) -> None:
        """Start on a partition, from nothing."""
        self.drop(partition)
        self._coming[partition] = _Coming()

    def drop(self, partition: int) -> None:
        """Let go of a partition: it is restored, or somebody else's. Unknown ones are ignored."""
        coming = self._coming.pop(partition, None)
        if coming is not None and coming.restore is not None:
            coming.restore.abandon()
        if coming is not None and coming.restore_sends is not None:
            coming.restore_sends.abandon()
        if coming is not None and coming.restore_holds is not None:
            coming.restore_holds.abandon()
        self._sends.forget(partition)
        self._holds.forget(partition)

    def fetch(self) -> None:
        """Fetch for all partitions that are reading. Blocks for at most 10 ms."""
        if any(coming.restore is not None for coming in self._coming.values()):
            self._reader.fetch(0.01)

    def step(self, partition: int) -> Position | None:
        """
        Go one step further; return the position once it is known, and let go of the partition.

        Raises :class:`streams.errors.StoreFull` when it does not fit, :class:`StateLost` when
        the gate must not go on (:class:`PartitionLost`: when this partition must not),
        :class:`SecretsError` when it was written with another subject-id key, and
        :class:`StateRebuilding` while a person rebuilds it: then begin again later.
        """
        coming = self._coming[partition]
        if time.monotonic() < coming.not_before:
            return None
        if coming.restore is None and not self._asked(partition, coming):
            return None
        if coming.restore_holds is not None:
            return self._held(partition, coming, coming.restore_holds)
        if coming.restore_sends is not None:
            self._remembered(partition, coming, coming.restore_sends)
            return None
        restore = coming.restore
        if restore is None or not restore.step(
            lambda done, total: self._telemetry.emit(RestoreProgressed(partition, done, total))
        ):
            return None
        position = self._position(partition, coming, restore)
        if not restore.rebuilt and self._is_older(coming, position):
            self._store.forget(partition)
            self._coming[partition] = _Coming(began=coming.began)
            return None
        self._telemetry.emit(
            RestoreFinished(
                partition, time.monotonic() - coming.began, restore.records, restore.rebuilt
            )
        )
        self._refuse_gaps(position, coming)
        coming.position = position
        coming.restore_sends = RestoreSends(
            position,
            sends=self._sends,
            reader=self._reader,
            checkpoints=coming.sends[At(self._topics.sends, partition)],
            decisions=coming.sends[At(self._topics.decisions, partition)],
            remembered=self._codecs.sends,
            decided=self._codecs.decisions,
            now_ms=int(time.time() * 1000),
        )
        return None

    def _remembered(self, partition: int, coming: _Coming, restore_sends: RestoreSends) -> None:
        """What was sent."""
        if restore_sends.step():
            coming.restore_holds = RestoreHolds(
                partition,
                holds=self._holds,
                store=self._store,
                reader=self._reader,
                quarantined=coming.held,
                codec=self._codecs.quarantined,
            )

    def _held(
        self, partition: int, coming: _Coming, restore_holds: RestoreHolds
    ) -> Position | None:
        """The last step: what is held. The position is given once that is known too."""
        if not restore_holds.step():
            return None
        del self._coming[partition]
        return coming.position

    def _asked(self, partition: int, coming: _Coming) -> bool:
        """Ask, in order, for committed offsets and for extents; true when all is answered."""
        if coming.committed is None:
            coming.committed = self._ask_committed(partition)
        if not coming.committed.done():
            return False
        if coming.low is None or coming.high is None:
            offset = _committed_offset(coming.committed)
            if offset is None:
                coming.committed = None
                coming.not_before = time.monotonic() + RETRY_SECONDS
                return False
            coming.committed_offset = offset
            self._ask_extents(partition, coming)
        questions = (coming.low, coming.high, coming.since)
        if not all(question.over for question in questions if question is not None):
            return False
        low = {} if coming.low is None else coming.low.offsets()
        high = {} if coming.high is None else coming.high.offsets()
        known_low = {at: offset for at, offset in low.items() if offset is not None}
        known_high = {at: offset for at, offset in high.items() if offset is not None}
        since = {
            at: None if coming.since is None else coming.since.offset_or(at, high[at])
            for at in self._remembering(partition)
        }
        known_since = {at: offset for at, offset in since.items() if offset is not None}
        if (
            len(known_since) < len(since)
            or len(known_low) < len(low)
            or len(known_high) < len(high)
        ):
            # The committed offsets must be asked for again as well: the order is what counts.
            again = _Coming(began=coming.began, not_before=time.monotonic() + RETRY_SECONDS)
            self._coming[partition] = again
            return False
        held = At(self._topics.quarantined, partition)
        coming.held = Extent(held, known_low[held], known_high[held])
        for at, first in known_since.items():
            coming.sends[at] = Extent(at, first, known_high[at])
        self._start(partition, coming, known_low, known_high)
        return True

    def _ask_committed(self, partition: int) -> Future[list[TopicPartition]]:
        """
        Ask for the group's offset, once no open transaction can change it any more.

        Never with the admin client: librdkafka 2.16 ends the process (SIGSEGV) where a broker
        answers that it does not coordinate the group, as it may in a failover (its issue 5040).
        The consumer asks for stable offsets because it reads committed. It blocks: in a thread.
        """
        asked = [TopicPartition(self._topics.requests, partition)]
        return self._asking.submit(self._consumer.committed, asked, COMMITTED_SECONDS)

    def _remembering(self, partition: int) -> tuple[At, At]:
        """What the send memory is read back from."""
        return At(self._topics.sends, partition), At(self._topics.decisions, partition)

    def _ask_extents(self, partition: int, coming: _Coming) -> None:
        topics = self._topics
        wanted = [
            At(topics.changelog, partition),
            At(topics.keys, partition),
            *topics.state_of(partition),
            At(topics.requests, partition),
            *self._remembering(partition),
            At(topics.quarantined, partition),
        ]
        coming.high = self._barrier.ask(wanted)
        coming.low = asked(self._admin, wanted, OffsetSpec.earliest(), self._timeout)
        since_ms = int(time.time() * 1000) - self._sends.horizon_ms - CLOCKS_APART_MS
        spec = OffsetSpec.for_timestamp(since_ms)
        coming.since = asked(self._admin, self._remembering(partition), spec, self._timeout)

    def _start(
        self, partition: int, coming: _Coming, low: dict[At, int], high: dict[At, int]
    ) -> None:
        changelog = At(self._topics.changelog, partition)
        keys = At(self._topics.keys, partition)
        requests = At(self._topics.requests, partition)
        copy = self._store.reached(partition)
        coming.copy = None if copy is None else copy.position
        coming.earliest = low
        coming.requests = (low[requests], high[requests])
        coming.restore = Restore(
            partition,
            store=self._store,
            reader=self._reader,
            changelog=Extent(changelog, low[changelog], high[changelog]),
            keys=Extent(keys, low[keys], high[keys]),
            now_ms=int(time.time() * 1000),
        )

    def _position(self, partition: int, coming: _Coming, restore: Restore) -> Position:
        if restore.position is None:
            return self._first_position(partition, coming)
        try:
            position = self._positions.decode(restore.position)
        except Undecodable as error:
            raise PartitionLost(
                f"The position of partition {partition} in {self._topics.changelog} cannot be "
                "read: was it written by a newer version?"
            ) from error
        if position.key_check != self._key_check:
            raise SecretsError(
                f"Partition {partition} was written with another subject-id key than the one in "
                "secrets_dir: with this key no withdrawal in it would be found. Put the "
                "installation's own key back."
            )
        if position.rebuilding_since is not None:
            raise StateRebuilding(
                f"The state of partition {partition} is being rebuilt, and half of it is written. "
                "The partition goes on by itself when `consent-gate state rebuild` has ended; if "
                "it was ended before its time, run it again."
            )
        return position

    def _is_older(self, coming: _Coming, position: Position) -> bool:
        """
        Whether the local copy is from before the state was rebuilt.

        It cannot be caught up with: where ``subjects.state`` was made anew before, its offsets
        began again, and those of the copy say nothing about it.
        """
        if coming.copy is None:
            return False
        try:
            return self._positions.decode(coming.copy).rebuilt_at != position.rebuilt_at
        except Undecodable:
            return True

    def _first_position(self, partition: int, coming: _Coming) -> Position:
        """Begin a partition of which nothing was ever committed: everything from the beginning."""
        if coming.committed_offset >= 0:
            raise PartitionLost(
                f"The group {self._group_id!r} has decided requests of partition {partition}, but "
                f"{self._topics.changelog} is empty: it was deleted or made anew. "
                f"{_rebuild(partition)}"
            )
        return Position(
            partition=partition,
            request_offset=coming.requests[0],
            consent_offset=coming.earliest[At(self._topics.consent, partition)],
            contacts_offset=coming.earliest[At(self._topics.contacts, partition)],
            key_check=self._key_check,
        )

    def _refuse_gaps(self, position: Position, coming: _Coming) -> None:
        """Raise :class:`PartitionLost` if what the partition would read next is not there."""
        number = position.partition
        first, end = coming.requests
        if position.request_offset < first:
            lost = first - position.request_offset
            self._telemetry.emit(RecordsLost(SMS_REQUESTED, number, lost))
            raise PartitionLost(
                f"{lost} requests of {self._topics.requests} partition {number} were deleted "
                "before they were decided: the gate stood still for longer than they are kept. "
                f"`consent-gate state skip-lost --partition {number}` goes on behind them and "
                "files what was lost."
            )
        if position.request_offset > end:
            raise PartitionLost(
                f"{self._topics.requests} partition {number} ends at {end}, before the offset "
                f"{position.request_offset} up to which it was decided: it was made anew."
            )
        for lost_from, topic, offset in (
            (CONSENT_EVENTS, self._topics.consent, position.consent_offset),
            (CONTACTS_ENTRIES, self._topics.contacts, position.contacts_offset),
        ):
            lost = coming.earliest[At(topic, number)] - offset
            if lost > 0:
                self._telemetry.emit(RecordsLost(lost_from, number, lost))
                raise PartitionLost(
                    f"{lost} events of {topic} partition {number} were deleted before they were "
                    "folded: a withdrawal may be among them. Nothing of this partition is decided. "
                    f"{_rebuild(number)}"
                )


def _rebuild(partition: int) -> str:
    return (
        f"`consent-gate state rebuild --partition {partition} --dry-run` says what can be "
        "rebuilt, and changes nothing."
    )


def _committed_offset(answer: Future[list[TopicPartition]]) -> int | None:
    """Return the group's offset, -1 where it has none, None where it is not stable or unknown."""
    try:
        (committed,) = answer.result()
    except KafkaException:
        return None
    return None if committed.error is not None else max(int(committed.offset), -1)
