"""``consent-gate state skip-lost``: go on behind requests that were lost, and file the loss."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from streams.audit.topic_log import TopicLog
from streams.cli.context import settings_of
from streams.cli.state_asking import checked_reason, partitions_of, until_stopped
from streams.codec.codec import open_codecs
from streams.errors import PartitionLost
from streams.gate.rebuilding import last_position
from streams.gate.rewriting import rewriting, settle
from streams.kafka.clients import administering
from streams.records.subject import Position
from streams.sealing.keyring import open_keyring
from streams.topology import SMS_REQUESTED


def skip_lost(
    ctx: typer.Context,
    reason: Annotated[
        str, typer.Option(help="Why they were lost; filed, signed.", metavar="REASON")
    ],
    partition: Annotated[
        list[int] | None,
        typer.Option(help="This partition; may be given several times.", min=0, metavar="N"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every partition that lost some.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, for scripts.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON, for scripts.")
    ] = False,
) -> None:
    """
    Let a partition go on whose requests Kafka deleted before a gate had decided them.

    Those requests are lost: they were neither allowed nor blocked, and nobody was told. Their range
    is filed in the ledger, signed, and the partition goes on with the first request that is there.
    Every gate must be stopped; ends with 12 while one is at work. The state is not touched: for
    lost consent events see `consent-gate state rebuild`.
    """
    said = checked_reason(reason)
    settings = settings_of(ctx).settings
    keyring = open_keyring(settings.secrets_dir)
    codecs = open_codecs(settings.schema_registry_url, settings.schema_registry, settings.names)
    reports: list[dict[str, Any]] = []
    with administering(settings) as admin, TopicLog(settings) as log:
        for number in partitions_of(log, partition or [], every=every):
            position, first = _found(log, codecs, number)
            lost = max(0, first - position.request_offset)
            report: dict[str, Any] = {
                "partition": number,
                "first": position.request_offset,
                "end": first,
                "lost_at_most": lost,
                "written": False,
            }
            reports.append(report)
            if not as_json:
                typer.echo(_words(number, position.request_offset, first))
            if dry_run or not lost:
                continue
            if not yes:
                typer.confirm(
                    f"Go on at {first}, and file up to {lost:,} requests of partition {number} as "
                    "lost?",
                    abort=True,
                    err=True,
                )
                until_stopped(admin, settings)
            with rewriting(settings, admin, log, codecs, keyring.signer) as writing:
                writing.alone()
                settle(admin, log, settings, number)
                # Gates may have gone on, and Kafka may have deleted more, while a person thought.
                position, first = _found(log, codecs, number)
                if position.request_offset < first:
                    record = writing.skip_requests(position, first, said)
                    report |= {"first": record.first, "end": record.end, "written": True}
    if as_json:
        typer.echo(json.dumps(reports, indent=2))
    elif any(report["written"] for report in reports):
        typer.echo("Filed. Start the gates.")
    else:
        typer.echo("Nothing was written.")


def _found(log: TopicLog, codecs: Any, partition: int) -> tuple[Position, int]:
    """Give the partition's Position, and the first request that is there."""
    position = last_position(log, codecs, partition)
    if position is None:
        raise PartitionLost(
            f"Partition {partition} has no Position: its state is gone, and that comes first "
            f"(`consent-gate state rebuild --partition {partition} --dry-run`)."
        )
    extent = log.extent(SMS_REQUESTED, partition)
    if position.request_offset > extent.end:
        raise PartitionLost(
            f"{SMS_REQUESTED.name} partition {partition} ends at {extent.end}, before the offset "
            f"{position.request_offset} up to which it was decided: it was made anew. Restore it, "
            "or begin again with another topic_prefix."
        )
    return position, extent.start


def _words(partition: int, decided_to: int, first: int) -> str:
    if first <= decided_to:
        return f"Partition {partition}: no request was lost."
    return (
        f"Partition {partition}: requests {decided_to} to {first - 1} were never decided, and are "
        f"gone. At most {first - decided_to:,}; not every offset holds a request."
    )
