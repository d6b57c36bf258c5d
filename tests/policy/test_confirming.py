"""Double opt-in: what is pending, what confirms it, and what a policy says of it."""

from __future__ import annotations

import pytest

from streams.errors import PolicyInvalid
from streams.policy.analysis.diff import diff
from streams.policy.analysis.findings import FindingKind, findings
from streams.policy.analysis.outcomes import Analysis
from streams.policy.confirming import Confirming
from streams.policy.consent import ConsentView, consent_for
from streams.policy.facts import assess
from streams.policy.policy import Policy, load_policy_files
from streams.policy.reasons import Reason
from streams.policy.verdicts import Allow, Drop
from streams.policy.vocabulary import Consent
from streams.records.events import Basis, Source
from streams.records.subject import Grant, SubjectState
from tests.policy.messages import (
    NOW,
    CampaignTable,
    NameTable,
    grant,
    request,
    small,
    subject,
    withdrawal,
)

DAY = 86_400_000
WEEK = Confirming(frozenset({"marketing"}), (Source.SELF_SERVICE, Source.OPERATOR), 7 * DAY)
ALLOWED = "'purpose == Purpose.MARKETING && consent == Consent.GRANTED' => allow consent"
CONFIRM = "  marketing: Advertising.\n  news: News.\nconfirm: {{purposes: {}, within_days: {}}}"


def view(state: SubjectState, confirming: Confirming | None = WEEK, now: int = NOW) -> ConsentView:
    return consent_for(state, "marketing", "shop", None, now, confirming)


def policy(purposes: str = "[marketing]", days: str = "7", more: str = "") -> Policy:
    return small(ALLOWED, purposes=CONFIRM.format(purposes, days).replace("}", f"{more}}}"))


def test_a_yes_that_needs_confirming_waits() -> None:
    seen = view(subject(grants=(grant(),)))

    assert (seen.status, seen.basis, seen.own, seen.event_id) == (
        Consent.PENDING,
        view(subject()).basis,
        False,
        "granted",
    )
    assert view(subject(grants=(grant(),)), None).status is Consent.GRANTED


def test_once_confirmed_it_is_in_force() -> None:
    assert view(subject(grants=(grant(confirmed_at=NOW - 1),))).status is Consent.GRANTED


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(grant(source=Source.DOUBLE_OPT_IN), id="a link that was sent there"),
        pytest.param(grant(source=Source.INBOUND_SMS), id="the number's own message"),
        pytest.param(grant(source=Source.BULK_IMPORT), id="a source that is not named"),
        pytest.param(grant(basis=Basis.IMPLIED), id="no declaration"),
    ],
)
def test_what_needs_no_confirmation(other: Grant) -> None:
    assert view(subject(grants=(other,))).status is Consent.GRANTED


def test_it_runs_out_and_a_late_confirmation_does_not_help() -> None:
    given = grant()
    last = given.counts_from + 7 * DAY

    assert view(subject(grants=(given,)), now=last).status is Consent.PENDING
    assert view(subject(grants=(given,)), now=last + 1).status is Consent.EXPIRED
    in_time, late = (grant(confirmed_at=last + more) for more in (0, 1))
    assert view(subject(grants=(in_time,)), now=last + DAY).status is Consent.GRANTED
    assert view(subject(grants=(late,)), now=last + DAY).status is Consent.EXPIRED


def test_what_was_given_before_that_day_needs_none() -> None:
    since = Confirming(WEEK.purposes, WEEK.sources, WEEK.within_ms, since_ms=NOW - 5_000)
    old, new = grant(counts_from=NOW - 5_001), grant(counts_from=NOW - 5_000)

    assert view(subject(grants=(old,)), since).status is Consent.GRANTED
    assert view(subject(grants=(new,)), since).status is Consent.PENDING


def test_a_yes_that_waits_ends_no_withdrawal_and_no_erasure() -> None:
    again = grant(counts_from=NOW - 1_000, offset=30)
    stopped = view(subject(grants=(again,), withdrawals=(withdrawal(None),)))
    erased = view(subject(grants=(again,), erased_at=NOW - 9_000))

    assert (stopped.status, stopped.suppressed) == (Consent.PENDING, True)
    assert (erased.status, erased.erased) == (Consent.PENDING, True)
    confirmed = grant(counts_from=NOW - 1_000, offset=30, confirmed_at=NOW)
    assert not view(subject(grants=(confirmed,), withdrawals=(withdrawal(None),))).suppressed
    assert not view(subject(grants=(confirmed,), erased_at=NOW - 9_000)).erased


