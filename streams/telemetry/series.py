"""
What a metric is, and where its numbers are kept.

A :class:`Label` has a closed set of values, so that no input can make a new series or carry a
person into one (guarantee I7). :class:`Series` holds every number of one process and hands a
consistent picture of all of them to Prometheus. There are no ``prometheus_client`` counters behind
it: one fact often moves several metrics, and a scrape must see all of a fact or none of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, unique
from itertools import product
from typing import assert_never

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from streams.telemetry.histogram import BatchHistogram

OTHER = "other"
"""The label value of everything that is not in a label's closed set."""

LabelValue = str | int | Enum
"""What a fact may give for a label; an enum member stands for its value."""


@dataclass(frozen=True, eq=False, slots=True)
class Label:
    """
    One label and the closed set its values come from.

    Exactly one of three bounds it: ``values``, fixed here; ``from_policy``, the purposes that the
    loaded policy registers; ``pattern``, for what a cluster has a bounded number of (partitions,
    versions). Everything else becomes :data:`OTHER`.
    """

    name: str
    help: str
    values: frozenset[str] = frozenset()
    from_policy: bool = False
    pattern: re.Pattern[str] | None = None

    def close(self, given: LabelValue, purposes: frozenset[str]) -> str:
        """Return the text of ``given`` if it is in the closed set, else :data:`OTHER`."""
        text = str(given.value) if isinstance(given, Enum) else str(given)
        if self.pattern is not None:
            return text if self.pattern.fullmatch(text) else OTHER
        return text if text in (purposes if self.from_policy else self.values) else OTHER


@unique
class Kind(Enum):
    """How the numbers of a metric behave."""

    COUNTER = "counter"
    """Only rises while the process lives."""
    GAUGE = "gauge"
    """The last value given."""
    MEMBERS = "gauge of members"
    """How many partitions stand under each label value; a partition stands under one at a time."""
    HISTOGRAM = "histogram"
    """Counts of values by upper bound."""


@dataclass(frozen=True, eq=False, slots=True)
class Instrument:
    """
    One metric of the catalogue.

    ``starts_at_zero`` makes its series exist before their first event, so that ``increase()`` sees
    that event; it is off where most combinations of label values can never occur.
    ``bounds`` are a histogram's upper bounds in the metric's unit.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[Label, ...] = ()
    starts_at_zero: bool = True
    bounds: tuple[float, ...] = ()


Values = tuple[str, ...]
"""The closed label values of one series, in the order of the instrument's labels."""


