"""How many requests wait in Kafka, and for how long. Pure: no Kafka."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, replace

import pytest
from prometheus_client import CollectorRegistry

from streams.gate.barrier import Asked
from streams.gate.owned import Owned, Phase
from streams.gate.request_lag import RequestLag
from streams.records.subject import Position
from streams.state.log_reader import At
from streams.telemetry import metrics
from streams.telemetry.telemetry import Telemetry

NOW = 1_520_640_000_000


@dataclass
class Ends:
    """Leaders that say how far the request partitions go; None: they do not answer yet."""

    ends: dict[int, int | None]

    seconds: float = 60

    def ask(self, partitions: list[At]) -> Asked:
        self.asked = {at: Future[object]() for at in partitions}
        self.answer()
        return Asked(self.asked, self.seconds)

    def answer(self) -> None:
        for at, future in self.asked.items():
            end = self.ends[at.partition]
            if end is not None:
                future.set_result(End(end))


@dataclass
class End:
    offset: int


class Gate:
    """What the loop does with it on a tick and in the turn after."""

    def __init__(self, **ends: int | None) -> None:
        self.leaders = Ends({int(name[1:]): end for name, end in ends.items()})
        self.telemetry = Telemetry(CollectorRegistry())
        self.lag = RequestLag(self.leaders, "sms.requested", self.telemetry)  # type: ignore[arg-type]
        self.owned = [
            Owned(number, Phase.LIVE, Position(number, request_offset=10))
            for number in self.leaders.ends
        ]

    def tick(self, at_ms: int) -> None:
        self.lag.ask(self.owned)
        self.lag.tell(self.owned, at_ms)

    def decides(self, to: int, appended_at: int) -> None:
        self.owned[0].position = replace(self.owned[0].position, request_offset=to)
        self.owned[0].decided_at = appended_at

    def shown(self) -> dict[int, tuple[float, float]]:
        records = self.telemetry.values(metrics.REQUEST_LAG_RECORDS)
        seconds = self.telemetry.values(metrics.REQUEST_LAG_SECONDS)
        assert records.keys() == seconds.keys()
        return {int(key[0]): (records[key], seconds[key]) for key in records}


def test_what_is_not_decided_yet_is_counted_and_its_age_grows() -> None:
    gate = Gate(p0=12, p1=10)

    gate.tick(NOW)
    assert gate.shown() == {0: (2, 0), 1: (0, 0)}
    gate.leaders.ends[0] = 15
    gate.tick(NOW + 7_000)
    assert gate.shown() == {0: (5, 7), 1: (0, 0)}


def test_a_backlog_is_as_old_as_the_last_request_that_was_decided() -> None:
    gate = Gate(p0=1_000)
    gate.tick(NOW)
    gate.decides(500, NOW - 3_600_000)

    gate.tick(NOW + 1_000)
    assert gate.shown() == {0: (500, 3_601)}
    gate.decides(1_000, NOW - 60_000)
    gate.tick(NOW + 2_000)
    assert gate.shown() == {0: (0, 0)}


def test_what_another_gate_decided_meanwhile_says_nothing_of_the_rest() -> None:
    gate = Gate(p0=1_000)
    gate.tick(NOW)
    gate.owned[0] = Owned(0, Phase.LIVE, Position(0, request_offset=900))

    gate.tick(NOW + 1_000)
    assert gate.shown() == {0: (100, 0)}


def test_a_request_after_a_quiet_hour_has_not_waited_for_an_hour() -> None:
    gate = Gate(p0=10)
    gate.decides(10, NOW - 3_600_000)
    gate.tick(NOW)
    gate.leaders.ends[0] = 11

    gate.tick(NOW + 1_000)
    assert gate.shown() == {0: (1, 0)}


def test_a_partition_whose_position_is_not_known_is_not_guessed_at() -> None:
    gate = Gate(p0=12, p1=12)
    gate.owned[1] = Owned(1)

    gate.tick(NOW)
    assert gate.shown().keys() == {0}


def test_an_answer_that_comes_late_is_waited_for_and_not_asked_for_twice() -> None:
    gate = Gate(p0=None)
    gate.tick(NOW)
    asked = gate.leaders.asked
    gate.tick(NOW + 1_000)
    assert gate.leaders.asked is asked
    assert gate.shown() == {}

    gate.leaders.ends[0] = 13
    gate.leaders.answer()
    gate.lag.tell(gate.owned, NOW + 1_500)
    assert gate.shown() == {0: (3, 0)}


def test_an_answer_that_never_comes_is_asked_for_again() -> None:
    gate = Gate(p0=None, p1=12)
    gate.leaders.seconds = 0
    gate.tick(NOW)
    assert gate.shown() == {1: (2, 0)}

    gate.leaders.ends[0] = 13
    gate.tick(NOW + 1_000)
    assert gate.shown()[0] == (3, 0)


def test_a_leader_that_answers_with_an_error_leaves_the_others_theirs() -> None:
    gate = Gate(p0=None, p1=12)
    gate.lag.ask(gate.owned)
    gate.leaders.asked[At("sms.requested", 0)].set_exception(ValueError())

    gate.lag.tell(gate.owned, NOW)
    assert gate.shown() == {1: (2, 0)}


@pytest.mark.parametrize("clock", [NOW - 5_000, NOW + 5_000])
def test_no_age_is_below_nothing(clock: int) -> None:
    gate = Gate(p0=1_000)
    gate.tick(NOW)
    gate.decides(500, clock)
    gate.tick(NOW)
    assert gate.shown()[0][1] >= 0
