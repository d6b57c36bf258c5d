"""When a policy is asked in a backtest, and what of a hold that was decided again it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from streams.audit.archive import Archive
from streams.audit.backtest import BacktestReport, Flip, backtest_partition
from streams.audit.history import History
from streams.audit.seen import Seen, Why
from streams.policy.facts import NO_TEMPLATES
from streams.policy.policy import Policy
from streams.records.decisions import Outcome
from streams.testing.records import an_sms_decision
from tests.policy.messages import CampaignTable, NameTable, grant, request, small, subject

DAY = 86_400_000
FIRST_DAY = 20_454
"""2026-01-01, in days since the epoch."""
ALLOWED, QUARANTINED, DROPPED = Outcome.ALLOWED, Outcome.QUARANTINED, Outcome.DROPPED

ALLOWS = "purpose == Purpose.MARKETING && consent == Consent.GRANTED => allow by-consent"
PAUSED = "campaign == Campaign.PAUSED => quarantine CAMPAIGN_PAUSED"
LIVE = small(ALLOWS, PAUSED)


@dataclass
class Tables:
    """Stands for the broadcast tables as they were: the campaign ``spring`` is paused or not."""

    paused: bool

    @property
    def campaigns(self) -> CampaignTable:
        return CampaignTable(*(["spring"] if self.paused else []))

    names = NameTable()
    templates = NO_TEMPLATES


def seen(
    verdict: Outcome,
    *,
    day: int = 0,
    paused: bool = False,
    offset: int = 7,
    attempt: int = 0,
    why: Why | None = None,
) -> Seen:
    """A decision by :data:`LIVE` on the ``day``-th day of 2026, and what was known then."""
    decision = an_sms_decision(
        request_partition=0,
        request_offset=offset,
        attempt=attempt,
        campaign_id="spring",
        verdict=verdict,
        reasons={ALLOWED: (), QUARANTINED: ("CAMPAIGN_PAUSED",), DROPPED: ("NO_BASIS",)}[verdict],
        policy_version=LIVE.version,
        decided_at=(FIRST_DAY + day) * DAY,
    )
    agreed = subject(grants=() if verdict is DROPPED else (grant(counts_from=1),))
    return Seen(
        offset=0,
        decision=decision,
        request=None if why else request(campaign_id="spring"),
        recipient_id=None,
        state=agreed,
        sent=None,
        gaps=frozenset(),
        why=why,
        impossible=(),
        tables=cast(Any, Tables(paused)),
    )


@dataclass
class Recorded:
    """Stands for a history: these were recorded."""

    decisions: tuple[Seen, ...]

    def seen(self, *_: object) -> Iterator[Seen]:
        yield from self.decisions


def backtested(policy: Policy, *decisions: Seen) -> BacktestReport:
    archive = Archive({LIVE.version: LIVE.files})
    history = cast(History, Recorded(decisions))
    return backtest_partition(history, archive, policy, 0, None, lambda done: None)


def ways(report: BacktestReport) -> dict[tuple[Outcome, Outcome], int]:
    return {flip[:2]: count for flip, count in report.flips.items()}


# ------------------------------------------------------------------------------------ its days


@pytest.mark.parametrize(
    ("days", "flips"),
    [("from=2026-01-02", [1, 2]), ("until=2026-01-02", [0]), ("from=2020-01-01", [0, 1, 2])],
)
def test_a_policy_decides_by_the_rules_of_the_day_on_which_it_was_asked(
    days: str, flips: list[int]
) -> None:
    tried = small(ALLOWS, PAUSED, f"consent == Consent.GRANTED => drop NO_CONSENT {days}")

    for day in range(3):
        report = backtested(tried, seen(ALLOWED, day=day))
        assert report.tried == 1
        assert ways(report) == ({(ALLOWED, DROPPED): 1} if day in flips else {})


def test_the_policy_of_then_is_asked_at_the_time_of_then_too() -> None:
    dated = small(ALLOWS, "consent == Consent.GRANTED => drop NO_CONSENT from=2026-01-02")
    lenient = small(ALLOWS)
    archive = Archive({LIVE.version: LIVE.files, dated.version: dated.files})
    recorded = seen(DROPPED, day=1)
    decision = replace(recorded.decision, policy_version=dated.version, reasons=("NO_CONSENT",))
    agreed = subject(grants=(grant(counts_from=1),))
    recorded = replace(recorded, decision=decision, state=agreed)
    history = cast(History, Recorded((recorded,)))

    report = backtest_partition(history, archive, lenient, 0, None, lambda done: None)

    assert not report.untried
    assert [*report.flips] == [
        Flip(DROPPED, ALLOWED, "spring", "CN", ("rule-1",), ("rule-0",)),
    ]


# --------------------------------------------------------------------- holds decided again


HELD = seen(QUARANTINED, paused=True)
STILL_HELD = seen(QUARANTINED, paused=True, attempt=1)
LET_GO = seen(ALLOWED, attempt=2)


def test_every_attempt_at_a_hold_is_tried() -> None:
    report = backtested(LIVE, HELD, STILL_HELD, LET_GO)
    assert (report.tried, report.again, report.same, report.flipped) == (3, 2, 3, 0)

    again = small(ALLOWS, PAUSED, "campaign == Campaign.ACTIVE => drop NO_CONSENT")
    report = backtested(again, HELD, STILL_HELD, LET_GO)
    assert (report.tried, report.again, report.same) == (3, 2, 2)
    assert ways(report) == {(ALLOWED, DROPPED): 1}
    assert [*report.examples.values()] == ["sms.requested-0-7-2"]


@pytest.mark.parametrize(
    ("rules", "flip"),
    [
        ((ALLOWS,), (QUARANTINED, ALLOWED)),
        ((ALLOWS, "campaign == Campaign.PAUSED => drop CAMPAIGN_PAUSED"), (QUARANTINED, DROPPED)),
    ],
)
def test_what_the_policy_would_have_ended_has_no_later_attempt(
    rules: tuple[str, ...], flip: tuple[Outcome, Outcome]
) -> None:
    another = seen(QUARANTINED, paused=True, offset=8)

    report = backtested(small(*rules), HELD, another, STILL_HELD, LET_GO)

    assert ways(report) == {flip: 2}
    assert (report.tried, report.again, report.settled_before) == (2, 0, 2)


def test_an_end_of_a_hold_that_nobody_looked_at_is_none_of_a_policy_that_ended_it_before() -> None:
    unread = seen(DROPPED, attempt=1, why=Why.UNREAD)

    assert backtested(LIVE, HELD, unread).untried == {Why.UNREAD.value: 1}
    report = backtested(small(ALLOWS), HELD, unread)
    assert (report.untried, report.settled_before) == ({}, 1)


def test_what_was_held_before_the_period_is_tried_as_if_the_policy_had_held_it() -> None:
    report = backtested(small(ALLOWS), LET_GO)
    assert (report.tried, report.again, report.settled_before) == (1, 1, 0)


def test_a_flip_that_is_the_historys_and_not_the_policys_ends_nothing() -> None:
    # By what is left of the history the policy of then would have let it pass itself.
    doubtful = seen(QUARANTINED, paused=False)

    report = backtested(small(ALLOWS), doubtful, LET_GO)

    assert report.untried.total() == 1
    assert (report.tried, report.settled_before) == (1, 0)


def test_reports_of_partitions_add_up() -> None:
    whole = backtested(small(ALLOWS), HELD, LET_GO)
    whole.add(backtested(LIVE, HELD, STILL_HELD, LET_GO))
    assert (whole.tried, whole.again, whole.settled_before) == (4, 2, 1)
    assert (whole.same, whole.flipped) == (3, 1)
