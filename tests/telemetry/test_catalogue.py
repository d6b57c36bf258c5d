"""The catalogue is complete, documented, and keeps apart what must not be mixed up."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streams.config import LogLevel
from streams.telemetry import catalogue as facts
from streams.telemetry.catalogue import FACTS
from streams.telemetry.document import metrics_page
from streams.telemetry.fact import Fact
from streams.telemetry.metrics import METRICS
from streams.telemetry.series import Instrument, Kind, LabelValue, Series
from streams.telemetry.telemetry import Telemetry
from tests.telemetry.examples import EXAMPLES, HOT, PURPOSES

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
BASE_UNITS = ("_seconds", "_bytes", "_records", "_partitions", "_ratio", "_info")


class Watched(Series):
    """Series that remember which metrics were moved."""

    def __init__(self) -> None:
        super().__init__(METRICS)
        self.moved: set[Instrument] = set()

    def add(self, counter: Instrument, amount: float, *labels: LabelValue) -> None:
        self.moved.add(counter)
        super().add(counter, amount, *labels)

    def set(self, gauge: Instrument, value: float, *labels: LabelValue) -> None:
        self.moved.add(gauge)
        super().set(gauge, value, *labels)

    def set_only(self, gauge: Instrument, value: float, *labels: LabelValue) -> None:
        self.moved.add(gauge)
        super().set_only(gauge, value, *labels)

    def observe_all(
        self, histogram: Instrument, values: Any, scale: float, *labels: LabelValue
    ) -> None:
        self.moved.add(histogram)
        super().observe_all(histogram, values, scale, *labels)

    def place(self, members: Instrument, partition: int, *labels: LabelValue) -> None:
        self.moved.add(members)
        super().place(members, partition, *labels)

    def displace(self, members: Instrument, partition: int) -> None:
        self.moved.add(members)
        super().displace(members, partition)

    def forget_partition(self, gauge: Instrument, partition: int) -> None:
        self.moved.add(gauge)
        super().forget_partition(gauge, partition)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.__name__)
def test_each_fact_moves_the_metrics_it_declares_and_no_other(fact: type[Fact]) -> None:
    series = Watched()
    examples = [example for example in EXAMPLES if type(example) is fact]

    for example in examples:
        example.record(series)

    assert examples, "tests/telemetry/examples.py has no example of it"
    assert series.moved == set(fact.METRICS)


@pytest.mark.parametrize("instrument", METRICS, ids=lambda instrument: instrument.name)
def test_each_metric_is_explained_moved_and_named_by_convention(instrument: Instrument) -> None:
    assert re.fullmatch(r"consent_gate(_[a-z]+)+", instrument.name)
    assert instrument.name.endswith("_total") == (instrument.kind is Kind.COUNTER)
    if instrument.kind is Kind.HISTOGRAM:
        assert instrument.name.endswith(BASE_UNITS)
        assert list(instrument.bounds) == sorted(set(instrument.bounds)) != []
    assert instrument.help.endswith(".")
    assert any(instrument in fact.METRICS for fact in FACTS)
    assert len({label.name for label in instrument.labels}) == len(instrument.labels)


def test_the_names_of_metrics_and_events_are_unique() -> None:
    assert len({instrument.name for instrument in METRICS}) == len(METRICS)
    assert len({fact.event() for fact in FACTS}) == len(FACTS)


def test_every_example_moves_only_series_of_closed_labels(telemetry: Telemetry) -> None:
    for example in EXAMPLES:
        telemetry.emit(example)

    for instrument in METRICS:
        if instrument.kind in (Kind.COUNTER, Kind.GAUGE):
            for values in telemetry.values(instrument):
                for label, value in zip(instrument.labels, values, strict=True):
                    assert label.close(value, PURPOSES) == value


def test_blocked_dead_lettered_and_lost_share_no_metric() -> None:
    apart = (facts.VerdictsGiven, facts.ReasonsGiven, facts.DeadLettered, facts.RecordsLost)

    moved = [instrument for fact in apart for instrument in fact.METRICS]

    assert len(moved) == len(set(moved))


@pytest.mark.parametrize("fact", HOT, ids=lambda fact: type(fact).__name__)
def test_what_is_emitted_for_every_batch_writes_no_line(
    fact: Fact, telemetry: Telemetry, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    telemetry.emit(fact)

    assert lines() == []


def test_a_line_has_the_fact_s_name_level_and_fields(
    telemetry: Telemetry, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    rare = [example for example in EXAMPLES if example not in HOT]

    for example in rare:
        telemetry.emit(example)

    for example, line in zip(rare, lines(), strict=True):
        assert isinstance(example.LEVEL, LogLevel)
        assert (line["event"], line["level"]) == (example.event(), example.LEVEL.value)
        assert line.items() >= json.loads(json.dumps(example.line())).items()


def test_the_page_is_what_the_catalogue_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == metrics_page(), (
        "run: python -m streams.telemetry.document > docs/metrics.md"
    )


def test_the_page_names_every_fact_and_every_metric() -> None:
    page = metrics_page()

    assert [fact for fact in FACTS if f"| `{fact.__name__}` |" not in page] == []
    assert [instrument for instrument in METRICS if f"### `{instrument.name}`" not in page] == []
