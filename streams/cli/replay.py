"""``consent-gate replay``: derive recorded decisions again, and tell what differs."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from streams.audit.in_processes import cores
from streams.audit.replay import Difference, ReplayReport, replay_topics
from streams.audit.since import moment
from streams.audit.topic_log import TopicLog
from streams.cli.context import settings_of
from streams.cli.progress import watching
from streams.config import Settings
from streams.errors import ConfigError, DecisionsDiffer
from streams.topology import SMS_DECISIONS, SMS_REQUESTED

_TOLD = 20
"""Differences in the text. The JSON names up to a hundred of each partition."""

Partitions = Annotated[
    list[int] | None,
    typer.Option("--partition", help="Only this one; can be given again.", min=0, metavar="N"),
]
Until = Annotated[
    str | None,
    typer.Option(help="Only what was decided before then: written as --since.", metavar="WHEN"),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        help="How many processes, a partition each. By default one a core.", min=1, metavar="N"
    ),
]


def replay(
    ctx: typer.Context,
    *,
    partition: Partitions = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Only what was decided from then on: 24h, 7d, or a day (2026-01-31). What came "
            "before is read all the same.",
            metavar="WHEN",
        ),
    ] = None,
    until: Until = None,
    jobs: Jobs = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Derive recorded decisions again from their stamps, and compare.

    Each is made again of its request, of the state up to the offsets that it stamps, and by the
    policy version that it names. What is not kept any more is told: such a decision counts as one
    that cannot be derived, never as agreeing. Writes to no topic. No number is ever printed.

    Ends with 16 when a decision differs.
    """
    settings = settings_of(ctx).settings
    begin, end = period(since, until)
    numbers = partitions_of(settings, partition)
    with watching() as watch:
        reports = replay_topics(settings, numbers, begin, end, jobs or cores(), watch)
    if as_json:
        typer.echo(json.dumps(_plain(reports), indent=2))
    else:
        for line in _lines(reports):
            typer.echo(line)
    differing = sum(report.differing for report in reports)
    if differing:
        raise DecisionsDiffer(
            f"{differing:,} decisions are not what their stamps give. See whether their chain "
            "holds (`consent-gate audit verify`), and what was changed in the topics they rest on."
        )


def period(since: str | None, until: str | None) -> tuple[int, int | None]:
    """Read both ends of a period, in milliseconds since the epoch."""
    now = int(time.time() * 1000)
    begin = 0 if since is None else moment(since, now)
    end = None if until is None else moment(until, now)
    if end is not None and end <= begin:
        raise ConfigError("--until is not after --since: there is nothing between them.")
    return begin, end


def partitions_of(settings: Settings, wanted: Sequence[int] | None) -> list[int]:
    """Say which partitions to read: those that were asked for, else all."""
    with TopicLog(settings) as log:
        there = log.partitions(SMS_DECISIONS)
    for number in wanted or ():
        if number >= there:
            raise ConfigError(f"There is no partition {number}: there are {there}, from 0 on.")
    return sorted(set(wanted)) if wanted else list(range(there))


def _lines(reports: Sequence[ReplayReport]) -> Iterator[str]:
    underivable: Counter[str] = Counter()
    for report in reports:
        underivable += report.underivable
    total = sum(report.decisions for report in reports)
    yield f"{total:,} decisions"
    yield f"{sum(report.agreeing for report in reports):,} derived again, and equal"
    yield f"{sum(report.differing for report in reports):,} differ"
    follows = sum(report.follows for report in reports)
    if underivable:
        yield f"{underivable.total():,} cannot be derived:"
        for why, count in underivable.most_common():
            yield f"  {count:,}: {why}"
        yield f"  of these, the verdicts of {follows:,} follow from the facts that they record"
    told = [each for report in reports for each in report.differences]
    for difference in told[:_TOLD]:
        yield ""
        yield _place(difference)
        for name, (recorded, derived) in difference.fields.items():
            yield f"  {name}: {_said(recorded, derived)}"
    if len(told) > _TOLD:
        yield f"\n... and {len(told) - _TOLD:,} more: see --json."


def _place(difference: Difference) -> str:
    return (
        f"{SMS_DECISIONS.name} {difference.partition} offset {difference.offset} (sequence "
        f"{difference.sequence}), of {SMS_REQUESTED.name}-{difference.partition}-"
        f"{difference.request_offset}-{difference.attempt}"
    )


def _said(recorded: str, derived: str) -> str:
    if recorded == derived:
        return "another one"
    return f"recorded {recorded or 'nothing'}, derived {derived or 'nothing'}"


def _plain(reports: Sequence[ReplayReport]) -> dict[str, Any]:
    plain = [
        {
            "partition": report.partition,
            "decisions": report.decisions,
            "agreeing": report.agreeing,
            "differing": report.differing,
            "underivable": dict(report.underivable),
            "follows_from_facts": report.follows,
            "differences": [_difference(each) for each in report.differences],
        }
        for report in reports
    ]
    return {
        "decisions": sum(report.decisions for report in reports),
        "agreeing": sum(report.agreeing for report in reports),
        "differing": sum(report.differing for report in reports),
        "underivable": sum(report.underivable.total() for report in reports),
        "partitions": plain,
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return asdict(difference) | {
        "fields": {
            name: None if recorded == derived else {"recorded": recorded, "derived": derived}
            for name, (recorded, derived) in difference.fields.items()
        }
    }
