"""
A histogram that takes a whole batch of values in one call.

``prometheus_client.Histogram.observe`` costs about a microsecond a value: 4 % of a core at 40,000
messages a second. Here a batch is sorted once and cut at the bounds, which for the nearly sorted
latencies of one batch is five times cheaper (``tests/telemetry/test_histogram.py`` compares the
results of the two).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from prometheus_client.utils import floatToGoString


class BatchHistogram:
    """
    Counts of values by upper bound, and their sum, as Prometheus defines a histogram.

    Not thread-safe. A negative value counts as 0: the broker's clock may be ahead of ours, and a
    sum that falls would look like a restart.
    """

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """``bounds`` are the inclusive upper bounds, ascending, without infinity."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe_all(self, values: Sequence[float], scale: float = 1.0) -> None:
        """
        Take every value, each divided by ``scale`` (1000 turns milliseconds into seconds).

        O(n) for values that are nearly in order, O(n log n) at worst.
        """
        if not values:
            return
        ordered = sorted(values)
        if ordered[0] < 0:
            ordered = [max(value, 0) for value in ordered]
        below = 0
        for index, bound in enumerate(self._bounds):
            cut = bisect_right(ordered, bound * scale, below)
            self._counts[index] += cut - below
            below = cut
            if cut == len(ordered):
                break
        self._counts[-1] += len(ordered) - below
        self._sum += sum(ordered) / scale

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """Return the cumulative counts by upper bound as text, ``+Inf`` last, and the sum."""
        total = 0
        cumulative: list[tuple[str, float]] = []
        for bound, count in zip((*self._bounds, math.inf), self._counts, strict=True):
            total += count
            text: str = floatToGoString(bound)  # type: ignore[no-untyped-call]
            cumulative.append((text, float(total)))
        return cumulative, self._sum
