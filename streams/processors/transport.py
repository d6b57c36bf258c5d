"""
Faust's Kafka transport, with what Faust leaves out or gets wrong put right.

Every private name of Faust and aiokafka that this project leans on is in this file (and in
:mod:`~streams.processors.app`), each with a test in ``tests/processors``. Both are pinned exactly.
What is changed, and why (faust-streaming 0.15.3, aiokafka 0.14.0):

* *Read committed.* Faust sets it with its own ``exactly_once`` only, which is not usable. Aborted
  records would be handled.
* *Range assignment.* Without copies of tables Faust deals partitions out in turn, so that the same
  partition of two topics comes to two workers; agents with several topics need both.
* *Offsets.* Faust keeps lists of acknowledged offsets and of gaps between records. On topics that
  transactions write it counts a record behind a gap as done before it is handled, and stands still
  behind two markers at the beginning of a partition. Here a partition is handled in order, so that
  one number says all: the offset behind the last record that is done (:meth:`Consumer.done`).
* *Commits that fail.* A broker that is away for a while ends Faust. Here the same offset is
  committed a second later.
* *Waiting.* Before it gives partitions up Faust waits for messages that are referenced somewhere,
  without an end. Here it waits for the lanes, which have one.
* *A twin.* aiokafka does not know that a group can refuse a static member: two workers of one name
  would push each other out for ever. See :meth:`Consumer.on_partitions_revoked`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import aiokafka
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.errors import Fenced
from streams.telemetry.catalogue import RecordsLost
from streams.telemetry.logs import get_logger

COMMIT_SECONDS: Final = 2.0
"""How long one commit is waited for. At the end of the worker it has to fit into five seconds with
what is under way; what is not committed is handled again and changes nothing."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """aiokafka's consumer in a thread of its own, so that heartbeats go on whatever is handled."""

    consumer: Consumer

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._partition_assignment_strategy = (RangePartitionAssignor,)
        self._assignor = RangePartitionAssignor
        return consumer

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit; false where it could not be done now. Ends the worker only for what stays."""
        kept = {
            TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in self.assignment()
        }
        try:
            await asyncio.wait_for(self._ensure_consumer().commit(kept), COMMIT_SECONDS)
        except (CommitFailedError, IllegalStateError, TimeoutError):
            return False
        except KafkaError as error:
            if not error.retriable:
                await self.crash(error)
            return False
        return True

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:
        """Tell class and place; the original prints the error with its text."""
        get_logger().error("consumer_failed", exc_info=True)

    def leave_the_group_alone(self) -> None:
        """Join no more: it would push out whoever has this member's name now. In this thread."""
        self._ensure_consumer()._coordinator._coordination_task.cancel()

    def is_forgotten(self) -> bool:
        """Whether the group has told this member that it is none: it begins to join anew."""
        consumer = self._consumer
        coordinator = getattr(consumer, "_coordinator", None)
        return coordinator is not None and coordinator.member_id == ""


class Consumer(driver.Consumer):
    """One group member. What it asks of the worker are the app's hooks."""

    app: Any
    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._next: dict[TP, int] = {}
        self._was_member = False

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # ------------------------------------------------------------------------------ acknowledging

    def done(self, tp: TP, next_offset: int) -> None:
        """Say that everything of this partition below ``next_offset`` is done for good."""
        self._next[tp] = max(next_offset, self._next.get(tp, 0))

    def known_next(self, tp: TP) -> int | None:
        """Return the offset behind the last record done, as far as this worker knows."""
        return self._next.get(tp, self._committed_offset.get(tp))

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what :meth:`done` said and was not committed yet. Called every second."""
        assigned = self.assignment()
        offsets = {
            tp: offset
            for tp, offset in self._next.items()
            if tp in assigned and offset > (self._committed_offset.get(tp) or 0)
        }
        if not offsets or not await self._commit(offsets):
            return False
        self._committed_offset.update(offsets)
        return True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Keep none: one number a partition says how far it is done."""

    # ---------------------------------------------------------------------------------- rebalances

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Open the lanes before the first record of these partitions can come."""
        self._was_member = True
        self.app.hooks.assigned(assigned)
        await super().on_partitions_assigned(assigned, generation_id)

    async def wait_empty(self) -> None:
        """End what is under way, then commit. Bounded, by the lanes."""
        await self.app.hooks.settle()
        await self.commit_and_end_transactions()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """
        Give partitions up; end the worker where another one of its name has taken its place.

        The group replaces a static member when another process joins under its name. The older one
        is told that it is unknown, as it is after its session has ended, and joins again. Only in
        the first case is there a member of its name meanwhile.
        """
        forgotten = self._was_member and self._thread.is_forgotten()
        if forgotten and await asyncio.to_thread(self.app.hooks.twin):
            self._thread.thread_loop.call_soon_threadsafe(self._thread.leave_the_group_alone)
            await self.app.crash(
                Fenced(
                    "Another worker runs under this instance_id and has taken its place. Give each "
                    "worker an instance_id of its own."
                )
            )
            return
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self._next.pop(tp, None)

    async def perform_seek(self) -> None:
        """Go to the committed offsets; tell where records behind them are gone."""
        self._next.clear()
        await super().perform_seek()
        committed = {
            tp: offset for tp in self.assignment() if (offset := self._committed_offset.get(tp))
        }
        if committed:
            first = await self.earliest_offsets(*committed)
            for tp, offset in committed.items():
                gone = first[TopicPartition(tp.topic, tp.partition)] - offset
                if gone > 0:
                    self.app.hooks.tell(
                        RecordsLost(self.app.hooks.own_name(tp.topic), tp.partition, gone)
                    )

    # ------------------------------------------------------------------------------------ quietness

    async def verify_all_partitions_active(self) -> None:
        """Say nothing: Faust judges by acknowledgements of its own, of which there are none."""


class Transport(driver.Transport):
    """The transport with that consumer."""

    Consumer: ClassVar[type[Consumer]] = Consumer
