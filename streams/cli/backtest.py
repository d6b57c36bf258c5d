"""``consent-gate backtest``: what another policy would have decided."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as Shown

from streams.audit.backtest import BacktestReport, backtest_topics
from streams.audit.backtest_report import Heading, html_report
from streams.audit.backtest_tables import Table, as_json, tables
from streams.audit.in_processes import cores
from streams.cli.context import settings_of
from streams.cli.progress import watching
from streams.cli.replay import Jobs, Partitions, Until, partitions_of, period
from streams.errors import ConfigError
from streams.policy.policy import Policy, load_policy

_ROWS_SHOWN = 15


def backtest(
    ctx: typer.Context,
    *,
    policy: Annotated[Path, typer.Option(help="The folder of the policy to try.", metavar="DIR")],
    since: Annotated[
        str,
        typer.Option(
            help="Only what was decided from then on: 24h, 7d, or a day (2026-01-31). What came "
            "before is read all the same.",
            metavar="WHEN",
        ),
    ],
    until: Until = None,
    partition: Partitions = None,
    jobs: Jobs = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a report that a browser shows.", dir_okay=False, metavar="FILE"),
    ] = None,
    as_json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Run recorded requests against another policy, with the history that they had.

    Counts the verdicts that would have been others, by campaign, rule and jurisdiction. Facts are
    read anew, by the registers, hours and caps of that policy; what was sent before stays as it was
    recorded. What was held and decided again is tried again, as long as that policy still holds it.
    Decisions whose request or history is gone are counted apart. Writes to no topic.
    """
    settings = settings_of(ctx).settings
    tried = load_policy(policy)
    begin, end = period(since, until)
    numbers = partitions_of(settings, partition)
    with watching() as watch:
        report = backtest_topics(settings, policy, numbers, begin, end, jobs or cores(), watch)
    if html is not None:
        heading = Heading(f"{tried.name} {tried.edition}", tried.version, _period(begin, end))
        try:
            html.write_text(html_report(report, heading), "utf-8")
        except OSError as error:
            raise ConfigError(f"--html {html}: cannot be written ({error.strerror}).") from None
    if as_json_:
        about = {"policy": tried.name, "edition": tried.edition, "version": tried.version}
        typer.echo(json.dumps(about | {"since": begin, "until": end} | as_json(report), indent=2))
        return
    for line in _summary(tried, report):
        typer.echo(line)
    console = Console(markup=False, highlight=False)
    for table in tables(report):
        if table.rows:
            console.print()
            console.print(_shown(table))
    if html is not None:
        typer.echo(f"\nThe report: {html}")


def _summary(policy: Policy, report: BacktestReport) -> Iterator[str]:
    yield f"{policy.name} {policy.edition}, version {policy.version[:12]}"
    again = f", {report.again:,} of them of holds decided again" if report.again else ""
    yield f"{report.tried:,} decisions tried{again}: {report.flipped:,} verdicts flip"
    yield f"{report.same:,} stay as they were, {report.other_reasons:,} of them for other reasons"
    if report.settled_before:
        yield f"{report.settled_before:,} would not have been: the request was ended before"
    for why, count in report.untried.most_common():
        yield f"{count:,} not tried: {why}"


def _shown(table: Table) -> Shown:
    shown = Shown(table.title.lower(), "from", "to", box=None, pad_edge=False)
    shown.add_column("decisions", justify="right")
    for row in table.rows[:_ROWS_SHOWN]:
        shown.add_row(row.name, row.before, row.after, f"{row.count:,}")
    left = len(table.rows) - _ROWS_SHOWN
    if left > 0:
        shown.add_row(f"... and {left:,} more: see --json", "", "", "")
    return shown


def _period(begin: int, end: int | None) -> str:
    def said(time_ms: int) -> str:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")

    return f"from {said(begin)} on" + ("" if end is None else f" until {said(end)}")
