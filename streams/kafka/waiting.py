"""Waiting at a start for a Kafka that does not answer yet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from streams.errors import Retry
from streams.telemetry.catalogue import ErrorMet
from streams.telemetry.health import Health
from streams.telemetry.telemetry import Telemetry

RETRY_SECONDS: Final = 1.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UntilAnswered:
    """Takes a step of a start again and again, telling why and beating, until ``stopping``."""

    telemetry: Telemetry
    health: Health
    stopping: Callable[[], bool]

    def __call__(self, step: Callable[[], T]) -> T:
        """Give what ``step`` comes to. Raises its last :class:`Retry` once it is to stop."""
        while True:
            self.health.beat()
            try:
                return step()
            except Retry as error:
                self.telemetry.emit(ErrorMet(error))
                if self.stopping():
                    raise
                time.sleep(RETRY_SECONDS)
