"""``consent-gate worker``: run a worker in the foreground."""

from __future__ import annotations

import signal
import sys
import time
from importlib.util import find_spec
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from streams import __version__
from streams.cli.context import settings_of
from streams.errors import ConfigError, ConsentGateError, Retry
from streams.telemetry.catalogue import ErrorMet, WorkerStarted, WorkerStopped
from streams.telemetry.health import Health
from streams.telemetry.http import TelemetryServer
from streams.telemetry.labels import StopCause
from streams.telemetry.logs import configure_logging
from streams.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from streams.processors.runtime import Runtime


def worker(
    ctx: typer.Context,
    instance_id: Annotated[
        str | None,
        typer.Option(help="This worker's own name, kept over restarts; overrides the settings."),
    ] = None,
) -> None:
    """
    Turn uploads and replies into the events that the gates join.

    Runs in the foreground until SIGTERM or SIGINT, and then ends within 5 seconds; what it had not
    finished is done again after the next start. Serves /metrics, /livez and /readyz on
    http_host:worker_http_port. Needs the extra `worker`. Make the keys with `consent-gate init` and
    the topics with `consent-gate topics apply` first. Log lines are JSON on standard error unless
    that is a terminal.
    """
    if find_spec("faust") is None:
        raise ConfigError("The worker needs Faust: pip install 'consent-gate[worker]'.")
    from streams.processors.agents import AGENTS
    from streams.processors.library_logs import tame_library_logs
    from streams.processors.runtime import CONDITIONS, assembled

    settings = settings_of(ctx).settings
    if instance_id is not None:
        settings = settings.model_copy(update={"instance_id": instance_id})
    configure_logging(settings.log_level)
    tame_library_logs()
    telemetry = Telemetry()
    health = Health(telemetry, conditions=CONDITIONS)
    running = _Running()
    signal.signal(signal.SIGTERM, running.on_stop)
    signal.signal(signal.SIGINT, running.on_stop)
    server = TelemetryServer(telemetry, health, settings.http_host, settings.worker_http_port)
    cause = StopCause.FAILED
    try:
        print(f"metrics at {server.url}/metrics, readiness at {server.url}/readyz", file=sys.stderr)
        telemetry.emit(WorkerStarted(__version__, settings.instance_id or ""))
        with assembled(settings, telemetry, health, agents=AGENTS, stopping=running.asked) as it:
            running.runtime = it
            if not running.asked():
                it.run()
        cause = StopCause.ASKED
    except Retry as error:
        if not running.asked():
            telemetry.emit(ErrorMet(error))
            raise
        cause = StopCause.ASKED
    except ConsentGateError as error:
        telemetry.emit(ErrorMet(error))
        raise
    finally:
        telemetry.emit(WorkerStopped(cause, running.seconds_since_asked()))
        server.stop()


class _Running:
    """What the signal handlers see."""

    def __init__(self) -> None:
        self.runtime: Runtime | None = None
        self._asked_at: float | None = None

    def asked(self) -> bool:
        return self._asked_at is not None

    def seconds_since_asked(self) -> float:
        return 0.0 if self._asked_at is None else time.monotonic() - self._asked_at

    def on_stop(self, _signal: int, _frame: FrameType | None) -> None:
        if self._asked_at is None:
            self._asked_at = time.monotonic()
        if self.runtime is not None:
            self.runtime.stop()
