"""The batch histogram counts as Prometheus' own does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from streams.telemetry.histogram import BatchHistogram
from streams.telemetry.metrics import DECISION_LATENCY

BOUNDS = DECISION_LATENCY.bounds
# Millisecond bounds are hit exactly now and then: the bound is inclusive.
MILLISECONDS = st.one_of(
    st.integers(0, 100_000), st.sampled_from([round(bound * 1000) for bound in BOUNDS])
)


def counted_by_prometheus(values: list[float]) -> tuple[list[float], float]:
    registry = CollectorRegistry()
    histogram = Histogram("h", "h", buckets=BOUNDS, registry=registry)
    for value in values:
        histogram.observe(value)
    (family,) = registry.collect()
    counts = [sample.value for sample in family.samples if sample.name == "h_bucket"]
    (total,) = [sample.value for sample in family.samples if sample.name == "h_sum"]
    return counts, total


@given(st.lists(st.lists(MILLISECONDS, max_size=50), max_size=5))
def test_batches_count_like_single_observations(batches: list[list[int]]) -> None:
    histogram = BatchHistogram(BOUNDS)

    for batch in batches:
        histogram.observe_all(batch, 1000.0)

    counts, total = counted_by_prometheus([value / 1000 for batch in batches for value in batch])
    buckets, summed = histogram.buckets()
    assert [count for _, count in buckets] == counts
    assert summed == pytest.approx(total)


def test_a_latency_below_zero_counts_as_none() -> None:
    """The broker's clock may be ahead; a sum that falls would look like a restart."""
    histogram = BatchHistogram((1.0, 2.0))

    histogram.observe_all([-5, 1])

    assert histogram.buckets() == ([("1.0", 2.0), ("2.0", 2.0), ("+Inf", 2.0)], 1.0)
