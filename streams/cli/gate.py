"""``consent-gate gate``: run a gate in the foreground."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from streams import __version__
from streams.cli.context import settings_of
from streams.cli.foreground import Ending, served
from streams.gate.assembly import assembled
from streams.gate.collecting import collect_less
from streams.telemetry.catalogue import GateStarted, GateStopped
from streams.telemetry.health import Health
from streams.telemetry.logs import configure_logging
from streams.telemetry.telemetry import Telemetry


def gate(
    ctx: typer.Context,
    instance_id: Annotated[
        str | None,
        typer.Option(help="This gate's own name, kept over restarts; overrides the settings."),
    ] = None,
) -> None:
    """
    Decide every SMS request on the bus: joined with consent, exactly once, fail closed.

    Runs in the foreground until SIGTERM or SIGINT, and then ends within 5 seconds with everything
    committed or aborted. SIGHUP loads the policy again. Serves /metrics, /livez and /readyz on
    http_host:http_port. Make the keys with `consent-gate init` and the topics with `consent-gate
    topics apply` first. Log lines are JSON on standard error unless that is a terminal.
    """
    settings = settings_of(ctx).settings
    if instance_id is not None:
        settings = settings.model_copy(update={"instance_id": instance_id})
    configure_logging(settings.log_level)
    telemetry = Telemetry()
    health = Health(telemetry)
    ending = Ending()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is a gate that loads at its start
    with (
        served(
            telemetry,
            health,
            (settings.http_host, settings.http_port),
            ending,
            GateStarted(__version__, settings.instance_id or ""),
            GateStopped,
        ),
        assembled(settings, telemetry, health, stopping=ending.asked) as it,
    ):
        ending.stops(it.stop)
        signal.signal(signal.SIGHUP, lambda _signal, _frame: it.reload())
        collect_less()
        if not ending.asked():
            it.run()
