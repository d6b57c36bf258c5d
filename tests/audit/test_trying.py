"""Made-up cases are decided as the gate decides, and explained by what was written."""

from __future__ import annotations

from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.audit.case_words import case_in_words
from streams.audit.origins import _TELLERS, origins
from streams.audit.policy_tests import coverage, differences, uncovered
from streams.audit.trying import Tried, try_case
from streams.policy.analysis.change import smallest_change
from streams.policy.analysis.outcomes import Analysis
from streams.policy.cases.cases import read_cases
from streams.policy.facts import VOCABULARY, Facts, nothing_known
from streams.policy.policy import Policy, load_policy
from streams.policy.registers import NO_REGISTERS
from streams.policy.verdicts import Allow
from streams.policy.vocabulary import Jurisdiction
from streams.records.decisions import Outcome, Refusal
from streams.resources import data_dir
from tests.gate.bed import PLAIN_POLICY
from tests.policy.messages import NOW, small
from tests.policy.test_properties import facts

RECIPIENT = "+8613800000001"


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(PLAIN_POLICY)


@pytest.fixture(scope="module")
def analysis(policy: Policy) -> Analysis:
    return Analysis(policy)


def tried(policy: Policy, request: str, *history: str, extra: str = "") -> Tried:
    text = (
        f"id: one\nat: 2026-05-01T10:00:00Z\nrecipient: {RECIPIENT}\n"
        f"request: {{{request}}}\nhistory: [{', '.join(history)}]\n{extra}"
    )
    (case,) = read_cases("cases.yaml", text, "here")
    return try_case(case, policy, 30)


YES = "consent_event: {kind: GRANTED, purpose: marketing, basis: EXPRESS}"
STOP = "consent_event: {kind: WITHDRAWN}"


def test_programs_are_told_all_of_a_verdict(policy: Policy) -> None:
    told = tried(policy, "purpose: marketing", f"{{{YES}}}").as_json()
    assert told["facts"].pop("consent") == "GRANTED"
    assert told.pop("facts")["purpose"] == "marketing"
    assert told == {
        "id": "one",
        "verdict": "ALLOWED",
        "reasons": [],
        "hold_until": None,
        "basis": "consent-to-marketing",
        "releasable": False,
        "observed": [],
    }


def test_the_order_of_the_history_counts(policy: Policy) -> None:
    stopped = tried(policy, "purpose: marketing", f"{{{YES}}}", f"{{{STOP}}}")
    again = tried(policy, "purpose: marketing", f"{{{STOP}}}", f"{{{YES}}}")
    assert (stopped.outcome, again.outcome) == (Outcome.DROPPED, Outcome.ALLOWED)


def test_what_the_fold_refuses_is_told_with_its_line(policy: Policy, analysis: Analysis) -> None:
    late = tried(
        policy,
        "purpose: marketing",
        "\n  {consent_event: {kind: WITHDRAWN, occurred_at: 2026-04-01}}",
        "\n  {consent_event: {kind: GRANTED, purpose: marketing, occurred_at: 2026-03-01}}",
        "\n  {consent_event: {kind: GRANTED, purpose: marketing, occurred_at: 2026-06-01}}",
    )
    assert [(item.line, refusal) for item, refusal in late.refused] == [
        (7, Refusal.LATE),
        (8, Refusal.CLOCK_AHEAD),
    ]
    assert "The event of line 7: what ended it came before." in case_in_words(late, analysis)


def test_another_persons_history_is_not_the_recipients(policy: Policy) -> None:
    another = '{consent_event: {kind: WITHDRAWN, subject: "+8613700000003"}}'
    assert tried(policy, "purpose: marketing", f"{{{YES}}}", another).outcome is Outcome.ALLOWED


def test_an_address_book_entry_is_forgotten_after_the_days_of_the_setting(policy: Policy) -> None:
    old = "{contact_entry: {uploaded_at: 2026-03-31T10:00:00Z}}"
    assert tried(policy, "purpose: otp", old).assessment.facts.as_map()["upload"] == "NOT_UPLOADED"
    young = "{contact_entry: {uploaded_at: 2026-04-02T10:00:00Z}}"
    assert tried(policy, "purpose: otp", young).assessment.facts.as_map()["upload"] == "CLEAN"


