"""
The report of a backtest as one HTML file: tables and bars, readable on a screen and on paper.

Nothing in it is fetched or run: no script, no address, no font. Every text is escaped; it can come
from whoever named a campaign.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

from streams.audit.backtest import BacktestReport
from streams.audit.backtest_tables import Row, Table, ordered, tables
from streams.records.decisions import Outcome

MOST_ROWS: Final = 40
"""Rows of a table and bars of a chart. What is left out is counted below it; the JSON has all."""

_LABEL_WIDTH: Final = 520
"""Of 24 of the widest characters and two verdicts, in a font of 13 pixels."""

_BAR_WIDTH: Final = 300
_COUNT_WIDTH: Final = 90
_ROW_HEIGHT: Final = 22

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --quiet: #59636e; --paper: #fff; --line: #d1d9e0;
  --ALLOWED: #1a7f37; --QUARANTINED: #9a6700; --DROPPED: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --ink: #f0f6fc; --quiet: #9198a1; --paper: #0d1117;
  --line: #3d444d; --ALLOWED: #3fb950; --QUARANTINED: #d29922; --DROPPED: #f85149; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
.quiet { color: var(--quiet); }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { font-weight: 600; } td { white-space: nowrap; } .number { text-align: right; }
td.name, p { white-space: normal; overflow-wrap: anywhere; } td.name { min-width: 6rem; }
.wide { overflow-x: auto; } .small { font-size: .85rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 1rem; }
dt { color: var(--quiet); }
dd { margin: 0; font-size: 1.6rem; font-weight: 600; }
.legend span { margin-left: .8rem; white-space: nowrap; }
.legend svg { display: inline; vertical-align: -2px; }
svg { display: block; max-width: 100%; height: auto; }
svg text { fill: var(--ink); font-size: 13px; }
.ALLOWED { fill: var(--ALLOWED); } .QUARANTINED { fill: var(--QUARANTINED); }
.DROPPED { fill: var(--DROPPED); }
@media print { :root { color-scheme: light; --ink: #000; --quiet: #444; --paper: #fff;
  --line: #bbb; --ALLOWED: #1a7f37; --QUARANTINED: #9a6700; --DROPPED: #cf222e; }
  body { max-width: none; margin: 0; font-size: 11pt; } h2, tr, svg { break-inside: avoid; }
  h2 { break-after: avoid; } .wide { overflow: visible; }
  * { print-color-adjust: exact; } }
"""


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above the report: the policy that was tried, and the period."""

    policy: str
    version: str
    period: str


def html_report(report: BacktestReport, heading: Heading) -> str:
    """Give the whole file."""
    return "".join(_parts(report, heading))


def _parts(report: BacktestReport, heading: Heading) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield (
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    )
    yield f"<title>Backtest of {escape(heading.policy)}</title>\n<style>{_STYLE}</style>\n</head>\n"
    yield f"<body>\n<h1>Backtest of {escape(heading.policy)}</h1>\n"
    yield (
        f'<p class="quiet">Version {escape(heading.version)}. Decisions made '
        f"{escape(heading.period)}.</p>\n<dl>\n"
    )
    for name, count in (
        ("decisions tried", report.tried),
        ("of them: holds decided again", report.again),
        ("verdicts flip", report.flipped),
        ("verdicts stay", report.same),
        ("of them: for other reasons", report.other_reasons),
        ("could not be tried", report.untried.total()),
        ("would not have come about", report.settled_before),
    ):
        yield f"<div><dt>{name}</dt><dd>{count:,}</dd></div>\n"
    yield "</dl>\n"
    if report.settled_before:
        yield (
            '<p class="quiet">What would not have come about are later attempts at holds: this '
            "policy would have ended the request before.</p>\n"
        )
    if report.flips:
        yield _legend()
    elif report.tried:
        yield "<p>No verdict would have been another one.</p>\n"
    else:
        yield "<p>Nothing was tried: no decision of this period can be derived again.</p>\n"
    for table in tables(report):
        if table.rows:
            yield from _section(table)
    if report.flips:
        yield from _examples(report)
    if report.untried:
        yield from _untried(report)
    yield "</body>\n</html>\n"


def _legend() -> str:
    """Say what colours mean. They only repeat what every label says."""
    marks = "".join(
        '<span><svg width="14" height="14" aria-hidden="true">'
        f'<rect class="{outcome.value}" width="14" height="14" rx="2"/></svg> '
        f"{outcome.value}</span>"
        for outcome in Outcome
    )
    return f'<p class="legend quiet">A bar is the colour of what its verdicts become: {marks}</p>\n'


def _section(table: Table) -> Iterator[str]:
    yield f"<h2>{escape(table.title)}</h2>\n"
    rows = table.rows[:MOST_ROWS]
    yield _chart(table.title, rows)
    named = table.key != "by_verdict"
    yield '<div class="wide"><table>\n<tr>' + ("<th>name</th>" if named else "")
    yield '<th>from</th><th>to</th><th class="number">decisions</th></tr>\n'
    for row in rows:
        name = f'<td class="name">{escape(row.name)}</td>' if named else ""
        yield f"<tr>{name}<td>{escape(row.before)}</td><td>{escape(row.after)}</td>"
        yield f'<td class="number">{row.count:,}</td></tr>\n'
    yield "</table></div>\n"
    yield _left_out(len(table.rows))


def _chart(title: str, rows: tuple[Row, ...]) -> str:
    """Draw a bar a row, in the colour of the verdict that it would have become."""
    most = max(row.count for row in rows)
    height, width = len(rows) * _ROW_HEIGHT, _LABEL_WIDTH + _BAR_WIDTH + _COUNT_WIDTH
    bars = []
    for place, row in enumerate(rows):
        top = place * _ROW_HEIGHT
        length = max(2, round(_BAR_WIDTH * row.count / most))
        name = "" if row.name == "all" else _short(row.name) + ": "
        label = escape(f"{name}{row.before} → {row.after}")
        bars.append(
            f'<text x="{_LABEL_WIDTH - 8}" y="{top + 15}" text-anchor="end">{label}</text>'
            f'<rect class="{escape(row.after)}" x="{_LABEL_WIDTH}" y="{top + 4}" '
            f'width="{length}" height="{_ROW_HEIGHT - 8}" rx="2"/>'
            f'<text x="{_LABEL_WIDTH + length + 6}" y="{top + 15}">{row.count:,}</text>'
        )
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}: bars of the table below">{"".join(bars)}</svg>\n'
    )


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"


def _examples(report: BacktestReport) -> Iterator[str]:
    yield "<h2>Every way in which a verdict flips</h2>\n"
    yield (
        '<p class="quiet">With one decision of each, for <code>consent-gate explain</code>.</p>\n'
    )
    yield '<div class="wide small"><table>\n'
    yield "<tr><th>from</th><th>to</th><th>campaign</th><th>jurisdiction</th>"
    yield "<th>rules of then</th><th>rules of this policy</th>"
    yield '<th class="number">decisions</th><th>decision</th></tr>\n'
    flips = ordered(report.flips.items())
    for flip, count in flips[:MOST_ROWS]:
        yield f"<tr><td>{flip.before.value}</td><td>{flip.after.value}</td>"
        yield f'<td class="name">{escape(flip.campaign)}</td><td>{escape(flip.jurisdiction)}</td>'
        for rules in (flip.old_rules, flip.new_rules):
            yield f'<td class="name">{escape(", ".join(rules))}</td>'
        yield f'<td class="number">{count:,}</td>'
        yield f'<td class="name">{escape(report.examples[flip])}</td></tr>\n'
    yield "</table></div>\n"
    yield _left_out(len(flips))


def _untried(report: BacktestReport) -> Iterator[str]:
    yield "<h2>Could not be tried</h2>\n"
    yield '<div class="wide"><table>\n'
    yield '<tr><th>why</th><th class="number">decisions</th></tr>\n'
    for why, count in report.untried.most_common():
        yield f'<tr><td class="name">{escape(why)}</td><td class="number">{count:,}</td></tr>\n'
    yield "</table></div>\n"


def _left_out(rows: int) -> str:
    left = rows - MOST_ROWS
    return f'<p class="quiet">And {left:,} more, in the JSON.</p>\n' if left > 0 else ""
