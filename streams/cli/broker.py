"""`consent-gate broker`: the embedded Kafka in the foreground."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal, assert_never

import typer

from streams.broker.cluster import EmbeddedKafka

_CHECK_SECONDS = 0.5


class ClusterSize(StrEnum):
    """How many brokers can be run."""

    ONE = "1"
    THREE = "3"

    @property
    def number(self) -> Literal[1, 3]:
        match self:
            case ClusterSize.ONE:
                return 1
            case ClusterSize.THREE:
                return 3
            case _:
                assert_never(self)


def broker(
    brokers: Annotated[
        ClusterSize, typer.Option(help="Three replicate everything and survive the loss of one.")
    ] = ClusterSize.ONE,
    port: Annotated[
        int,
        typer.Option(
            help="The first broker's port; the others take the next ones. 0: any free ports.",
            min=0,
            max=65_533,
        ),
    ] = 9092,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder that keeps the records for the next start. Without it they are temporary.",
            metavar="DIR",
            file_okay=False,
        ),
    ] = None,
) -> None:
    """
    Run a real Apache Kafka on this machine until Ctrl-C. For trying out, never for production.

    It listens on 127.0.0.1 only. When it is ready, one line on standard output says where, such as
    `bootstrap_servers=127.0.0.1:9092`. The first start downloads 43 MB, once per user.

    It needs Java 17 or newer: JAVA_HOME, `java` on the PATH, or the one that comes with the extra
    `demo` of consent-gate.
    """
    kafka = EmbeddedKafka(brokers.number, port=port or None, data_dir=data)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with suppress(KeyboardInterrupt):
            typer.echo("Starting Apache Kafka …", err=True)
            kafka.start()
            typer.echo("Apache Kafka runs. Ctrl-C stops it.", err=True)
            typer.echo(f"bootstrap_servers={kafka.bootstrap_servers}")
            while True:
                time.sleep(_CHECK_SECONDS)
                kafka.check_running()
    finally:
        kafka.stop()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End the waiting, once: while the brokers stop, a second signal changes nothing."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