class Series:
    """
    The numbers of one process.

    Not thread-safe: :class:`~streams.telemetry.telemetry.Telemetry` holds the lock.
    """

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._purposes: frozenset[str] = frozenset()
        self._values: dict[Instrument, dict[Values, float]] = {}
        self._histograms: dict[Instrument, dict[Values, BatchHistogram]] = {}
        self._members: dict[Instrument, dict[int, Values]] = {}
        for instrument in instruments:
            match instrument.kind:
                case Kind.COUNTER | Kind.GAUGE:
                    self._values[instrument] = {}
                case Kind.MEMBERS:
                    self._members[instrument] = {}
                case Kind.HISTOGRAM:
                    self._histograms[instrument] = {}
                case _:
                    assert_never(instrument.kind)
            if not any(label.from_policy for label in instrument.labels):
                self._start(instrument)

    def register_purposes(self, purposes: frozenset[str]) -> None:
        """Make ``purposes`` the closed set of every label that takes its values from the policy."""
        self._purposes = purposes
        for instrument in (*self._values, *self._histograms):
            if any(label.from_policy for label in instrument.labels):
                self._start(instrument)

    def add(self, counter: Instrument, amount: float, *labels: LabelValue) -> None:
        """Raise a counter. ``amount`` is never negative."""
        if amount < 0:
            raise ValueError(f"{counter.name} is a counter and cannot fall by {-amount}")
        series = self._values[counter]
        key = self._close(counter, labels)
        series[key] = series.get(key, 0.0) + amount

    def set(self, gauge: Instrument, value: float, *labels: LabelValue) -> None:
        """Set a gauge."""
        self._values[gauge][self._close(gauge, labels)] = float(value)

    def set_only(self, gauge: Instrument, value: float, *labels: LabelValue) -> None:
        """Set a gauge and remove every other series of it."""
        self._values[gauge] = {self._close(gauge, labels): float(value)}

    def observe(self, histogram: Instrument, value: float, *labels: LabelValue) -> None:
        """Count one value."""
        self.observe_all(histogram, (value,), 1.0, *labels)

    def observe_all(
        self, histogram: Instrument, values: Sequence[float], scale: float, *labels: LabelValue
    ) -> None:
        """Count every value, each divided by ``scale``."""
        series = self._histograms[histogram]
        key = self._close(histogram, labels)
        if key not in series:
            series[key] = BatchHistogram(histogram.bounds)
        series[key].observe_all(values, scale)

    def place(self, members: Instrument, partition: int, *labels: LabelValue) -> None:
        """Put a partition under these labels, and under no others; idempotent."""
        self._members[members][partition] = self._close(members, labels)

    def displace(self, members: Instrument, partition: int) -> None:
        """Take a partition out; nothing happens if it is not in."""
        self._members[members].pop(partition, None)

    def forget_partition(self, gauge: Instrument, partition: int) -> None:
        """Remove the series of a partition that this process no longer has."""
        at = [label.name for label in gauge.labels].index("partition")
        series = self._values[gauge]
        for key in [key for key in series if key[at] == str(partition)]:
            del series[key]

    def values(self, instrument: Instrument) -> Mapping[Values, float]:
        """Return a copy of the values of a counter or gauge by label values."""
        return dict(self._values[instrument])

    def members(self, instrument: Instrument) -> Mapping[int, Values]:
        """Return a copy of which partition stands under which label values."""
        return dict(self._members[instrument])

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its series as they are now."""
        for instrument, values in self._values.items():
            names = [label.name for label in instrument.labels]
            family: CounterMetricFamily | GaugeMetricFamily
            if instrument.kind is Kind.COUNTER:
                family = CounterMetricFamily(instrument.name, instrument.help, labels=names)
            else:
                family = GaugeMetricFamily(instrument.name, instrument.help, labels=names)
            for key, value in values.items():
                family.add_metric(key, value)
            yield family
        for instrument, members in self._members.items():
            names = [label.name for label in instrument.labels]
            counts = Counter(members.values())
            gauge = GaugeMetricFamily(instrument.name, instrument.help, labels=names)
            for key in {*_combinations(instrument, frozenset()), *counts}:
                gauge.add_metric(key, counts[key])
            yield gauge
        for instrument, histograms in self._histograms.items():
            names = [label.name for label in instrument.labels]
            histogram_family = HistogramMetricFamily(instrument.name, instrument.help, labels=names)
            for key, histogram in histograms.items():
                buckets, total = histogram.buckets()
                histogram_family.add_metric(key, buckets, total)
            yield histogram_family

    def _start(self, instrument: Instrument) -> None:
        if not instrument.starts_at_zero:
            return
        for key in _combinations(instrument, self._purposes):
            if instrument.kind is Kind.HISTOGRAM:
                self._histograms[instrument].setdefault(key, BatchHistogram(instrument.bounds))
            elif instrument.kind is not Kind.MEMBERS:
                self._values[instrument].setdefault(key, 0.0)

    def _close(self, instrument: Instrument, given: tuple[LabelValue, ...]) -> Values:
        return tuple(
            label.close(value, self._purposes)
            for label, value in zip(instrument.labels, given, strict=True)
        )


def _combinations(instrument: Instrument, purposes: frozenset[str]) -> Iterator[Values]:
    """Yield all label values a series can have; none if they are not known beforehand."""
    return product(
        *(sorted(purposes if label.from_policy else label.values) for label in instrument.labels)
    )
