"""
Writes ``docs/metrics.md`` from the catalogue: ``python -m streams.telemetry.document``.

A test compares the file with what this writes.
"""

from __future__ import annotations

import sys

from streams.telemetry.catalogue import FACTS
from streams.telemetry.fact import Fact
from streams.telemetry.metrics import METRICS
from streams.telemetry.series import OTHER, Instrument, Kind, Label

_OPENING = f"""\
# Metrics and log events

Written from `streams/telemetry/` by `python -m streams.telemetry.document`. Do not edit.

`/metrics` serves Prometheus' text format. Every label has a closed set of values; whatever is not
in it counts as `{OTHER}`. No label and no log line holds a phone number, a name or a message body.
Counters start at 0 with the process. What the rules blocked or held, what was put aside as a dead
letter and what is lost are three different metrics and never add up.

"""


def metrics_page() -> str:
    """Return the whole page as Markdown."""
    parts = [_OPENING, "## Metrics\n"]
    parts += [_metric_section(instrument) for instrument in METRICS]
    parts += ["\n## Facts\n", _FACTS_OPENING]
    parts += [_fact_row(fact) for fact in FACTS]
    return "".join(parts)


_FACTS_OPENING = """
Each fact moves its metrics at once. Where a level is given it also writes one log line, whose
`event` is the name in the second column; "at most" bounds the lines that say the same.

| fact | log event | metrics | what it says |
|---|---|---|---|
"""


def _metric_section(instrument: Instrument) -> str:
    lines = [f"\n### `{instrument.name}`\n", f"\n{instrument.help} ({instrument.kind.value})\n"]
    if instrument.labels:
        lines.append("\n")
    lines += [
        f"- `{label.name}`: {label.help} {_closed_set(label)}\n" for label in instrument.labels
    ]
    if instrument.kind is Kind.HISTOGRAM:
        bounds = ", ".join(f"{bound:g}" for bound in instrument.bounds)
        lines.append(f"\nUpper bounds: {bounds}.\n")
    told = [f"`{fact.__name__}`" for fact in FACTS if instrument in fact.METRICS]
    lines.append(f"\nMoved by {', '.join(told)}.\n")
    return "".join(lines)


def _closed_set(label: Label) -> str:
    if label.from_policy:
        return f"One of the policy's purposes, or `{OTHER}`."
    if label.pattern is not None:
        return f"`{label.pattern.pattern}`, or `{OTHER}`."
    if len(label.values) > 12:
        return f"{len(label.values - {OTHER})} values, or `{OTHER}`."
    values = sorted(label.values - {OTHER})
    return f"{', '.join(f'`{value}`' for value in values)}, or `{OTHER}`."


def _fact_row(fact: type[Fact]) -> str:
    event = "none"
    if fact.LEVEL is not None:
        event = f"`{fact.event()}` ({fact.LEVEL.value}"
        event += f", at most one in {fact.EVERY_SECONDS:g} s)" if fact.EVERY_SECONDS else ")"
    moved = ", ".join(f"`{instrument.name}`" for instrument in fact.METRICS) or "none"
    says = " ".join((fact.__doc__ or "").split()).replace("``", "`")
    return f"| `{fact.__name__}` | {event} | {moved} | {says} |\n"


if __name__ == "__main__":
    sys.stdout.write(metrics_page())
