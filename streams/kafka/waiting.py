"""Waiting at a start for a Kafka that does not answer yet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from confluent_kafka.admin import AdminClient

from streams.errors import KafkaUnavailable, Retry
from streams.kafka.clients import Complaints
from streams.telemetry.catalogue import ErrorMet
from streams.telemetry.health import Health
from streams.telemetry.telemetry import Telemetry

RETRY_SECONDS: Final = 1.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UntilAnswered:
    """
    Takes a step of a start again and again, telling why and beating, until ``stopping``.

    ``complaints`` are what ``admin`` hears in the background: a login that brokers refuse is not
    waited for, and what else they say is told.
    """

    telemetry: Telemetry
    health: Health
    stopping: Callable[[], bool]
    admin: AdminClient
    complaints: Complaints

    def __call__(self, step: Callable[[], T]) -> T:
        """
        Give what ``step`` comes to.

        Raises its last :class:`Retry` once it is to stop, and :class:`ConfigError` where Kafka
        refuses the login.
        """
        while True:
            self.health.beat()
            try:
                return step()
            except Retry as error:
                self.admin.poll(0)
                refused = self.complaints.refusal()
                if refused is not None:
                    raise refused from error
                if isinstance(error, KafkaUnavailable):
                    told = self.complaints.explaining(error).with_traceback(error.__traceback__)
                    self.telemetry.emit(ErrorMet(told))
                else:
                    self.telemetry.emit(ErrorMet(error))
                if self.stopping():
                    raise
                time.sleep(RETRY_SECONDS)
