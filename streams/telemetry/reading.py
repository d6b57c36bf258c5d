"""
One gate as its own endpoints show it: ``/metrics`` and ``/readyz`` read back into plain values.

Pure: the texts come in, :class:`Summary` goes out. ``consent-gate status`` fetches and draws.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from streams.telemetry import metrics
from streams.telemetry.series import Instrument

Labels = tuple[tuple[str, str], ...]
"""Label names and values, sorted by name."""


@dataclass(frozen=True, slots=True)
class Reading:
    """
    Every sample of one scrape, and the answer of ``/readyz``.

    ``at`` is the reader's monotonic clock in seconds.
    """

    at: float
    samples: Mapping[str, Mapping[Labels, float]]
    readiness: Mapping[str, Any]

    @classmethod
    def parse(cls, at: float, metrics_text: str, readyz_text: str) -> Reading:
        """Read both texts. Raises ValueError when they are not what a gate answers."""
        samples: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(metrics_text):
            for sample in family.samples:
                labels = tuple(sorted(sample.labels.items()))
                samples.setdefault(sample.name, {})[labels] = float(sample.value)
        readiness = json.loads(readyz_text)
        if metrics.REQUESTS.name not in samples or "ready" not in readiness:
            raise ValueError("these are not the metrics of a gate")
        return cls(at, samples, readiness)

    def by(self, instrument: Instrument, *names: str) -> dict[tuple[str, ...], float]:
        """Return a metric's samples that are not 0, summed by the values of these labels."""
        sums: dict[tuple[str, ...], float] = {}
        for labels, value in self.samples.get(instrument.name, {}).items():
            given = dict(labels)
            key = tuple(given[name] for name in names)
            if value:
                sums[key] = sums.get(key, 0.0) + value
        return sums

    def total(self, instrument: Instrument) -> float:
        """Return the sum of all series of a metric."""
        return sum(self.samples.get(instrument.name, {}).values())

    def follows(self, earlier: Reading) -> bool:
        """Whether the gate was not started again since ``earlier``: no counter fell."""
        return self.total(metrics.REQUESTS) >= earlier.total(metrics.REQUESTS)

    def buckets(self, instrument: Instrument) -> dict[float, float]:
        """Return a histogram's cumulative counts by upper bound, its series summed."""
        counts: dict[float, float] = {}
        for labels, value in self.samples.get(f"{instrument.name}_bucket", {}).items():
            bound = float(dict(labels)["le"])
            counts[bound] = counts.get(bound, 0.0) + value
        return dict(sorted(counts.items()))


@dataclass(frozen=True, slots=True)
class Lag:
    """
    How far something is behind: a state topic by its worst partition; requests, all that wait and
    the oldest.
    """

    records: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Summary:
    """
    What a person wants to know of one gate.

    Counts are since its start; rates and quantiles over the last ``window_seconds``, or if that is
    None the quantiles since its start and the rates unknown. Seconds throughout.
    """

    ready: bool
    not_ready_because: tuple[str, ...]
    policy_version: str | None
    policy_since: str | None
    window_seconds: float | None
    requests: int
    requests_per_second: float | None
    verdicts: dict[str, dict[str, int]]
    blocks: dict[str, int]
    holds: dict[str, int]
    faults: dict[str, int]
    dead_letters: dict[str, dict[str, int]]
    lost: dict[str, int]
    latency_p50: float | None
    latency_p99: float | None
    barrier_wait_p50: float | None
    barrier_wait_p99: float | None
    transactions: dict[str, int]
    assigned: tuple[int, ...]
    stalled: dict[str, list[int]]
    state_lag: dict[str, Lag]
    request_lag: Lag
    waiting_holds: dict[str, int]
    overdue_holds_seconds: float
    restoring: dict[int, float] = field(default_factory=dict)


