"""``consent-gate worker``: run a worker in the foreground."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from streams import __version__
from streams.cli.context import settings_of
from streams.cli.foreground import Ending, served
from streams.errors import ConfigError
from streams.telemetry.catalogue import WorkerStarted, WorkerStopped
from streams.telemetry.health import Health
from streams.telemetry.logs import configure_logging
from streams.telemetry.telemetry import Telemetry


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
    ending = Ending()
    with (
        served(
            telemetry,
            health,
            (settings.http_host, settings.worker_http_port),
            ending,
            WorkerStarted(__version__, settings.instance_id or ""),
            WorkerStopped,
        ),
        assembled(settings, telemetry, health, agents=AGENTS, stopping=ending.asked) as it,
    ):
        ending.stops(it.stop)
        if not ending.asked():
            it.run()
