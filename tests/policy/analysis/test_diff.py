"""What a diff says of two policies is what trying every tuple under both gives."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime

from hypothesis import given

from streams.policy.analysis.diff import Cause, Flip, How, Side, diff
from streams.policy.analysis.outcomes import Stretch
from streams.policy.policy import Policy
from streams.policy.verdicts import Allow, Drop
from streams.records.decisions import Outcome
from tests.policy.analysis.brute import facts_of, matches, policies, tuples, unhurried
from tests.policy.messages import plain_policy, small

ALLOWS = "purpose == Purpose.MARKETING && consent == Consent.GRANTED => allow by-consent"
REFUSES = "consent == Consent.NONE => drop NO_CONSENT"
HOLDS = "campaign == Campaign.PAUSED && consent == Consent.GRANTED => quarantine CAMPAIGN_PAUSED"


def only_flip(before: Policy, after: Policy) -> Flip:
    (stage,) = diff(before, after).stages
    (flip,) = stage.flips
    return flip


def test_a_policy_does_not_differ_from_itself() -> None:
    (stage,) = diff(plain_policy(), plain_policy()).stages
    assert stage.flips == ()
    assert stage.stretch == Stretch(None, None)


def test_a_rule_that_came_is_the_cause_of_what_it_drops() -> None:
    flip = only_flip(
        small(ALLOWS, REFUSES), small(ALLOWS, REFUSES, "member == Member.NO => drop ERASED")
    )
    assert (flip.before, flip.after) == (Outcome.ALLOWED, Outcome.DROPPED)
    (cause,) = flip.causes
    assert (cause.side, cause.how, cause.rule) == (Side.AFTER, How.OBJECTS_NOW, "rule-2")
    assert (cause.file, cause.line, cause.count) == ("rules.yaml", 14, flip.count)
    assert flip.example["consent"] == "GRANTED"
    assert flip.example["member"] == "NO"


def test_a_rule_that_went_is_the_cause_of_what_passes() -> None:
    flip = only_flip(small(ALLOWS, REFUSES, HOLDS), small(ALLOWS, REFUSES))
    assert (flip.before, flip.after) == (Outcome.QUARANTINED, Outcome.ALLOWED)
    assert [(cause.how, cause.rule) for cause in flip.causes] == [(How.OBJECTS_NO_MORE, "rule-2")]


def test_an_allowing_rule_that_narrows_is_the_cause_of_what_has_no_basis_any_more() -> None:
    narrower = ALLOWS.replace(" => ", " && member == Member.YES => ")
    flip = only_flip(small(ALLOWS), small(narrower))
    assert (flip.before, flip.after) == (Outcome.ALLOWED, Outcome.DROPPED)
    assert [(cause.how, cause.side) for cause in flip.causes] == [(How.ALLOWS_NO_MORE, Side.BEFORE)]


def test_a_purpose_that_only_one_declares_is_held_under_the_other() -> None:
    both = "  marketing: Advertising.\n  otp: Passwords."
    differing = diff(small(ALLOWS), small(ALLOWS, purposes=both))
    assert (differing.purposes, differing.only_before, differing.only_after) == (
        ("marketing",),
        (),
        ("otp",),
    )
    (flip,) = differing.stages[0].flips
    assert (flip.before, flip.after) == (Outcome.QUARANTINED, Outcome.DROPPED)
    assert flip.example["purpose"] == "otp"
    (cause,) = flip.causes
    assert (cause.side, cause.how, cause.rule) == (Side.AFTER, How.DECLARES, None)


def test_flips_are_told_for_the_days_on_which_they_come_about() -> None:
    later = "member == Member.NO => drop ERASED from=2027-01-01"
    first, then = diff(small(ALLOWS), small(ALLOWS, later)).stages
    assert (first.stretch, first.flips) == (Stretch(None, date(2027, 1, 1)), ())
    assert then.stretch == Stretch(date(2027, 1, 1), None)
    assert [flip.after for flip in then.flips] == [Outcome.DROPPED]


@unhurried
@given(policies(dated=True), policies(dated=True))
def test_a_diff_agrees_with_trying_every_tuple(before: Policy, after: Policy) -> None:
    stages = diff(before, after).stages
    for stage in stages:
        at = _within(stage.stretch)
        flips = Counter(
            (_outcome(before, each, at), _outcome(after, each, at)) for each in tuples()
        )
        told = {(flip.before, flip.after) for flip in stage.flips}
        assert {pair for pair in flips if pair[0] is not pair[1]} <= told
        for flip in stage.flips:
            assert _outcome(before, flip.example, at) is flip.before
            assert _outcome(after, flip.example, at) is flip.after
            assert flip.causes
            assert all(_is_a_cause(cause, before, after, at) for cause in flip.causes)
    assert [stage.stretch.first for stage in stages[1:]] == [
        stage.stretch.end for stage in stages[:-1]
    ]


@unhurried
@given(policies(), policies())
def test_each_tuple_that_flips_has_a_cause(before: Policy, after: Policy) -> None:
    (stage,) = diff(before, after).stages
    for flip in stage.flips:
        assert sum(cause.count for cause in flip.causes) >= flip.count


def _is_a_cause(cause: Cause, before: Policy, after: Policy, at: int) -> bool:
    """Whether the rule says something of its example, and its namesake does not say the same."""
    here, there = (before, after) if cause.side is Side.BEFORE else (after, before)
    day = datetime.fromtimestamp(at / 1000, UTC).date()
    (rule,) = (each for each in here.rules if each.id == cause.rule)
    namesakes = [
        each
        for each in there.rules
        if each.id == cause.rule and each.then is rule.then and each.in_force(day)
    ]
    return (
        rule.in_force(day)
        and matches(here, rule, cause.example)
        and not any(matches(there, each, cause.example) for each in namesakes)
    )


def _outcome(policy: Policy, each: dict[str, str], at: int) -> Outcome:
    verdict = policy.verdict(facts_of(each), at)
    if isinstance(verdict, Allow):
        return Outcome.ALLOWED
    return Outcome.DROPPED if isinstance(verdict, Drop) else Outcome.QUARANTINED


def _within(stretch: Stretch) -> int:
    day = stretch.first or date(2026, 1, 1)
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 1000
