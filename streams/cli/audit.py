"""``consent-gate audit verify``: prove that no decision was changed, removed or added."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from streams.audit.heads import read_heads, write_heads
from streams.audit.since import moment
from streams.audit.topic_log import Progress as OffsetsDone
from streams.audit.verify import PartitionReport
from streams.audit.verify_in_processes import processes_for, verify_in_processes
from streams.audit.verify_topics import verify_topics
from streams.cli.context import settings_of
from streams.cli.progress import progress_shown
from streams.codec.codec import open_codecs
from streams.errors import ProofBroken
from streams.sealing.keyring import open_verifier
from streams.topology import Topic

audit_app = typer.Typer(no_args_is_help=True, help="Prove that no decision was changed.")


@audit_app.callback()
def _audit() -> None:
    """Keep ``verify`` a sub-command: a lone command would take its group's place."""


@audit_app.command()
def verify(
    ctx: typer.Context,
    heads: Annotated[
        Path | None,
        typer.Option(
            help="Heads filed earlier, to compare with.",
            exists=True,
            dir_okay=False,
            metavar="FILE",
        ),
    ] = None,
    partition: Annotated[
        int | None, typer.Option(help="Only this partition.", min=0, metavar="N")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Only from then on: 24h, 7d, or a day (2026-01-31).", metavar="WHEN"),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="How many processes. By default as many as pay here, at most one a core.",
            min=1,
            metavar="N",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything as JSON, not only the heads.")
    ] = False,
) -> None:
    """
    Walk the chains of decisions and of the consent ledger, and print their heads.

    The heads go to standard output, a line each: file them where nobody who can write to Kafka can
    write, and name that file with --heads the next time. Only a filed head shows that the end of a
    chain was cut off. Public signing keys are enough; no secret is read.

    Ends with 10 when something was changed, removed or added, and names the first such record.
    """
    settings = settings_of(ctx).settings
    filed = read_heads(heads) if heads is not None else []
    begin = moment(since, int(time.time() * 1000)) if since is not None else None
    verifier = open_verifier(settings.secrets_dir)
    codecs = open_codecs(settings.schema_registry_url, settings.schema_registry, settings.names)
    if jobs is None:
        jobs = processes_for(settings, partition)
    with progress_shown() as shown:

        def watch(topic: Topic, number: int, offsets: int) -> OffsetsDone:
            task = shown.add_task(f"{topic.name} {number}", total=offsets)
            return lambda done: shown.advance(task, done)

        if jobs > 1:
            reports = verify_in_processes(
                settings, jobs, filed=filed, only_partition=partition, since=begin, watch=watch
            )
        else:
            reports = list(
                verify_topics(
                    settings,
                    codecs,
                    verifier,
                    filed=filed,
                    only_partition=partition,
                    since=begin,
                    watch=watch,
                )
            )
    if as_json:
        typer.echo(json.dumps([_plain(report) for report in reports], indent=2))
    else:
        _table(reports, compared=heads is not None)
        sound = (r.head for r in reports if r.finding is None and r.head is not None)
        typer.echo(write_heads(sound), nl=False)
    findings = [report.finding.text for report in reports if report.finding is not None]
    if findings:
        raise ProofBroken("The chain does not hold.\n" + "\n".join(findings))


def _table(reports: list[PartitionReport], *, compared: bool) -> None:
    """Show what was found, on standard error: standard output is for the heads."""
    table = Table(
        "topic",
        "partition",
        "records",
        "sequences",
        "gone by retention",
        "",
        box=None,
        pad_edge=False,
    )
    for report in reports:
        first = report.first_sequence
        sequences = "-" if first is None else f"{first} to {first + report.records - 1}"
        verdict = "holds" if report.finding is None else f"{report.finding.damage.value}"
        table.add_row(
            report.topic,
            str(report.partition),
            f"{report.records:,}",
            sequences,
            f"{report.gone:,}",
            verdict,
        )
    width = None if sys.stderr.isatty() else 120
    console = Console(stderr=True, width=width, markup=False, highlight=False)
    console.print(table)
    if not compared:
        console.print("Not compared with filed heads (--heads): an end cut off would not show.")


def _plain(report: PartitionReport) -> dict[str, Any]:
    def factory(fields: list[tuple[str, Any]]) -> dict[str, Any]:
        return {k: v.value if isinstance(v, Enum) else v for k, v in fields}

    return asdict(report, dict_factory=factory) | {"holds": report.finding is None}
