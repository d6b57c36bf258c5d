"""What a backtest found, counted by verdict, campaign, rule and jurisdiction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from streams.audit.backtest import BacktestReport, Flip


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: how many verdicts of ``name`` went from ``before`` to ``after``."""

    name: str
    before: str
    after: str
    count: int


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title, the most first. ``key`` is its name in the JSON."""

    key: str
    title: str
    rows: tuple[Row, ...]


def tables(report: BacktestReport) -> list[Table]:
    """Count the flips four times. A flip that several rules make counts for each of them."""
    return [
        _table("by_verdict", "By verdict", report, lambda flip: ["all"]),
        _table("by_campaign", "By campaign", report, lambda flip: [flip.campaign]),
        _table("by_rule", "By rule", report, _rules),
        _table("by_jurisdiction", "By jurisdiction", report, lambda flip: [flip.jurisdiction]),
    ]


def _rules(flip: Flip) -> Iterator[str]:
    for rule in flip.old_rules:
        yield f"old: {rule}"
    for rule in flip.new_rules:
        yield f"new: {rule}"


def _table(key: str, title: str, report: BacktestReport, names: Any) -> Table:
    counts: Counter[tuple[str, str, str]] = Counter()
    for flip, count in report.flips.items():
        for name in names(flip):
            counts[name, flip.before.value, flip.after.value] += count
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Table(key, title, tuple(Row(*parts, count) for parts, count in ordered))


def as_json(report: BacktestReport) -> dict[str, Any]:
    """Give what programs read."""
    return {
        "tried": report.tried,
        "tried_again": report.again,
        "settled_before": report.settled_before,
        "same": report.same,
        "same_for_other_reasons": report.other_reasons,
        "flipped": report.flipped,
        "untried": dict(report.untried),
        **{
            table.key: [
                {"name": row.name, "from": row.before, "to": row.after, "count": row.count}
                for row in table.rows
            ]
            for table in tables(report)
        },
        "flips": [
            {
                "from": flip.before.value,
                "to": flip.after.value,
                "campaign": flip.campaign,
                "jurisdiction": flip.jurisdiction,
                "old_rules": list(flip.old_rules),
                "new_rules": list(flip.new_rules),
                "count": count,
                "example": report.examples[flip],
            }
            for flip, count in ordered(report.flips.items())
        ],
    }


def ordered(flips: Iterable[tuple[Flip, int]]) -> list[tuple[Flip, int]]:
    """Put the most frequent flips first; equal ones always in the same order."""
    return sorted(
        flips,
        key=lambda item: (-item[1], item[0].before.value, item[0].after.value, *item[0][2:]),
    )
