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

A leader that hangs is waited for by librdkafka (2.16) until its own time-out, which it looks at
once a second, and the answers of the others come only then. Should an answer not come at all, the
wait ends :data:`LATE_SECONDS` later, and whoever has not answered is unreachable.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.state.log_reader import At

LATE_SECONDS: Final = 2.0
"""How long behind librdkafka's time-out an answer may come. It was up to 0.3 s late on two cores
with thirty processes ready to run. Less than the second between its looks would make a single
leader that hangs silence all the others."""


@dataclass(slots=True)
class Targets:
    """The offset of each partition below which all must be folded, and who did not answer."""

    offsets: dict[At, int] = field(default_factory=dict)
    unreachable: set[At] = field(default_factory=set)


class Asked:
    """A question to the leaders of some partitions. Never blocks but in :meth:`wait`."""

    def __init__(self, answers: Mapping[At, Future[object]], seconds: float) -> None:
        """``seconds``: from now on, for how long an answer counts as still to come."""
        self._answers = answers
        self._until = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether everybody has answered, or the time is up."""
        return time.monotonic() >= self._until or all(
            answer.done() for answer in self._answers.values()
        )

    def wait(self) -> None:
        """Block until it is over."""
        for answer in self._answers.values():
            try:
                answer.exception(max(0.0, self._until - time.monotonic()))
            except (TimeoutError, CancelledError):
                return

    def offset(self, at: At) -> int | None:
        """Return what was answered for a partition; None for an error, and for no answer."""
        return self.offset_or(at, None)

    def offset_or(self, at: At, end: int | None) -> int | None:
        """
        Return :meth:`offset`, but ``end`` where the answer is that there is none.

        So it is where a time was asked for, and every record is from before.
        """
        answer = self._answers.get(at)
        if answer is None or not answer.done():
            return None
        try:
            offset = getattr(answer.result(), "offset", None)
        except (KafkaException, ValueError, CancelledError):
            return None
        if not isinstance(offset, int):
            return None
        return offset if offset >= 0 else end

    def offsets(self) -> dict[At, int | None]:
        """Return :meth:`offset` of every partition."""
        return {at: self.offset(at) for at in self._answers}


class Barrier:
    """Reads high watermarks. One AdminClient for its life: a temporary one fails its futures."""

    def __init__(self, admin: AdminClient, *, timeout_seconds: float) -> None:
        self._admin = admin
        self._timeout = timeout_seconds

    def ask(self, partitions: Iterable[At]) -> Asked:
        """Begin to read the high watermarks of these partitions."""
        return asked(self._admin, partitions, OffsetSpec.latest(), self._timeout)

    def read(self, partitions: Iterable[At]) -> Targets:
        """
        Return where the state must be read to, for a batch that **was taken before** this call.

        Blocks up to the time-out and :data:`LATE_SECONDS`. A partition whose leader does not answer
        by then is unreachable, never reached.
        """
        question = self.ask(partitions)
        question.wait()
        targets = Targets()
        for at, offset in question.offsets().items():
            if offset is None:
                targets.unreachable.add(at)
            else:
                targets.offsets[at] = offset
        return targets


def asked(
    admin: AdminClient, partitions: Iterable[At], spec: OffsetSpec, timeout_seconds: float
) -> Asked:
    """Begin to read an offset of each of these partitions, whatever transactions are open there."""
    wanted = {TopicPartition(at.topic, at.partition): spec for at in partitions}
    if not wanted:
        return Asked({}, 0.0)
    answers = admin.list_offsets(
        wanted,
        isolation_level=IsolationLevel.READ_UNCOMMITTED,
        request_timeout=timeout_seconds,
    )
    return Asked(
        {At(tp.topic, tp.partition): answer for tp, answer in answers.items()},
        timeout_seconds + LATE_SECONDS,
    )
