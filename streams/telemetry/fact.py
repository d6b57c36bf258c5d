"""What a fact is: something that happened, as one value for the metrics and for the log."""

from __future__ import annotations

import re
from dataclasses import fields
from enum import Enum
from typing import ClassVar

from streams.config import LogLevel
from streams.telemetry.series import Instrument, Series
from streams.topology import Topic


class Fact:
    """
    Something that happened.

    ``METRICS`` are the metrics that :meth:`record` moves, all of them and no other. ``LEVEL`` is
    the level of the log line, None for none. Facts that come in floods set ``EVERY_SECONDS``: of
    those with equal :meth:`flood_key` at most one line is written in that time, and says how many
    were left out before it. One that ends what another began (:meth:`begins`, :meth:`ends`) is
    written if the beginning was, however soon: else the log would say for ever that it lasts.
    """

    __slots__ = ()
    METRICS: ClassVar[tuple[Instrument, ...]] = ()
    LEVEL: ClassVar[LogLevel | None] = None
    EVERY_SECONDS: ClassVar[float] = 0.0

    def record(self, series: Series) -> None:
        """Move the metrics. Called under the lock of the telemetry: quick, and calls nobody."""

    def worth_a_line(self) -> bool:
        """Whether this one is logged, given that its class is."""
        return True

    def flood_key(self) -> tuple[object, ...]:
        """Return what makes two facts of this class the same to a reader of the log."""
        return ()

    def begins(self) -> object:
        """Return what lasts from this fact on, None if nothing does."""
        return None

    def ends(self) -> object:
        """Return what has lasted and is over with this fact, None if nothing is."""
        return None

    def line(self) -> dict[str, object]:
        """Return the fields of the log line: plain values."""
        return {
            field.name: _plain(getattr(self, field.name))
            for field in fields(self)  # type: ignore[arg-type]  # every fact is a dataclass
        }

    @classmethod
    def event(cls) -> str:
        """Return the name of the log event: the class name in snake case."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


def _plain(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case Topic():
            return value.name
        case frozenset():
            return sorted(str(item) for item in value)
        case _:
            return value


def topic_name(topic: Topic | str) -> str:
    return topic.name if isinstance(topic, Topic) else topic
