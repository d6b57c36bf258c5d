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

MOST_ROWS: Final = 40
"""Rows of a table and bars of a chart. What is left out is counted below it; the JSON has all."""

_BAR_WIDTH: Final = 360
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
  vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; } .number { text-align: right; white-space: nowrap; }
dl { display: flex; flex-wrap: wrap; gap: 1.5rem; } dt { color: var(--quiet); }
dd { margin: 0; font-size: 1.6rem; font-weight: 600; }
svg { display: block; max-width: 100%; height: auto; }
svg text { fill: var(--ink); font-size: 13px; }
.ALLOWED { fill: var(--ALLOWED); } .QUARANTINED { fill: var(--QUARANTINED); }
.DROPPED { fill: var(--DROPPED); }
@media print { :root { color-scheme: light; --ink: #000; --quiet: #444; --paper: #fff;
  --line: #bbb; --ALLOWED: #1a7f37; --QUARANTINED: #9a6700; --DROPPED: #cf222e; }
  body { max-width: none; margin: 0; font-size: 11pt; } h2, tr, svg { break-inside: avoid; }
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
        f'<p class="quiet">Version {escape(heading.version)}. Requests decided '
        f"{escape(heading.period)}.</p>\n<dl>\n"
    )
    for name, count in (
        ("decisions tried", report.tried),
        ("verdicts flip", report.flipped),
        ("stay as they were", report.same),
        ("of these for other reasons", report.other_reasons),
        ("of holds decided again", report.again),
        ("would not have been", report.settled_before),
        ("could not be tried", report.untried.total()),
    ):
        yield f"<div><dt>{name}</dt><dd>{count:,}</dd></div>\n"
    yield "</dl>\n"
    if not report.flips:
        yield "<p>No verdict would have been another one.</p>\n"
    for table in tables(report):
        if table.rows:
            yield from _section(table)
    if report.flips:
        yield from _examples(report)
    if report.untried:
        yield from _untried(report)
    yield "</body>\n</html>\n"


def _section(table: Table) -> Iterator[str]:
    yield f"<h2>{escape(table.title)}</h2>\n"
    rows = table.rows[:MOST_ROWS]
    yield _chart(table.title, rows)
    named = table.key != "by_verdict"
    yield "<table>\n<tr>" + ("<th>name</th>" if named else "")
    yield '<th>from</th><th>to</th><th class="number">messages</th></tr>\n'
    for row in rows:
        name = f"<td>{escape(row.name)}</td>" if named else ""
        yield f"<tr>{name}<td>{escape(row.before)}</td><td>{escape(row.after)}</td>"
        yield f'<td class="number">{row.count:,}</td></tr>\n'
    yield "</table>\n"
    yield _left_out(len(table.rows))


def _chart(title: str, rows: tuple[Row, ...]) -> str:
    """Draw a bar a row, in the colour of the verdict that it would have become."""
    most = max(row.count for row in rows)
    height, width = len(rows) * _ROW_HEIGHT, 2 * _BAR_WIDTH + 80
    bars = []
    for place, row in enumerate(rows):
        top = place * _ROW_HEIGHT
        length = max(2, round(_BAR_WIDTH * row.count / most))
        name = "" if row.name == "all" else _short(row.name) + ": "
        label = escape(f"{name}{row.before} → {row.after}")
        bars.append(
            f'<text x="{_BAR_WIDTH - 8}" y="{top + 15}" text-anchor="end">{label}</text>'
            f'<rect class="{escape(row.after)}" x="{_BAR_WIDTH}" y="{top + 4}" '
            f'width="{length}" height="{_ROW_HEIGHT - 8}" rx="2"/>'
            f'<text x="{_BAR_WIDTH + length + 6}" y="{top + 15}">{row.count:,}</text>'
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
    yield "<table>\n<tr><th>from</th><th>to</th><th>campaign</th><th>jurisdiction</th>"
    yield "<th>rules of then</th><th>rules of this policy</th>"
    yield '<th class="number">messages</th><th>decision</th></tr>\n'
    flips = ordered(report.flips.items())
    for flip, count in flips[:MOST_ROWS]:
        cells = (
            flip.before.value,
            flip.after.value,
            flip.campaign,
            flip.jurisdiction,
            ", ".join(flip.old_rules),
            ", ".join(flip.new_rules),
        )
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        yield f'<td class="number">{count:,}</td><td>{escape(report.examples[flip])}</td></tr>\n'
    yield "</table>\n"
    yield _left_out(len(flips))


def _untried(report: BacktestReport) -> Iterator[str]:
    yield "<h2>Could not be tried</h2>\n<table>\n"
    yield '<tr><th>why</th><th class="number">messages</th></tr>\n'
    for why, count in report.untried.most_common():
        yield f'<tr><td>{escape(why)}</td><td class="number">{count:,}</td></tr>\n'
    yield "</table>\n"


def _left_out(rows: int) -> str:
    left = rows - MOST_ROWS
    return f'<p class="quiet">And {left:,} more, in the JSON.</p>\n' if left > 0 else ""
