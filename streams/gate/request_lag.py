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

from streams.gate.barrier import Asked, Barrier
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
        self._asked: Asked | None = None
        self._waiting: dict[int, tuple[int, int]] = {}
        """Of a partition with requests that wait: the offset of the first, and since when."""

    def ask(self, owned: Iterable[Owned]) -> None:
        """Ask how far the requests of these partitions go, unless an answer is still to come."""
        if self._asked is None:
            self._asked = self._barrier.ask(
                [At(self._requests, each.partition) for each in owned if each.restored]
            )

    def tell(self, owned: Iterable[Owned], now_ms: int) -> None:
        """
        Move the gauges of the partitions that are still here, once everybody has answered.

        Who does not answer in time is asked again on the next tick.
        """
        if self._asked is None or not self._asked.over:
            return
        asked, self._asked = self._asked, None
        for each in owned:
            end = asked.offset(At(self._requests, each.partition))
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