def test_each_fact_says_how_it_came_about(policy: Policy) -> None:
    case = tried(
        policy,
        "purpose: invite, campaign_id: spring, valid_until: 2026-01-01, "
        "referral: {referrer_name: A}, claims: [{kind: colleague}], "
        "named_persons: [{name: B}], occasion: {kind: order, reference: o-1}, "
        f"initiator: {{user: '{RECIPIENT}', trigger: upload, evidence: {{text_shown: true}}}}",
        "\n  {consent_event: {kind: WITHDRAWN, purpose: invite}}",
        "\n  {consent_event: {kind: WITHDRAWN}}",
        "\n  {consent_event: {kind: REGISTERED}}",
        "\n  {contact_entry: {mandatory: true}}",
        "\n  {campaign: {campaign_id: spring, state: PAUSED}}",
    )
    told = origins(case)
    assert tuple(told) == tuple(case.assessment.facts.as_map())
    assert told["withdrawal"] == "withdrawn for this purpose by event-1 (line 6)"
    assert told["suppression"] == "everything withdrawn by event-2 (line 7)"
    assert told["member"] == "registered by event-3 (line 8)"
    assert told["number"] == told["upload"] == "it stands in upload-4 (line 9)"
    assert told["initiator"] == (
        "the evidence lacks effect_disclosed, recipient_hand_picked, confirmed_at, "
        "confirmed_sha256, text_author USER"
    )
    assert told["names"] == "named_persons 1: no consent to be named is known"
    assert told["claims"] == "undeclared: colleague"
    assert told["voice"] == told["marks"] == "the request has a referral"
    assert told["validity"] == "valid_until was 2026-01-01 00:00:00 UTC"
    assert told["campaign"] == "the request's campaign spring"
    assert told["freedom"] == "nothing says otherwise"


def test_there_is_a_teller_for_every_fact_that_a_case_can_have() -> None:
    assert set(_TELLERS) == {"purpose", *VOCABULARY} - {"state"}


def test_people_are_told_why_and_what_would_have_allowed_it(
    policy: Policy, analysis: Analysis
) -> None:
    text = case_in_words(tried(policy, "purpose: marketing", f"{{{YES}}}", f"{{{STOP}}}"), analysis)
    assert text.startswith("one: DROPPED\n")
    assert "Rule suppressed (person.yaml:15): The person stopped all messages." in text
    assert "Source: GDPR (2018-05-25) 21(3)" in text
    assert "suppression is ALL, and would have to be NONE." in text
    assert max(map(len, text.splitlines())) <= 96
    assert RECIPIENT not in text


def test_a_release_that_would_come_to_nothing_is_told(policy: Policy, analysis: Analysis) -> None:
    without = case_in_words(tried(policy, "purpose: otp"), analysis)
    assert "but no rule allows it: it would then be dropped." in " ".join(without.split())
    member = tried(policy, "purpose: transactional", "{consent_event: {kind: REGISTERED}}")
    assert "A reviewer could release it.\n" in case_in_words(member, analysis)


def test_nothing_would_have_allowed_a_purpose_that_is_not_declared(
    policy: Policy, analysis: Analysis
) -> None:
    text = case_in_words(tried(policy, "purpose: newsletter"), analysis)
    assert "PURPOSE_UNKNOWN" in text
    assert "Nothing: no rule allows any message of this purpose." in text


@settings(deadline=None)
@given(facts(), st.data())
def test_the_smallest_change_allows_and_no_smaller_one_does(
    any_facts: Facts, data: st.DataObject
) -> None:
    analysed = shipped_analysis()
    shipped = analysed.policy
    changes = smallest_change(analysed, any_facts, NOW)
    if any_facts.purpose not in shipped.purposes:
        assert changes is None
        return
    assert changes is not None
    changed = Facts.from_map(
        any_facts.as_map() | {change.fact: change.would_be for change in changes}
    )
    assert changed is not None
    assert isinstance(shipped.verdict(changed, NOW), Allow)
    if changes:
        left_out = data.draw(st.sampled_from(changes))
        fewer = any_facts.as_map() | {
            change.fact: change.would_be for change in changes if change is not left_out
        }
        possible = analysed.space.holds(analysed.space.point(fewer))
        assert not possible or not isinstance(_verdict(shipped, fewer), Allow)


PACKS = sorted(folder.name for folder in data_dir("policies").iterdir())
SAID = [
    {},
    {"suppression": "ALL"},
    {"occasion": "PRESENT", "campaign": "PAUSED"},
    {"member": "YES", "validity": "EXPIRED", "quiet_hours": "QUIET"},
]