def summarise(now: Reading, earlier: Reading | None = None) -> Summary:
    """
    Sum up a reading; with an ``earlier`` one, which it follows, also what happened in between.
    """
    window = None if earlier is None else now.at - earlier.at
    rate = None
    if earlier is not None and window:
        rate = (now.total(metrics.REQUESTS) - earlier.total(metrics.REQUESTS)) / window
    policy = now.readiness.get("policy") or {}
    partitions: Mapping[str, Mapping[str, Any]] = now.readiness.get("partitions", {})
    stalled: dict[str, list[int]] = {}
    for number, partition in partitions.items():
        if partition["state"] == "stalled":
            stalled.setdefault(partition["cause"], []).append(int(number))
    return Summary(
        ready=bool(now.readiness["ready"]),
        not_ready_because=tuple(now.readiness.get("reasons", ())),
        policy_version=policy.get("version"),
        policy_since=policy.get("since"),
        window_seconds=window,
        requests=round(now.total(metrics.REQUESTS)),
        requests_per_second=rate,
        verdicts=_nested(now.by(metrics.DECISIONS, "purpose", "verdict")),
        blocks=_reasons(now, "block"),
        holds=_reasons(now, "hold"),
        faults=_reasons(now, "fault"),
        dead_letters=_nested(now.by(metrics.DEAD_LETTERS, "topic", "cause")),
        lost={topic: round(n) for (topic,), n in now.by(metrics.LOST_RECORDS, "topic").items()},
        latency_p50=_quantile(0.5, metrics.DECISION_LATENCY, now, earlier),
        latency_p99=_quantile(0.99, metrics.DECISION_LATENCY, now, earlier),
        barrier_wait_p50=_quantile(0.5, metrics.BARRIER_WAIT, now, earlier),
        barrier_wait_p99=_quantile(0.99, metrics.BARRIER_WAIT, now, earlier),
        transactions={
            result: round(n) for (result,), n in now.by(metrics.TRANSACTIONS, "result").items()
        },
        assigned=tuple(sorted(int(number) for number in partitions)),
        stalled=stalled,
        state_lag=_lag(now),
        request_lag=Lag(
            round(now.total(metrics.REQUEST_LAG_RECORDS)),
            max(now.samples.get(metrics.REQUEST_LAG_SECONDS.name, {}).values(), default=0.0),
        ),
        waiting_holds={
            reason: round(n) for (reason,), n in now.by(metrics.WAITING_HOLDS, "reason").items()
        },
        overdue_holds_seconds=max(
            now.samples.get(metrics.OVERDUE_HOLDS_SECONDS.name, {}).values(), default=0.0
        ),
        restoring={
            int(number): float(partition["restored"])
            for number, partition in partitions.items()
            if "restored" in partition
        },
    )


def quantile(wanted: float, cumulative: Iterable[tuple[float, float]]) -> float | None:
    """
    Estimate a quantile of a histogram as Prometheus' ``histogram_quantile`` does.

    Linear within a bucket; the last finite bound for what lies above it; None without values.
    """
    buckets = list(cumulative)
    if not buckets or not buckets[-1][1]:
        return None
    rank = wanted * buckets[-1][1]
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank and count > below:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = (lower if math.isinf(bound) else bound), count
    return lower


def _quantile(
    wanted: float, histogram: Instrument, now: Reading, earlier: Reading | None
) -> float | None:
    counts = now.buckets(histogram)
    before = earlier.buckets(histogram) if earlier is not None else {}
    return quantile(wanted, [(bound, n - before.get(bound, 0.0)) for bound, n in counts.items()])


def _reasons(now: Reading, kind: str) -> dict[str, int]:
    counts = now.by(metrics.REASONS, "kind", "reason")
    found = {reason: round(n) for (of, reason), n in counts.items() if of == kind}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _nested(counts: Mapping[tuple[str, ...], float]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (outer, inner), count in sorted(counts.items()):
        nested.setdefault(outer, {})[inner] = round(count)
    return nested


def _lag(now: Reading) -> dict[str, Lag]:
    worst: dict[str, Lag] = {}
    seconds = now.samples.get(metrics.STATE_LAG_SECONDS.name, {})
    for labels, records in now.samples.get(metrics.STATE_LAG_RECORDS.name, {}).items():
        topic = dict(labels)["topic"]
        lag = worst.get(topic, Lag(0, 0.0))
        worst[topic] = Lag(
            max(lag.records, round(records)), max(lag.seconds, seconds.get(labels, 0.0))
        )
    return dict(sorted(worst.items()))
