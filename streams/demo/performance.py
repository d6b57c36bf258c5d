"""A performance: the day is played, its outcomes are awaited, and both are timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from streams.codec.codec import Codecs
from streams.config import Settings
from streams.demo.acts import Act
from streams.demo.day import Day
from streams.demo.eve import entries_of
from streams.demo.outcomes import Outcomes, Place
from streams.demo.player import Played, Player
from streams.errors import Retry
from streams.records.events import ConsentEvent
from streams.records.record import Record
from streams.topology import CONSENT_EVENTS, SMS_REQUESTED

STEADY_PER_SECOND: Final = 2_000
"""The pace of the steady part, in records. Latency at a gate's limit would only measure a queue."""

_PATIENCE_SECONDS: Final = 60.0
"""Longer than the longest documented takeover between two gates."""

_TELL_SECONDS: Final = 0.1
_WAIT_SECONDS: Final = 0.002
"""How long the loop waits for an outcome before it writes again: bounds how even the pace is."""

Watch = Callable[[str, int, int], None]
"""Told what is being played, how many outcomes there are and how many there will be."""


@dataclass(frozen=True, slots=True)
class Measured:
    """
    What was measured.

    Latency, in milliseconds: from the broker's append time of a request of the steady part to the
    moment at which a read-committed reader had its decision or dead letter; every one of them.
    Replies: from the append of a STOP to the moment at which its withdrawal could be read.
    Rate: the requests of the rush, by the time from the append of its first to the arrival of its
    last outcome. All with producer, reader, gate, worker and broker wherever they happen to run.
    """

    steady_requests: int
    steady_per_second: float
    latency_p50_ms: float
    latency_p99_ms: float
    latency_max_ms: float
    replies: int
    reply_p50_ms: float
    reply_max_ms: float
    rush_requests: int
    rush_seconds: float

    @property
    def rush_per_second(self) -> float:
        """Decided requests a second."""
        return self.rush_requests / self.rush_seconds


@dataclass(frozen=True, slots=True, repr=False)
class Performance(Record):
    """What was played, in the order of acknowledgement, and what was measured."""

    SHOWN: ClassVar[tuple[str, ...]] = ("measured",)

    played: tuple[Played, ...]
    measured: Measured


def perform(
    settings: Settings,
    codecs: Codecs,
    day: Day,
    *,
    watch: Watch = lambda part, there, expected: None,
    check: Callable[[], None] = lambda: None,
) -> Performance:
    """
    Play the day and wait until everything in it has its outcome.

    ``check`` is called now and then and may raise. Raises :class:`Retry` when nothing is decided
    for a minute.
    """
    with Outcomes(settings, codecs) as outcomes:
        player = Player(settings)
        acting = _Acting(player, outcomes, watch, check)
        acting.eve(day.eve)
        steady = acting.requests("the day", day.steady, STEADY_PER_SECOND)
        rush = acting.requests("the rush", day.rush, None)
        measured = _measured(steady, rush, acting.arrived_at, acting.reply_latencies_ms())
        return Performance((*player.played, *acting.withdrawals), measured)


