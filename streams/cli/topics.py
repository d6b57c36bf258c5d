"""``consent-gate topics apply|check|list``: the map of topics, and a cluster compared with it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from streams.cli.context import settings_of
from streams.config import Settings
from streams.errors import TopicsUnfit
from streams.kafka.clients import administering
from streams.kafka.topics import ClusterReport, TopicReport, apply, check
from streams.topology import TOPICS, Partitions, Topic, duration

topics_app = typer.Typer(no_args_is_help=True, help="Create, check and list the topics.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

_PIPED_WIDTH = 200


@topics_app.command("apply")
def apply_topics(ctx: typer.Context, as_json: AsJson = False) -> None:
    """
    Create the topics that are missing, and report how the others differ.

    Never deletes a topic and never changes one that is there. Ends with 5 when the gate would
    refuse to start.
    """
    settings = settings_of(ctx).settings
    with administering(settings) as admin:
        _report(apply(settings, admin), as_json)


@topics_app.command("check")
def check_topics(ctx: typer.Context, as_json: AsJson = False) -> None:
    """
    Report every difference between the cluster and what the guarantees need; change nothing.

    Looks at recent records too: are their keys where the gate looks for them? Ends with 5 when the
    gate would refuse to start.
    """
    settings = settings_of(ctx).settings
    with administering(settings) as admin:
        _report(check(settings, admin), as_json)


@topics_app.command("list")
def list_topics(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Print every topic: name on the cluster, key, records, writers, readers, how it is kept."""
    settings = settings_of(ctx).settings
    rows = [_described(settings, topic) for topic in TOPICS]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(*rows[0], box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(", ".join(v) if isinstance(v, list) else str(v) for v in row.values()))
    _console().print(table)


def _described(settings: Settings, own: Topic) -> dict[str, Any]:
    topic = settings.configured(own)
    return {
        "topic": topic.name,
        "name": settings.names.of(topic),
        "key": topic.key,
        "records": list(topic.schemas) or "as they came",
        "written by": [role.value for role in topic.writers],
        "read by": [role.value for role in topic.readers],
        "partitions": 1 if topic.partitions is Partitions.ONE else settings.partitions,
        "cleanup": topic.cleanup.value,
        "kept": "-" if topic.retention_ms is None else duration(topic.retention_ms),
    }


def _report(report: ClusterReport, as_json: bool) -> None:
    """Print the report. Raises :class:`typer.Exit` with the error's status if the gate would not
    start."""
    if as_json:
        typer.echo(json.dumps(_as_json(report), indent=2))
    else:
        _print(report)
    if report.unfit:
        raise typer.Exit(TopicsUnfit.exit_code)


def _as_json(report: ClusterReport) -> dict[str, Any]:
    return {
        "fit": not report.unfit,
        "topics": [
            {
                "topic": topic.topic.name,
                "name": topic.name,
                "exists": topic.found is not None,
                "created": topic.created,
                "partitions": topic.found.partitions if topic.found else None,
                "differences": [
                    asdict(difference) | {"severity": difference.severity.value}
                    for difference in topic.differences
                ],
            }
            for topic in report.topics
        ],
        "notes": list(report.notes),
        "placement": [
            asdict(sample) | {"complaint": sample.complaint} for sample in report.placement
        ],
    }


def _print(report: ClusterReport) -> None:
    console = _console()
    overview = Table("topic", "partitions", "replicas", "", box=None, pad_edge=False)
    for topic in report.topics:
        found = topic.found
        overview.add_row(
            topic.name,
            str(found.partitions) if found else "-",
            str(found.replicas) if found else "-",
            _verdict(topic),
        )
    console.print(overview)
    if any(topic.found and topic.differences for topic in report.topics):
        differing = Table("topic", "setting", "should be", "is", "", "what breaks", box=None)
        for topic in report.topics:
            for unlike in topic.differences if topic.found else ():
                differing.add_row(
                    topic.name,
                    unlike.setting,
                    unlike.expected,
                    unlike.found,
                    unlike.severity.value,
                    unlike.breaks,
                )
        console.print()
        console.print(differing)
    if any(topic.found is None for topic in report.topics):
        console.print("\nmissing topics: run `consent-gate topics apply`")
    for line in (*report.notes, *report.complaints):
        console.print(f"\nwarning: {line}")
    for sample in report.placement:
        if sample.complaint is None and sample.keyed:
            console.print(f"\n{sample.topic}: {sample.keyed} sampled keys lie where they should.")


def _verdict(topic: TopicReport) -> str:
    if topic.found is None:
        return "missing"
    if topic.created:
        return "created"
    if topic.unfit:
        return "unfit"
    if topic.differences:
        return "differs"
    return "fit"


def _console() -> Console:
    # A pipe has no width of its own: nothing is to be cut off there.
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    return Console(width=width, markup=False, highlight=False)
