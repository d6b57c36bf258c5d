"""A gate or a worker in the foreground: its signals, what it serves, and how its end is told."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from streams.errors import ConsentGateError, Retry
from streams.telemetry.catalogue import ErrorMet
from streams.telemetry.fact import Fact
from streams.telemetry.health import Health
from streams.telemetry.http import TelemetryServer
from streams.telemetry.labels import StopCause
from streams.telemetry.telemetry import Telemetry


class Ending:
    """
    Whether SIGTERM or SIGINT has asked for the end.

    From the moment it is made, which is before there is anything to stop. For the main thread.
    """

    def __init__(self) -> None:
        self._asked_at: float | None = None
        self._stop: Callable[[], None] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def stops(self, stop: Callable[[], None]) -> None:
        """Name what is called at each signal from now on. It runs in the handler: it only asks."""
        self._stop = stop

    def asked(self) -> bool:
        """Say whether a signal has come."""
        return self._asked_at is not None

    def seconds_since_asked(self) -> float:
        """Return how long ago the first signal came; 0 if none has."""
        return 0.0 if self._asked_at is None else time.monotonic() - self._asked_at

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        if self._asked_at is None:
            self._asked_at = time.monotonic()
        if self._stop is not None:
            self._stop()


@contextmanager
def served(
    telemetry: Telemetry,
    health: Health,
    at: tuple[str, int],
    ending: Ending,
    started: Fact,
    stopped: Callable[[StopCause, float], Fact],
) -> Iterator[None]:
    """
    Serve /metrics, /livez and /readyz at host and port for the length of the block.

    Tells the beginning, an error that leaves the block, and the end with its cause and the seconds
    since it was asked for. A :class:`Retry` after that is no error: what did not answer is not
    waited for any more.
    """
    server = TelemetryServer(telemetry, health, *at)
    cause = StopCause.FAILED
    try:
        print(f"metrics at {server.url}/metrics, readiness at {server.url}/readyz", file=sys.stderr)
        telemetry.emit(started)
        yield
        cause = StopCause.ASKED
    except Retry as error:
        if not ending.asked():
            telemetry.emit(ErrorMet(error))
            raise
        cause = StopCause.ASKED
    except ConsentGateError as error:
        telemetry.emit(ErrorMet(error))
        raise
    finally:
        telemetry.emit(stopped(cause, ending.seconds_since_asked()))
        server.stop()
