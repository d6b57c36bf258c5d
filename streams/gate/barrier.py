"""
The barrier: how far the state must have been read before a batch may be decided.

The proof of guarantee I1 is an order of events:

1. a withdrawal is acknowledged with ``acks=all``: from then on it lies below the high watermark of
   its partition;
2. the request is sent afterwards, and taken into a batch by the gate;
3. **then** the barrier is read: the high watermark (READ_UNCOMMITTED latest offset) of the state
   partitions that the batch touches. It is above the withdrawal;
4. the state is folded exactly up to the barrier, and only then is the batch decided.

Read before the batch was taken, or read at the last stable offset, the barrier may lie below the
withdrawal, and the proof fails. That is why :meth:`Barrier.read` takes what was taken as its
argument, and why the isolation level is a literal here. Folding whatever has been fetched would
hide a barrier that was taken in the wrong order, so nothing is folded beyond it.

``AdminClient.list_offsets`` asks the leaders, in one call (0.4 ms on loopback).
``Consumer.get_watermark_offsets`` is no substitute: it took 2 s on a busy consumer.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.state.log_reader import At


@dataclass(slots=True)
class Targets:
    """The offset of each partition below which all must be folded, and who did not answer."""

    offsets: dict[At, int] = field(default_factory=dict)
    unreachable: set[At] = field(default_factory=set)


class Barrier:
    """Reads high watermarks. One AdminClient for its life: a temporary one fails its futures."""

    def __init__(self, admin: AdminClient, *, timeout_seconds: float) -> None:
        self._admin = admin
        self._timeout = timeout_seconds

    def ask(self, partitions: Iterable[At]) -> dict[At, Future[object]]:
        """Begin to read the high watermarks of these partitions; answers come as futures."""
        asked = {TopicPartition(at.topic, at.partition): OffsetSpec.latest() for at in partitions}
        if not asked:
            return {}
        answers = self._admin.list_offsets(
            asked,
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=self._timeout,
        )
        return {At(tp.topic, tp.partition): answer for tp, answer in answers.items()}

    def read(self, partitions: Iterable[At]) -> Targets:
        """
        Return where the state must be read to, for a batch that **was taken before** this call.

        Blocks up to the time-out. A partition whose leader does not answer is unreachable, never
        reached.
        """
        targets = Targets()
        for at, answer in self.ask(partitions).items():
            offset = answered(answer)
            if offset is None:
                targets.unreachable.add(at)
            else:
                targets.offsets[at] = offset
        return targets


def answered(answer: Future[object]) -> int | None:
    """Return the offset that a finished or nearly finished answer holds; None for an error."""
    try:
        result = answer.result()
    except (KafkaException, ValueError):
        return None
    offset = getattr(result, "offset", None)
    return offset if isinstance(offset, int) and offset >= 0 else None