@pytest.mark.parametrize("name", PACKS)
def test_no_change_of_fewer_facts_than_the_smallest_allows_a_message(name: str) -> None:
    analysis = Analysis(load_policy(data_dir("policies") / name))
    policy, space = analysis.policy, analysis.space
    proved = 0
    for purpose in sorted(policy.purposes):
        for said in SAID:
            recorded = nothing_known(purpose).as_map() | said
            facts = Facts.from_map(recorded)
            assert facts is not None
            changes = smallest_change(analysis, facts, NOW)
            assert changes is not None
            change = {each.fact: each.would_be for each in changes}
            assert space.holds(space.point(recorded | change))
            assert isinstance(_verdict(policy, recorded | change), Allow)
            fewer: list[dict[str, str]] = [{}] if len(changes) > 0 else []
            if len(changes) > 1:
                fewer += [
                    {fact: value} for fact, of in VOCABULARY.items() for value in of.__members__
                ]
            for other in fewer:
                proved += 1
                if isinstance(_verdict(policy, recorded | other), Allow):
                    assert not space.holds(space.point(recorded | other))
    assert proved > 1_000


FAULTY_TEXTS = [
    {"links": "SHORT", "sender": "UNKNOWN", "opt_out": "MISSING"},
    {"links": "FOREIGN", "sender": "DISGUISED", "opt_out": "MISSING"},
]


@pytest.mark.parametrize("name", PACKS)
def test_no_smallest_change_looks_away_from_a_text_that_is_read(name: str) -> None:
    analysis = Analysis(load_policy(data_dir("policies") / name))
    policy = analysis.policy
    remedied = 0
    for purpose, said, law in product(sorted(policy.purposes), FAULTY_TEXTS, Jurisdiction):
        recorded = nothing_known(purpose).as_map() | said | {"jurisdiction": law.name}
        facts = Facts.from_map(recorded)
        assert facts is not None
        changes = smallest_change(analysis, facts, NOW)
        assert changes is not None
        change = {each.fact: each.would_be for each in changes}
        here = policy.registers.under(Jurisdiction[change.get("jurisdiction", law.name)])
        read = {"links"} if here.links is not None else set[str]()
        read |= {"sender"} if here.senders is not None else set()
        if here.opt_out is not None and purpose in here.opt_out.purposes:
            read.add("opt_out")
        of_text = {fact: value for fact, value in change.items() if fact in read}
        assert "UNREAD" not in of_text.values()
        remedied += len(of_text)
    assert remedied > 0 or policy.registers is NO_REGISTERS


@cache
def shipped_analysis() -> Analysis:
    return Analysis(load_policy(PLAIN_POLICY))


def _verdict(policy: Policy, recorded: dict[str, str]) -> object:
    read = Facts.from_map(recorded)
    assert read is not None
    return policy.verdict(read, NOW)


# --- a policy's own tests ------------------------------------------------------------------------


def test_what_is_not_as_expected_is_listed(policy: Policy) -> None:
    case = tried(
        policy,
        "purpose: marketing",
        extra="expect: {verdict: ALLOWED, reasons: [], basis: consent-to-marketing, "
        "releasable: true, hold_until: 5, facts: {consent: GRANTED, member: NO}}\n",
    )
    assert [(each.what, each.expected, each.found) for each in differences(case)] == [
        ("verdict", "ALLOWED", "DROPPED"),
        ("reasons", "[]", "[NO_CONSENT]"),
        ("basis", "consent-to-marketing", "none"),
        ("hold_until", "5", "none"),
        ("releasable", "true", "false"),
        ("facts.consent", "GRANTED", "NONE"),
    ]


def test_what_is_not_said_is_not_expected(policy: Policy) -> None:
    case = tried(policy, "purpose: marketing", extra="expect: {verdict: DROPPED}\n")
    assert differences(case) == []


def test_a_rule_is_covered_by_a_match_and_by_a_near_miss() -> None:
    policy = small(
        "purpose == Purpose.MARKETING && campaign == Campaign.PAUSED => quarantine CAMPAIGN_PAUSED",
        "erasure == Erasure.ERASED && member == Member.YES => drop ERASED",
        "suppression == Suppression.ALL => drop SUPPRESSED until=2026-01-01",
    )
    analysed = Analysis(policy)
    paused = tried(
        policy,
        "purpose: marketing, campaign_id: spring",
        "{campaign: {campaign_id: spring, state: PAUSED}}",
    )
    quiet = tried(policy, "purpose: marketing")

    covered = coverage(analysed, [paused, quiet])

    assert covered[0].whole
    # Two facts away is no near miss, and a rule out of force is not shown at all.
    assert (covered[1].matched_by, covered[1].missed_by) == ((), ())
    assert (covered[2].matched_by, covered[2].missed_by) == ((), ())
    assert [each.rule.id for each in uncovered(covered)] == ["rule-1", "rule-2"]
