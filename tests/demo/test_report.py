"""What the demo says in the end."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from rich.console import Console

from streams.audit.explain import explain
from streams.demo.checks import Invariant, check
from streams.demo.performance import Measured
from streams.demo.report import Report, as_json, show
from tests.demo.outcome import DEFAULT_VERSION, RUN, a_day, an_account

DAY = a_day()


def a_report() -> Report:
    account = an_account()
    [case] = [d for d in account.written.decisions if d.request_id == DAY.case_id]
    return Report(
        run=RUN,
        people=len(DAY.people.everybody()),
        account=account,
        measured=Measured(200, 1990.0, 12.3, 45.6, 78.9, 8, 56.7, 89.1, 200, 0.02),
        case=explain(case, None, ()),
        invariants=tuple(check(account, DEFAULT_VERSION)),
    )


def shown(report: Report) -> str:
    text = io.StringIO()
    show(report, Console(file=text, width=100, markup=False, highlight=False))
    return text.getvalue()


def test_it_counts_outcomes_by_purpose_and_tells_what_was_measured() -> None:
    report = a_report()
    text = shown(report)
    said = as_json(report)

    assert sum(sum(fates.values()) for fates in said["outcomes"].values()) == 400
    assert said["outcomes"]["otp"]["ALLOWED"] == said["reasons"]["otp"]["eu/requested-by-recipient"]
    assert said["measured"]["rush_per_second"] == 10_000
    assert "p50 12 ms, p99 46 ms" in text
    assert "10,000 a second" in text
    assert all(f"✓ {each.text}" in text for each in report.invariants)
    assert max(map(len, text.splitlines())) <= 100


def test_it_explains_the_case() -> None:
    report = a_report()
    text = shown(report)
    case = as_json(report)["case"]

    assert case["verdict"] == "DROPPED"
    assert [reason["code"] for reason in case["reasons"]][:2] == [
        "THIRD_PARTY_NUMBER",
        "UPLOAD_MANDATORY",
    ]
    assert "The message was dropped" in text
    assert "PLATFORM_INITIATED" in text


def test_one_broken_invariant_is_shown_and_breaks_the_whole() -> None:
    report = a_report()
    assert report.holds
    broken = Invariant("x", "Nothing is lost", False, "1 broken", ("sms.requested 2 offset 77",))
    report = replace(report, invariants=(*report.invariants, broken))

    text = shown(report)
    assert not report.holds
    assert not as_json(report)["holds"]
    assert "✗ Nothing is lost" in text
    assert "sms.requested 2 offset 77" in text


def test_what_could_not_be_compared_breaks_nothing() -> None:
    report = replace(a_report(), invariants=(Invariant("x", "…", None, "not compared"),))
    assert report.holds
    assert "– …" in shown(report)


def test_it_shows_nobodys_number_or_name() -> None:
    report = a_report()
    told = shown(report) + json.dumps(as_json(report)) + repr(report)
    for person in DAY.people.everybody():
        assert person.number[1:] not in told
        assert all(word not in told for word in person.name.split())
