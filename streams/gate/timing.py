"""Where a batch's time goes, told once after it was committed."""

from __future__ import annotations

import time
from collections import Counter

from streams.gate.intake import Taken
from streams.gate.work import Tally, Work
from streams.records.events import ContactKind
from streams.telemetry.catalogue import (
    BatchDecided,
    CandidateJudged,
    ConsentEventsFolded,
    ContactEntriesFolded,
    DeadLettered,
    DecisionLatency,
    MisplacedResent,
    ReasonsGiven,
    RequestsTaken,
    RulesObserved,
    StepTimed,
    VerdictsGiven,
)
from streams.telemetry.labels import Step
from streams.telemetry.telemetry import Telemetry


class Timing:
    """The clock of one batch. Steps follow each other; each ends where the next begins."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._at = time.monotonic()
        self._seconds: Counter[Step] = Counter()

    def done(self, step: Step, since: float | None = None) -> None:
        """The step ends now; it began where the last one ended, or at ``since``."""
        now = time.monotonic()
        self._seconds[step] += int((now - (since or self._at)) * 1_000_000)
        self._at = now

    def before_transaction_step(self, name: str) -> None:
        """A step of the transaction begins: of those only producing is told apart from commit."""
        if name == "offsets":
            self.done(Step.PRODUCE)

    def tell(self, taken: Taken, works: list[Work]) -> None:
        """Move all the metrics that a committed batch moves."""
        emit = self._telemetry.emit
        for step, microseconds in self._seconds.items():
            emit(StepTimed(step, microseconds / 1_000_000))
        requests = sum(len(work.requests) for work in works)
        if requests:
            emit(RequestsTaken(requests))
            emit(BatchDecided(requests, taken.bytes, len(works)))
        tally = Tally()
        for work in works:
            tally.add(work.tally)
        if tally.by_verdict:
            emit(VerdictsGiven(tally.verdicts()))
            emit(ReasonsGiven(tally.reasons()))
        if tally.by_candidate:
            emit(CandidateJudged(tally.candidates()))
        if observed := tally.observed():
            emit(RulesObserved(observed))
        for (topic, cause), count in tally.dead_letters.items():
            emit(DeadLettered(topic, cause, count))
        if tally.consent:
            emit(ConsentEventsFolded(tally.consent))
        for kind, count in tally.contacts.items():
            emit(ContactEntriesFolded(ContactKind(kind), count))
        for topic, count in tally.resent.items():
            emit(MisplacedResent(topic, count))
        now_ms = int(time.time() * 1000)
        latencies = [max(0, now_ms - at_ms) for at_ms in tally.appended_at]
        if latencies:
            emit(DecisionLatency(latencies))
