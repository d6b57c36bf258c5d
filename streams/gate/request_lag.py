"""
How many requests wait in Kafka, and for how long: told whether or not they can be decided.

The gate's other numbers move once a request is decided. Where it is paused (its state is late, a
person must act) nothing is fetched, and the consumer's own watermark stands still; so the leaders
are asked, on ticks, and answer while the loop goes on. Seconds are told by what is known without
reading a request: when the first of those that wait was seen to wait, or, once one of them was
decided, when that one was appended, by its own timestamp.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future

from streams.gate.barrier import Barrier, answered
from streams.gate.owned import Owned
from streams.state.log_reader import At
from streams.telemetry.catalogue import RequestLag as Told
from streams.telemetry.telemetry import Telemetry


class RequestLag:
    """Asks on ticks, tells when it is answered. Used by the loop's thread only; never blocks."""

    def __init__(self, barrier: Barrier, requests: str, telemetry: Telemetry) -> None:
        self._barrier = barrier
        self._requests = requests
        self._telemetry = telemetry
        self._asked: dict[At, Future[object]] = {}
        self._waiting: dict[int, tuple[int, int]] = {}
        """Of a partition with requests that wait: the offset of the first, and since when."""

    def ask(self, owned: Iterable[Owned]) -> None:
        """Ask how far the requests of these partitions go, unless an answer is still to come."""
        if not self._asked:
            self._asked = self._barrier.ask(
                [At(self._requests, each.partition) for each in owned if each.restored]
            )

    def tell(self, owned: Iterable[Owned], now_ms: int) -> None:
        """Once everybody has answered, move the gauges of the partitions that are still here."""
        if not self._asked or not all(answer.done() for answer in self._asked.values()):
            return
        asked, self._asked = self._asked, {}
        for each in owned:
            answer = asked.get(At(self._requests, each.partition))
            end = None if answer is None else answered(answer)
            if end is not None and each.restored:
                self._tell(each, end, now_ms)

    def _tell(self, owned: Owned, end: int, now_ms: int) -> None:
        number, first = owned.partition, owned.next_request
        if end <= first:
            self._waiting.pop(number, None)
            self._telemetry.emit(Told(number, 0, 0.0))
            return
        seen, since = self._waiting.get(number, (first, now_ms))
        if seen != first:
            since = owned.decided_at or now_ms  # it may have been decided by another gate
        self._waiting[number] = (first, since)
        self._telemetry.emit(Told(number, end - first, max(0, now_ms - since) / 1000))
