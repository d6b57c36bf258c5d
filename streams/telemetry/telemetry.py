"""The one mouth of the process: takes facts, moves metrics, writes log lines."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import assert_never

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from streams.config import LogLevel
from streams.telemetry.fact import Fact
from streams.telemetry.logs import get_logger
from streams.telemetry.metrics import METRICS
from streams.telemetry.series import Instrument, Series, Values


class Telemetry:
    """
    The numbers and the log of one process.

    Thread-safe. :meth:`emit` never blocks on anything but a scrape that is being copied (under a
    millisecond) and, where the fact is logged, standard error.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Collect into ``registry``, or into one of its own that also tells of process and Python.

        A registry takes one telemetry. ``clock`` gives seconds and never goes back.
        """
        if registry is None:
            registry = CollectorRegistry()
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)
            GCCollector(registry=registry)
        self.registry = registry
        self._clock = clock
        self._log = get_logger()
        self._lock = threading.Lock()
        self._series = Series(METRICS)
        self._floods: dict[tuple[object, ...], _Flood] = {}
        self._lasting: set[object] = set()
        registry.register(_Collected(self))

    def emit(self, fact: Fact) -> None:
        """Tell one fact: all of its metrics at once, then its log line if it has one."""
        with self._lock:
            fact.record(self._series)
            left_out = self._left_out(fact)
        if fact.LEVEL is None or left_out is None:
            return
        line = fact.line()
        if left_out:
            line["left_out"] = left_out
        match fact.LEVEL:
            case LogLevel.DEBUG:
                self._log.debug(fact.event(), **line)
            case LogLevel.INFO:
                self._log.info(fact.event(), **line)
            case LogLevel.WARNING:
                self._log.warning(fact.event(), **line)
            case LogLevel.ERROR:
                self._log.error(fact.event(), **line)
            case _:
                assert_never(fact.LEVEL)

    def set_purposes(self, purposes: frozenset[str]) -> None:
        """Set the purposes that label values may name; any other one counts as ``other``."""
        with self._lock:
            self._series.register_purposes(purposes)

    def values(self, instrument: Instrument) -> Mapping[Values, float]:
        """Return a copy of what a counter or gauge stands at, by label values."""
        with self._lock:
            return self._series.values(instrument)

    def members(self, instrument: Instrument) -> Mapping[int, Values]:
        """Return a copy of which partition stands under which label values."""
        with self._lock:
            return self._series.members(instrument)

    def collect(self) -> list[Metric]:
        """Return all metrics as they stand between two facts."""
        with self._lock:
            return list(self._series.collect())

    def _left_out(self, fact: Fact) -> int | None:
        """Return how many lines like this one were left out before it; None: leave it out too."""
        if fact.LEVEL is None or not fact.worth_a_line():
            return None
        if (over := fact.ends()) is not None:
            if over not in self._lasting:
                return None
            self._lasting.remove(over)
        if not fact.EVERY_SECONDS:
            return 0
        now = self._clock()
        flood = self._floods.setdefault((type(fact), *fact.flood_key()), _Flood())
        if flood.next_line_at is not None and now < flood.next_line_at:
            flood.left_out += 1
            return None
        left_out, flood.left_out = flood.left_out, 0
        flood.next_line_at = now + fact.EVERY_SECONDS
        if (begun := fact.begins()) is not None:
            self._lasting.add(begun)
        return left_out


class _Flood:
    """When the next line of one kind may be written, and how many were left out since the last."""

    __slots__ = ("left_out", "next_line_at")

    def __init__(self) -> None:
        self.left_out = 0
        self.next_line_at: float | None = None


class _Collected(Collector):
    """What ``prometheus_client`` asks at a scrape."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def collect(self) -> list[Metric]:
        return self._telemetry.collect()

    def describe(self) -> list[Metric]:
        """Name the metrics, so that the registry refuses a second telemetry."""
        return list(Series(METRICS).collect())
