"""
``consent-gate campaigns list|pause|resume``: which campaigns and uploaders are paused.

The worker pauses what is over its limits and never resumes: that is a person's to decide, here. An
uploader is named as the list shows them, ``uploader:`` and a keyed hash; no number is printed.
"""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, NamedTuple
from uuid import uuid4

import typer
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from streams.audit.topic_log import TopicLog
from streams.cli.acknowledged import send
from streams.cli.context import settings_of
from streams.codec.codec import Codecs, open_codecs
from streams.config import Settings
from streams.errors import Stop, Undecodable
from streams.kafka.clients import opened, producer_config
from streams.records.events import Campaign, CampaignState
from streams.state.broadcast import CampaignTable
from streams.topology import CAMPAIGNS

campaigns_app = typer.Typer(
    no_args_is_help=True, help="See, pause and resume campaigns and uploaders."
)

LONGEST_ID: Final = 1_024


class Pause(NamedTuple):
    """A pause that stands. ``record`` is null where what may have been one cannot be read."""

    about: str
    pause_id: str
    record: Campaign | None

    def row(self) -> dict[str, object]:
        """Give it as plain values, for people and scripts."""
        record = self.record
        return {
            "campaign": self.about,
            "pause": self.pause_id,
            "by": record.by if record else None,
            "reason": record.reason if record else "A record that cannot be read: it may be one.",
            "since": _time(record.since) if record else None,
        }


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
CampaignId = Annotated[str, typer.Argument(help="The campaign's id, or an uploader as listed.")]
By = Annotated[
    str | None, typer.Option("--by", help="Who decides it. Default: the name of this login.")
]


@campaigns_app.command("list")
def list_paused(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Print which campaigns and uploaders are paused, by whom and why."""
    found = standing(settings_of(ctx).settings)
    if as_json:
        typer.echo(json.dumps([pause.row() for pause in found], indent=2))
        return
    if not found:
        typer.echo("Nothing is paused.")
        return
    table = Table("campaign", "pause", "by", "reason", "since", box=None, pad_edge=False)
    for pause in found:
        table.add_row(*(str(value or "") for value in pause.row().values()))
    Console(markup=False, highlight=False).print(table)
    typer.echo("\n`consent-gate campaigns resume CAMPAIGN` lets one go on.")


@campaigns_app.command()
def pause(
    ctx: typer.Context,
    campaign: CampaignId,
    reason: Annotated[str, typer.Option("--reason", help="Why; it should name nobody.")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """
    Pause a campaign: from the next batch on the gates hold its messages.

    Returns once every replica in sync has it. What the gate allowed before is not called back.
    """
    settings = settings_of(ctx).settings
    _refuse_odd(campaign)
    paused = Campaign(
        campaign_id=campaign,
        state=CampaignState.PAUSED,
        pause_id=f"person-{uuid4().hex[:12]}",
        resumes=None,
        by=by or getpass.getuser(),
        reason=reason,
        since=_now_ms(),
    )
    _write(settings, f"{campaign}#{paused.pause_id}", paused)
    if as_json:
        typer.echo(json.dumps(Pause(campaign, paused.pause_id or "", paused).row(), indent=2))
    else:
        typer.echo(f"Paused {campaign} (pause {paused.pause_id}).")


@campaigns_app.command()
def resume(
    ctx: typer.Context,
    campaign: CampaignId,
    pause_id: Annotated[
        str | None, typer.Option("--pause", help="End this pause only, as `campaigns list` has it.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="End every pause of the campaign.")
    ] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """
    End a pause of a campaign or an uploader.

    Where several stand, one must be named, or --all. While another one stands, it stays paused. The
    limits count anew from here: what has come until now pauses nothing again.
    """
    settings = settings_of(ctx).settings
    found = [each for each in standing(settings) if each.about == campaign]
    if not found:
        raise Stop(f"No pause of {campaign} stands. See `consent-gate campaigns list`.")
    if pause_id is not None:
        ending = [each for each in found if each.pause_id == pause_id]
        if not ending:
            raise Stop(f"{campaign} has no pause {pause_id}. See `consent-gate campaigns list`.")
    elif everything or len(found) == 1:
        ending = found
    else:
        ids = ", ".join(each.pause_id for each in found)
        raise Stop(f"{campaign} has {len(found)} pauses ({ids}): name one with --pause, or --all.")
    for each in ending:
        ended = Campaign(
            campaign_id=campaign,
            state=CampaignState.ACTIVE,
            pause_id=None,
            resumes=each.pause_id,
            by=by or getpass.getuser(),
            reason=None,
            since=_now_ms(),
        )
        _write(settings, f"{campaign}#{each.pause_id}", ended)
    left = [each.row() for each in found if each not in ending]
    if as_json:
        typer.echo(json.dumps({"ended": [e.row() for e in ending], "standing": left}, indent=2))
        return
    for each in ending:
        typer.echo(f"Ended pause {each.pause_id} of {campaign}.")
    if left:
        typer.echo(f"{campaign} stays paused: {len(left)} more.")


def standing(settings: Settings) -> list[Pause]:
    """Read ``campaigns`` whole and return the pauses that stand, as a gate sees them."""
    codecs = _codecs(settings)
    table = CampaignTable(_nobody)
    records: dict[tuple[str, str], Campaign] = {}
    with TopicLog(settings) as log:
        extent = log.extent(CAMPAIGNS, 0)
        for message in log.read(CAMPAIGNS, 0, extent.start, extent.end):
            value = message.value()
            if value is None:
                continue
            try:
                record = codecs.campaigns.decode(value)
            except Undecodable:
                table.pause_unreadable((message.key() or b"").decode(errors="replace"))
                continue
            table.apply(record)
            if record.state is CampaignState.PAUSED:
                records[record.campaign_id, record.pause_id or ""] = record
    return _named(table.standing(), records)


def _named(
    ids: Mapping[str, tuple[str, ...]], records: Mapping[tuple[str, str], Campaign]
) -> list[Pause]:
    return [
        Pause(about, pause_id, records.get((about, pause_id)))
        for about, pauses in ids.items()
        for pause_id in pauses
    ]


def _nobody(_number: str) -> bytes:
    """No number is looked up here: uploaders are named by their ids."""
    return b""


def _write(settings: Settings, key: str, record: Campaign) -> None:
    producer = opened(Producer, producer_config(settings))
    value = _codecs(settings).campaigns.encode(record)
    send(producer, settings.names.of(CAMPAIGNS), 0, _key(key, record), value, [])


def _key(key: str, record: Campaign) -> bytes:
    """
    Give the key of a pause or its end, which both have.

    A record that cannot be read is ended under the key that it had itself: compaction then removes
    it, else it would pause again at each start of a gate.
    """
    unreadable = "unreadable "
    if record.resumes is not None and record.resumes.startswith(unreadable):
        return record.resumes.removeprefix(unreadable).encode()
    return key.encode()


def _refuse_odd(campaign: str) -> None:
    if not 0 < len(campaign) <= LONGEST_ID:
        raise Stop(f"A campaign's id has 1 to {LONGEST_ID} characters.")
    if "#" in campaign:
        raise Stop("A campaign's id should not contain '#', which keys of pauses are made with.")


def _codecs(settings: Settings) -> Codecs:
    return open_codecs(settings.schema_registry_url, settings.schema_registry, settings.names)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
