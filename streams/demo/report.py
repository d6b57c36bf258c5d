"""
What the demo says in the end: on a terminal in tables and words, for scripts as one JSON document.

Nothing here shows a number, a name or a text (guarantee I7), though all of them are made up.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.audit.explain import Explanation
from streams.audit.meanings import OUTCOMES, reason_meaning
from streams.demo.acts import Fate
from streams.demo.checks import Account, Invariant, after_stops
from streams.demo.performance import Measured
from streams.records.record import Record
from streams.records.requests import SmsRequested

_NOT_JUDGED = "(nobody can judge)"
"""Stands for the purpose of dead letters."""

_WIDEST = 100
"""Columns: longer lines are hard to read."""

_JOINED = "\u00a0"

_STORY = (
    "Somebody who never registered stands in an address book that a user had to upload, and nobody "
    "had said what for. A user rates them. The platform writes a text: a former colleague praises "
    "them, 119 contacts and 36 friends are waiting, each by name, here is the link to register. In "
    "2018 a real text like it went out, and a court held that the platform had sent it and had to "
    "stop."
)


@dataclass(frozen=True, slots=True, repr=False)
class Report(Record):
    """Everything that there is to say about one run."""

    SHOWN: ClassVar[tuple[str, ...]] = ("run",)

    run: int
    people: int
    account: Account
    measured: Measured
    case: Explanation | None
    invariants: tuple[Invariant, ...]

    @property
    def holds(self) -> bool:
        """Whether no invariant is broken."""
        return all(invariant.holds is not False for invariant in self.invariants)


def as_json(report: Report) -> dict[str, Any]:
    """Give the report as plain JSON values."""
    return {
        "run": f"{report.run:06d}",
        "requests": len(report.account.requests),
        "people": report.people,
        "outcomes": {
            purpose: {fate.value: fates[fate] for fate in Fate if fates[fate]}
            for purpose, fates in _fates_by_purpose(report.account).items()
        },
        "reasons": {
            purpose: dict(reasons.most_common())
            for purpose, reasons in _reasons_by_purpose(report.account).items()
        },
        "after_stops": {
            how: counts._asdict() for how, counts in after_stops(report.account).items()
        },
        "case": None if report.case is None else _case_as_json(report.case),
        "measured": asdict(report.measured) | {"rush_per_second": report.measured.rush_per_second},
        "invariants": [asdict(invariant) for invariant in report.invariants],
        "holds": report.holds,
    }


def show(report: Report, console: Console) -> None:
    """Print the report for people."""
    width = min(console.width, _WIDEST)
    console.print(_heading("What became of the requests"))
    console.print(_outcomes(report.account))
    console.print(_heading("On what basis, for which reasons (a message can have several)"))
    for line in _reasons(report.account, width):
        console.print(line)
    console.print(_heading("Those who stopped in the middle of it"))
    console.print(_after_stops(report.account))
    if report.case is not None:
        console.print(_heading("The case"))
        for line in _case(report.case, width):
            console.print(line)
    console.print(_heading("Measured in this run, with Kafka, gate and demo on what they share"))
    for line in _speed(report.measured, width):
        console.print(line)
    console.print(_heading("Checked on the topics, by a reader that reads committed"))
    for line in _invariants(report.invariants):
        console.print(line)


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="italic")


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> Text:
    """
    Break a text into lines, each with its indent. A non-breaking space holds what it joins.

    Rich breaks at those too, and indents only the first line.
    """
    lines = textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )
    return Text("\n".join(lines).replace(_JOINED, " "))


def _outcomes(account: Account) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("purpose")
    for fate in Fate:
        table.add_column(fate.value.lower().replace("_", "-"), justify="right")
    table.add_column("all", justify="right")
    by_purpose = _fates_by_purpose(account)
    for purpose, fates in [*by_purpose.items(), ("all", account.fates())]:
        cells = [f"{fates[fate]:,}" if fates[fate] else "" for fate in Fate]
        style = "bold" if purpose == "all" else None
        table.add_row(purpose, *cells, f"{fates.total():,}", style=style)
    return table


def _reasons(account: Account, width: int) -> Iterator[Text]:
    by_purpose = _reasons_by_purpose(account)
    indent = max(map(len, by_purpose)) + 2
    for purpose, reasons in by_purpose.items():
        why = ", ".join(f"{count:,}{_JOINED}{code}" for code, count in reasons.most_common())
        yield _wrapped(why, width, purpose.ljust(indent), " " * indent)


def _case(case: Explanation, width: int) -> Iterator[Text]:
    decision = case.decision
    yield _wrapped(_STORY, width)
    yield Text(f"The message {OUTCOMES[decision.verdict]}.", style="bold")
    for reason in case.reasons:
        yield Text(f"  {reason.code}", style="bold")
        if not reason.rules:
            yield _wrapped(reason_meaning(reason.code), width, "    ", "    ")
        for rule in reason.rules:
            yield _wrapped(rule.text, width, "    ", "    ")
            for source in rule.cites:
                yield _wrapped(source, width, "    – ", "      ")
    said = "nothing" if decision.consent_event_id is None else "see the consent ledger"
    yield _wrapped(
        f"Decision {decision.decision_id}, by policy {case.policy}. What the person had said to "
        f"such a message: {said}.",
        width,
    )


def _after_stops(account: Account) -> Table:
    """Show what became of messages to people who had stopped before the messages were sent."""
    table = Table(box=None, pad_edge=False)
    table.add_column("how they stopped, while the campaign went on")
    for heading in ("people", "messages after it", "passed"):
        table.add_column(heading, justify="right")
    for how, counts in after_stops(account).items():
        table.add_row(how, *(f"{count:,}" for count in counts))
    return table


def _speed(measured: Measured, width: int) -> Iterator[Text]:
    yield _wrapped(
        f"p50 {measured.latency_p50_ms:.0f} ms, p99 {measured.latency_p99_ms:.0f} ms, longest "
        f"{measured.latency_max_ms:.0f} ms: from the broker's append of a request to the moment a "
        f"read-committed reader had its outcome; each of the {measured.steady_requests:,} requests "
        f"of the steady part, {measured.steady_per_second:,.0f} a second, warm-up included",
        width,
        "latency  ",
        " " * 9,
    )
    yield _wrapped(
        f"{measured.rush_per_second:,.0f} a second: {measured.rush_requests:,} requests at once, "
        f"{measured.rush_seconds:.2f} s from the append of the first to the arrival of the last "
        "outcome (`make bench` measures this with more of them)",
        width,
        "rate     ",
        " " * 9,
    )
    yield _wrapped(
        f"p50 {measured.reply_p50_ms:.0f} ms, longest {measured.reply_max_ms:.0f} ms: from "
        f"the append of a STOP until its withdrawal could be read; {measured.replies:,} of them",
        width,
        "replies  ",
        " " * 9,
    )


def _invariants(invariants: tuple[Invariant, ...]) -> Iterator[Text]:
    for each in invariants:
        match each.holds:
            case True:
                mark, style = "✓", "green"
            case False:
                mark, style = "✗", "bold red"
            case None:
                mark, style = "–", "yellow"
        yield Text.assemble((f"{mark} ", style), each.text)
        yield Text(f"    {each.told}", style="dim")
        yield from (Text(f"    {place}", style="red") for place in each.broken)


def _fates_by_purpose(account: Account) -> dict[str, Counter[Fate]]:
    by_purpose: dict[str, Counter[Fate]] = {}
    for place, sent in account.requests.items():
        fate = account.fate(place)
        if fate is not None:
            by_purpose.setdefault(_purpose(sent.act.record, fate), Counter())[fate] += 1
    return dict(sorted(by_purpose.items()))


def _reasons_by_purpose(account: Account) -> dict[str, Counter[str]]:
    by_purpose: dict[str, Counter[str]] = {}
    for place, sent in account.requests.items():
        fate = account.fate(place)
        if fate is not None:
            reasons = by_purpose.setdefault(_purpose(sent.act.record, fate), Counter())
            reasons.update(account.because(place))
    return dict(sorted(by_purpose.items()))


def _purpose(record: Record | None, fate: Fate) -> str:
    """Name the row of a request: its purpose, if it could be read and judged."""
    if fate is Fate.DEAD_LETTERED or not isinstance(record, SmsRequested):
        return _NOT_JUDGED
    return record.purpose


def _case_as_json(case: Explanation) -> dict[str, Any]:
    decision = case.decision
    return {
        "decision_id": decision.decision_id,
        "verdict": decision.verdict.value,
        "policy": case.policy,
        "reasons": [
            {
                "code": reason.code,
                "meaning": reason_meaning(reason.code),
                "rules": [
                    {"id": rule.id, "text": rule.text, "cites": list(rule.cites)}
                    for rule in reason.rules
                ],
            }
            for reason in case.reasons
        ],
        "facts": decision.facts,
    }
