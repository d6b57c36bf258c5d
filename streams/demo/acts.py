"""What the day is made of: single records, as they are written, and what should come of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, assert_never

from streams.codec.codec import Codecs
from streams.errors import DeadLetter
from streams.records.decisions import Outcome
from streams.records.record import Record
from streams.sealing.subject_ids import SubjectIds
from streams.topology import Topic


class Fate(Enum):
    """How a request ends: exactly one of these."""

    ALLOWED = "ALLOWED"
    QUARANTINED = "QUARANTINED"
    DROPPED = "DROPPED"
    DEAD_LETTERED = "DEAD_LETTERED"

    @classmethod
    def of(cls, verdict: Outcome) -> Fate:
        """Give the fate that a decision is."""
        match verdict:
            case Outcome.ALLOWED:
                return cls.ALLOWED
            case Outcome.QUARANTINED:
                return cls.QUARANTINED
            case Outcome.DROPPED:
                return cls.DROPPED
            case _:
                assert_never(verdict)


@dataclass(frozen=True, slots=True)
class Expected:
    """
    What the default policy must make of a request.

    ``because`` is the basis of an allowed one, all reasons of a dropped or quarantined one, the
    cause of a dead letter.
    """

    fate: Fate
    because: tuple[str, ...]


def allowed(basis: str) -> Expected:
    """Expect that it passes on this basis."""
    return Expected(Fate.ALLOWED, (basis,))


def dropped(*reasons: str) -> Expected:
    """Expect that it is dropped for exactly these reasons, the severest first."""
    return Expected(Fate.DROPPED, reasons)


def held(*reasons: str) -> Expected:
    """Expect that it is quarantined for exactly these reasons."""
    return Expected(Fate.QUARANTINED, reasons)


def dead(error: type[DeadLetter]) -> Expected:
    """Expect that nobody can judge it, and why."""
    return Expected(Fate.DEAD_LETTERED, (error.cause,))


@dataclass(frozen=True, slots=True, repr=False)
class Act(Record):
    """
    One record of the day.

    ``record`` is what ``value`` says, None where the bytes say nothing. ``partition`` None means
    where the key belongs. An act with ``after`` is not written before Kafka has acknowledged the
    act that has this ``label``, or the event that a worker makes of the act that ``causes`` it.
    ``expected`` is set for requests, and only for them.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("topic", "label", "after", "causes", "expected")

    topic: Topic
    key: bytes | None
    value: bytes | None
    record: Record | None = None
    partition: int | None = None
    label: str | None = None
    after: str | None = None
    causes: str | None = None
    expected: Expected | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Setting(Record):
    """
    Where and when the day is played: all it depends on besides its size and its seed.

    ``now_ms`` is when it begins, ``partitions`` how many ``sms.requested`` has.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("run", "now_ms", "partitions")

    run: int
    now_ms: int
    partitions: int
    codecs: Codecs
    subject_ids: SubjectIds

    def named(self, name: str) -> str:
        """Give an id that no other run has."""
        return f"demo-{self.run:06d}-{name}"