def test_a_withdrawal_after_it_counts() -> None:
    seen = view(subject(grants=(grant(),), withdrawals=(withdrawal(),)))

    assert (seen.status, seen.event_id) == (Consent.WITHDRAWN, "withdrawn")


def test_a_confirmed_one_beside_a_new_one_is_in_force() -> None:
    first = grant(confirmed_at=NOW - 9_000, event_id="first")

    seen = view(subject(grants=(first, grant(counts_from=NOW - 1, offset=11))))

    assert (seen.status, seen.event_id) == (Consent.GRANTED, "first")


def test_a_policy_that_wants_it_drops_what_waits() -> None:
    wanting = policy()
    state = subject(grants=(grant(),))

    def verdict(policy: Policy) -> object:
        tables = NameTable(), CampaignTable()
        return policy.decide(assess(request(), state, *tables, NOW, confirming=policy.confirming))

    assert verdict(wanting) == Drop((Reason.CONSENT_PENDING,))
    assert verdict(policy("[news]")) == Allow("consent")
    assert wanting.confirming == Confirming(
        frozenset({"marketing"}),
        (Source.SELF_SERVICE, Source.OPERATOR, Source.BULK_IMPORT, Source.CARRIER),
        7 * DAY,
    )
    assert [rule.id for rule in wanting.rules if rule.reason is Reason.CONSENT_PENDING] == [
        "consent-pending"
    ]


def test_sources_and_a_first_day_can_be_named() -> None:
    named = policy(more=", sources: [SELF_SERVICE], since: 2026-12-01").confirming

    assert named == Confirming(
        frozenset({"marketing"}), (Source.SELF_SERVICE,), 7 * DAY, 1_796_083_200_000
    )


def test_an_analysis_knows_who_can_be_pending() -> None:
    """Without ``confirm`` a rule about PENDING never matches; with it nothing is left over."""
    rule = "'purpose == Purpose.MARKETING && consent == Consent.PENDING' => drop NO_CONSENT"

    found = findings(Analysis(small(ALLOWED, rule)))
    assert [each.rules for each in found if each.kind is FindingKind.NEVER_MATCHES] == [("rule-1",)]
    analysis = Analysis(policy())
    pending = analysis.space.where("consent", ["PENDING"])
    assert analysis.space.holds(pending & analysis.space.where("purpose", ["marketing"]))
    assert not analysis.space.holds(pending & analysis.space.where("purpose", ["news"]))
    gaps = [each.example for each in findings(analysis) if each.kind is FindingKind.GAP]
    assert all(example["consent"] != "PENDING" for example in gaps if example)


def test_a_diff_says_that_other_consents_are_confirmed() -> None:
    assert diff(policy(), policy(days="8")).confirm_otherwise
    assert not diff(policy(), policy()).confirm_otherwise


@pytest.mark.parametrize(
    ("confirm", "told"),
    [
        ("[nothing]: 7", "6:12: confirm has no"),
        ("{purposes: [markting], within_days: 7}", "markting is not declared; did you mean"),
        ("{purposes: [marketing], within_days: 31}", "within_days is 31; write 1 to 30"),
        ("{purposes: [marketing], within_days: soon}", "within_days is of type str"),
        ("{purposes: [marketing]}", "confirm lacks within_days"),
        (
            "{purposes: [marketing], within_days: 7, sources: [DOUBLE_OPT_IN]}",
            "DOUBLE_OPT_IN is no source that may need confirming; name some of SELF_SERVICE",
        ),
        ("{purposes: [marketing], within_days: 7, since: tomorrow}", "since is no calendar day"),
    ],
)
def test_a_mistake_is_told_with_its_place(confirm: str, told: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        small(ALLOWED, purposes=f"  marketing: Advertising.\nconfirm: {confirm}")

    assert "policy.yaml:5:" in str(caught.value)
    assert told in str(caught.value) or confirm.startswith("[nothing]")


def test_the_rule_s_name_is_taken() -> None:
    with pytest.raises(PolicyInvalid, match="consent-pending is taken by confirm in policy"):
        load_policy_files(
            {
                "policy.yaml": "name: a\nedition: '1'\npurposes: {a: b}\nrules: [r.yaml]\n"
                "confirm: {purposes: [a], within_days: 7}\n",
                "r.yaml": "rules:\n- {id: consent-pending, text: a, when: purpose == Purpose.A, "
                "then: drop, reason: NO_CONSENT, cites: a}\n",
            },
            "p",
        )