class _Acting:
    """
    One loop for writing and for reading: neither waits for the other.

    ``withdrawals`` are the events that a worker made of the replies, as if they had been played.
    """

    def __init__(
        self, player: Player, outcomes: Outcomes, watch: Watch, check: Callable[[], None]
    ) -> None:
        self._player = player
        self._outcomes = outcomes
        self._watch = watch
        self._check = check
        self.withdrawals: list[Played] = []

    def eve(self, acts: Sequence[Act]) -> None:
        """
        Play the eve until the workers have split its uploads and the gates have folded the rest.

        Only then is a STOP that was written to the wrong partition where it belongs: that takes the
        gate that finds it, and is no part of what is guaranteed for a STOP just acknowledged.
        """
        said = {act.record.event_id for act in acts if isinstance(act.record, ConsentEvent)}
        unreadable = sum(act.topic is CONSENT_EVENTS and act.record is None for act in acts)
        listed = {entry for act in acts for entry in entries_of(act)}

        def missing() -> int:
            dead = sum(
                _consent_place(each) in self._outcomes.dead
                for each in self._player.played
                if each.act.topic is CONSENT_EVENTS and each.act.record is None
            )
            unsplit = len(listed - self._outcomes.entries)
            return len(said - self._outcomes.ledgered) + unsplit + unreadable - dead

        self._play("the eve", acts, None, len(said) + len(listed) + unreadable, missing)

    def requests(self, part: str, acts: Sequence[Act], per_second: float | None) -> list[Played]:
        """Play a part of the day until each of its requests has its outcome; return those."""
        before = len(self._player.played)
        expected = sum(act.topic is SMS_REQUESTED for act in acts)
        asked: list[Played] = []

        def missing() -> int:
            asked[:] = [
                each for each in self._player.played[before:] if each.act.topic is SMS_REQUESTED
            ]
            return expected - sum(self.arrived_at(each) is not None for each in asked)

        self._play(part, acts, per_second, expected, missing)
        return asked

    def reply_latencies_ms(self) -> list[float]:
        """How long each reply took until its withdrawal could be read, the quickest first."""
        replied = {
            each.act.causes: each.appended_at
            for each in self._player.played
            if each.act.causes is not None
        }
        heard = self._outcomes.heard
        return sorted(heard[name].heard_at - at for name, at in replied.items() if name in heard)

    def arrived_at(self, request: Played) -> float | None:
        """When the request's outcome could first be read."""
        place = Place(SMS_REQUESTED.name, request.partition, request.offset)
        return self._outcomes.decided.get(place, self._outcomes.dead.get(place))

    def _play(
        self,
        part: str,
        acts: Iterable[Act],
        per_second: float | None,
        expected: int,
        missing: Callable[[], int],
    ) -> None:
        acts = list(acts)
        self._player.begin(acts, per_second)
        pending = {act.causes for act in acts if act.causes is not None}
        still = expected
        moved_at = told_at = time.monotonic()

        def count() -> None:
            nonlocal still, moved_at
            self._outcomes.read()
            before, still = still, missing()
            if still < before:
                moved_at = time.monotonic()

        while still:
            self._player.step()
            self._outcomes.take(_WAIT_SECONDS)
            now = time.monotonic()
            if pending:
                self._outcomes.read()
                self._release(pending)
            if self._player.writing:
                moved_at = now
            elif self._outcomes.unread >= still:
                # Not before all that is missing may be there: decoding takes its time.
                count()
            if now > told_at + _TELL_SECONDS:
                told_at = now
                self._check()
                self._watch(part, expected - max(0, still - self._outcomes.unread), expected)
            if now > moved_at + _PATIENCE_SECONDS:
                count()
                if now > moved_at + _PATIENCE_SECONDS:
                    raise Retry(
                        f"For {_PATIENCE_SECONDS:.0f} s no outcome has come, and {still:,} of "
                        f"{part} are missing. Do a gate and a worker run there, and are they "
                        "ready? `consent-gate status --url http://…` tells."
                    )
        self._watch(part, expected, expected)

    def _release(self, pending: set[str]) -> None:
        """Let go on what waited for withdrawals that can be read by now."""
        for name in pending & self._outcomes.heard.keys():
            heard = self._outcomes.heard[name]
            pending.remove(name)
            act = Act(CONSENT_EVENTS, heard.key, heard.value, heard.event, label=name)
            self.withdrawals.append(
                Played(
                    act=act,
                    partition=heard.partition,
                    offset=heard.offset,
                    appended_at=heard.appended_at,
                    sent_ns=heard.heard_ns,
                    acknowledged_ns=heard.heard_ns,
                )
            )
            self._player.release(name)


def _measured(
    steady: Sequence[Played],
    rush: Sequence[Played],
    arrived_at: Callable[[Played], float | None],
    replies: Sequence[float],
) -> Measured:
    latencies = sorted(
        at - each.appended_at for each in steady if (at := arrived_at(each)) is not None
    )
    sent = [each.sent_ns for each in steady]
    arrivals = [at for each in rush if (at := arrived_at(each)) is not None]
    return Measured(
        steady_requests=len(latencies),
        steady_per_second=len(sent) / max((max(sent) - min(sent)) / 1e9, 1e-3),
        latency_p50_ms=latencies[len(latencies) // 2],
        latency_p99_ms=latencies[len(latencies) * 99 // 100],
        latency_max_ms=latencies[-1],
        replies=len(replies),
        reply_p50_ms=replies[len(replies) // 2],
        reply_max_ms=replies[-1],
        rush_requests=len(arrivals),
        rush_seconds=max((max(arrivals) - min(each.appended_at for each in rush)) / 1000, 1e-3),
    )


def _consent_place(played: Played) -> Place:
    return Place(CONSENT_EVENTS.name, played.partition, played.offset)
