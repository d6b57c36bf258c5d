# ruff: noqa: E501 - a row of these tables is a line
"""How rules become a verdict: deny overrides, something must allow, every objection is recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streams.errors import PolicyInvalid
from streams.policy import policy as policy_module
from streams.policy.conditions import Condition
from streams.policy.facts import Assessment, Facts, assess, nothing_known
from streams.policy.policy import Policy, load_policy, load_policy_files, version_of
from streams.policy.reasons import Reason
from streams.policy.verdicts import Allow, Drop, Quarantine, Verdict
from streams.policy.vocabulary import Consent, State, Suppression
from streams.records import requests
from streams.records.events import Basis, Origin
from streams.records.requests import NamedPerson, SmsRequested
from streams.records.subject import SubjectState
from tests.policy.messages import (
    FRIEND,
    LOGIN,
    NOW,
    ORDER,
    PLAIN,
    CampaignTable,
    NameTable,
    confirmed_by_user,
    grant,
    member,
    plain_policy,
    request,
    small,
    subject,
    trace,
    withdrawal,
)


@pytest.fixture(scope="module")
def shipped() -> Policy:
    return plain_policy()


def decide(policy: Policy, message: SmsRequested, state: SubjectState | None = None) -> Verdict:
    return policy.decide(assess(message, state, NameTable(), CampaignTable("paused"), NOW))


GRANTED = nothing_known("marketing")._replace(consent=Consent.GRANTED)
ALLOWS = "purpose == Purpose.MARKETING && consent == Consent.GRANTED => allow by-consent"
STOPPED = "suppression == Suppression.ALL => drop SUPPRESSED"
HELD = "consent == Consent.GRANTED => quarantine CAMPAIGN_PAUSED"


# --- combining -------------------------------------------------------------------------------


def test_something_must_allow() -> None:
    policy = small(ALLOWS)
    assert policy.verdict(GRANTED, NOW) == Allow("by-consent")
    assert policy.verdict(nothing_known("marketing"), NOW) == Drop((Reason.NO_BASIS,))


def test_an_objection_beats_any_number_of_yeses() -> None:
    policy = small(ALLOWS, STOPPED)
    stopped = GRANTED._replace(suppression=Suppression.ALL)
    assert policy.verdict(stopped, NOW) == Drop((Reason.SUPPRESSED,))


def test_a_drop_beats_a_hold_and_every_reason_is_recorded_once_severest_first() -> None:
    policy = small(
        HELD,
        HELD,
        "consent == Consent.GRANTED => drop EXPIRED",
        STOPPED,
    )
    verdict = policy.verdict(GRANTED._replace(suppression=Suppression.ALL), NOW)
    assert verdict == Drop((Reason.SUPPRESSED, Reason.EXPIRED, Reason.CAMPAIGN_PAUSED))


def test_only_holds_hold() -> None:
    assert small(ALLOWS, HELD).verdict(GRANTED, NOW) == Quarantine((Reason.CAMPAIGN_PAUSED,))


def test_a_pack_may_be_stricter_than_the_catalogue() -> None:
    policy = small("consent == Consent.GRANTED => drop CAMPAIGN_PAUSED")
    assert policy.verdict(GRANTED, NOW) == Drop((Reason.CAMPAIGN_PAUSED,))


def test_of_several_yeses_the_first_in_the_file_is_the_basis() -> None:
    policy = small(ALLOWS, ALLOWS.replace("by-consent", "again"))
    assert policy.verdict(GRANTED, NOW) == Allow("by-consent")


# --- before any rule -------------------------------------------------------------------------


def test_an_undeclared_purpose_is_held_before_any_rule() -> None:
    facts = GRANTED._replace(purpose="Marketing", suppression=Suppression.ALL)
    assert small(ALLOWS, STOPPED).verdict(facts, NOW) == Quarantine((Reason.PURPOSE_UNKNOWN,))


def test_a_state_that_cannot_be_read_is_a_fault_before_any_rule() -> None:
    facts = GRANTED._replace(state=State.UNDECODABLE)
    assert small(ALLOWS).verdict(facts, NOW) == Quarantine((Reason.STATE_UNDECODABLE,))


class Raises:
    def eval(self, activation: object) -> object:
        raise RuntimeError("no")


class GivesText:
    """What cel-expr-python does with an error: a value, a truthy one."""

    def eval(self, activation: object) -> object:
        return self

    def value(self) -> object:
        return "UNKNOWN: No value with name 'consent'"


@pytest.mark.parametrize("broken", [Raises(), GivesText()])
@pytest.mark.parametrize("number", [0, 1])
def test_a_rule_that_does_not_answer_is_a_fault_whether_it_allows_or_objects(
    broken: object, number: int
) -> None:
    sound = small(ALLOWS, STOPPED)
    rules = list(sound.rules)
    condition = Condition(rules[number].condition.text, frozenset({"consent"}), broken)
    rules[number] = replace(rules[number], condition=condition)
    policy = Policy(
        name=sound.name,
        edition=sound.edition,
        version=sound.version,
        files=sound.files,
        purposes=sound.purposes,
        rules=tuple(rules),
        registers=sound.registers,
        language=sound._language,
    )
    for facts in (GRANTED, GRANTED._replace(suppression=Suppression.ALL)):
        assert policy.verdict(facts, NOW) == Quarantine((Reason.POLICY_ERROR,))


# --- days ------------------------------------------------------------------------------------


def at(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def test_a_rule_is_in_force_from_its_first_day_until_the_day_before_its_last() -> None:
    policy = small(ALLOWS, f"{HELD} from=2027-01-31 until=2027-02-02")

    def held(moment: str) -> bool:
        return isinstance(policy.decide(Assessment(GRANTED, None, at(moment))), Quarantine)

    assert not held("2027-01-30T23:59:59.999")
    assert held("2027-01-31T00:00:00")
    assert held("2027-02-01T23:59:59.999")
    assert not held("2027-02-02T00:00:00")


def test_objections_are_those_in_force_at_the_time() -> None:
    policy = small(ALLOWS, f"{HELD} from=2027-01-31", STOPPED)
    facts = GRANTED._replace(suppression=Suppression.ALL)
    before, after = at("2027-01-30"), at("2027-01-31")
    assert [rule.id for rule in policy.objections(facts, before)] == ["rule-2"]
    assert [rule.id for rule in policy.objections(facts, after)] == ["rule-2", "rule-1"]


def test_versions_of_a_rule_take_over_from_each_other() -> None:
    policy = small(ALLOWS, f"{HELD} until=2027-01-31", f"{HELD} from=2027-01-31")
    for moment in ("2027-01-30T23:59:59.999", "2027-01-31T00:00:00"):
        assert len(policy.objections(GRANTED, at(moment))) == 1


VERSIONS = [
    (f"{HELD} until=2027-02-01", f"{HELD} from=2027-01-31", "from 2027-01-31 on until 2027-02-01"),
    (f"{HELD} from=2027-01-31", HELD, "from 2027-01-31 on"),
    (HELD, f"{HELD} until=2027-01-31", "until 2027-01-31"),
    (HELD, f"{HELD.replace('quarantine', 'drop')} from=2027-01-31", "from 2027-01-31 on"),
]


@pytest.mark.parametrize(("one", "other", "days"), VERSIONS)
def test_versions_of_a_rule_are_never_in_force_together(one: str, other: str, days: str) -> None:
    with pytest.raises(PolicyInvalid) as invalid:
        small(ALLOWS, one, other)
    assert "small/rules.yaml:" in str(invalid.value)
    assert (
        f"rule-2 and rule-1 (rules.yaml:8) say the same, and both are in force {days}; "
        "let `until` of the one be `from` of the other" in str(invalid.value)
    )


def test_rules_that_only_resemble_each_other_may_be_in_force_together() -> None:
    when, _, then = HELD.partition(" => ")
    small(ALLOWS, HELD, f"{when} => quarantine OCCASION_MISSING from=2027-01-31")
    small(ALLOWS, HELD, f"{when} && member == Member.YES => {then} from=2027-01-31")
    small(ALLOWS, HELD, HELD)  # superfluous, which `policy check` warns of
    small(ALLOWS, HELD, f"{HELD} from=2027-01-31 observe=true")


# --- explaining ------------------------------------------------------------------------------


def test_a_basis_leads_to_its_rule() -> None:
    policy = small(ALLOWS)
    rule = policy.rule_for_basis("by-consent")
    assert rule is not None
    assert (rule.id, rule.file, rule.line) == ("rule-0", "rules.yaml", 2)
    assert policy.rule_for_basis("by-magic") is None


def test_no_rule_objects_to_what_is_held_before_any_rule() -> None:
    assert small(ALLOWS, HELD).objections(GRANTED._replace(purpose="news"), NOW) == ()


# --- version and memory ----------------------------------------------------------------------


def test_the_version_is_that_of_names_and_bytes(tmp_path: Path) -> None:
    from_folder = load_policy(PLAIN)
    assert load_policy_files(from_folder.files, "archive").version == from_folder.version
    assert len(from_folder.version) == 64

    base = version_of({"a": "b", "c": ""})
    assert version_of({"c": "", "a": "b"}) == base
    assert base not in (version_of({"a": "bc"}), version_of({"a": "b", "c": " "}))


def test_line_ends_of_a_file_are_part_of_its_version(tmp_path: Path) -> None:
    for name, text in load_policy(PLAIN).files.items():
        (tmp_path / name).write_bytes(text.replace("\n", "\r\n").encode())
    with_returns = load_policy(tmp_path)
    assert with_returns.version != load_policy(PLAIN).version
    assert len(with_returns.rules) == len(load_policy(PLAIN).rules)


def test_the_memo_stays_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_module, "MAX_REMEMBERED", 4)
    policy = small(ALLOWS)
    for consent in Consent:
        for suppression in Suppression:
            facts = nothing_known("marketing")._replace(consent=consent, suppression=suppression)
            policy.verdict(facts, NOW)
    for number in range(10):
        policy.verdict(GRANTED._replace(purpose=f"unheard-of-{number}"), NOW)
    assert all(len(period.memo) <= 4 for period in policy._periods)
    assert policy.verdict(GRANTED, NOW) == Allow("by-consent")


# --- the policy that ships -------------------------------------------------------------------

MARKETING_YES = subject(grants=(grant(),))
OTP = request(purpose="otp", occasion=LOGIN)
NEWS = request(purpose="transactional", occasion=ORDER)
INVITE = request(purpose="invite", initiator=confirmed_by_user())
INVITE_YES = subject(grants=(grant("invite"),))
REPLY = request(purpose="service_reply", occasion=requests.Occasion("inbound_sms", "m-1"))
ANEW = grant("otp", counts_from=NOW - 1, offset=99)

ALLOWED = [
    (request(), MARKETING_YES, "consent-to-marketing"),
    (request(), subject(grants=(grant(),), uploads=(trace(mandatory=True),)), "consent-to-marketing"),
    (INVITE, INVITE_YES, "consent-to-invitations"),
    (OTP, None, "requested-by-recipient"),
    (OTP, subject(uploads=(trace(mandatory=True),)), "requested-by-recipient"),
    (OTP, subject(withdrawals=(withdrawal(None),)), "requested-by-recipient"),
    (OTP, subject(erased_at=NOW - 5, grants=(ANEW,)), "requested-by-recipient"),
    (NEWS, member(), "dealings-with-member"),
    (NEWS, member(uploads=(trace(mandatory=True),)), "dealings-with-member"),
    (NEWS, subject(origin=Origin.CUSTOMER, origin_at=1), "dealings-with-customer"),
    (NEWS, subject(grants=(grant("transactional"),)), "consent-to-news"),
    (REPLY, None, "reply-to-recipient"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "state", "basis"), ALLOWED)
def test_the_policy_that_ships_allows(
    message: SmsRequested, state: SubjectState | None, basis: str, shipped: Policy
) -> None:
    assert decide(shipped, message, state) == Allow(basis)


DROPPED = [
    (request(), None, "NO_CONSENT"),
    (request(), member(), "NO_CONSENT"),
    (request(), INVITE_YES, "NO_CONSENT"),
    (request(), subject(grants=(grant(basis=Basis.SOFT_OPT_IN),)), "NO_CONSENT"),
    (request(), subject(grants=(grant(basis=Basis.IMPLIED),)), "NO_CONSENT"),
    (request(), subject(grants=(grant(conditional=True),)), "CONSENT_NOT_FREE"),
    (request(), subject(grants=(grant(expires_at=NOW),)), "CONSENT_EXPIRED"),
    (request(), subject(grants=(grant(),), withdrawals=(withdrawal(),)), "CONSENT_WITHDRAWN"),
    (request(), subject(grants=(grant(),), withdrawals=(withdrawal(None),)), "SUPPRESSED"),
    (request(), subject(erased_at=NOW), "ERASED NO_CONSENT"),
    (request(), subject(grants=(grant(),), reassigned_at=NOW), "NUMBER_REASSIGNED NO_CONSENT"),
    (request(), subject(origin=Origin.PURCHASED), "THIRD_PARTY_NUMBER NO_CONSENT"),
    (request(valid_until=NOW), MARKETING_YES, "EXPIRED"),
    (request(initiator=requests.Initiator(FRIEND, "schedule")), MARKETING_YES, "PLATFORM_INITIATED"),
    (request(named_persons=(NamedPerson("A"),)), MARKETING_YES, "NAMES_THIRD_PARTY"),
    (request(purpose="invite"), INVITE_YES, "PLATFORM_INITIATED"),
    (INVITE, None, "NO_CONSENT"),
    (NEWS, None, "NO_BASIS"),
    (NEWS, member(withdrawals=(withdrawal(None),)), "SUPPRESSED"),
    (NEWS, member(withdrawals=(withdrawal("transactional"),)), "CONSENT_WITHDRAWN"),
    (NEWS, subject(uploads=(trace(),)), "THIRD_PARTY_NUMBER"),
    (OTP, subject(withdrawals=(withdrawal("otp"),)), "CONSENT_WITHDRAWN"),
    (OTP, subject(erased_at=NOW), "ERASED"),
    (REPLY, subject(withdrawals=(withdrawal(None),)), "SUPPRESSED"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "state", "reasons"), DROPPED)
def test_the_policy_that_ships_drops(
    message: SmsRequested, state: SubjectState | None, reasons: str, shipped: Policy
) -> None:
    assert decide(shipped, message, state) == Drop(tuple(map(Reason, reasons.split())))


QUARANTINED = [
    (request(campaign_id="paused"), MARKETING_YES, "CAMPAIGN_PAUSED"),
    (request(purpose="otp"), member(), "OCCASION_MISSING"),
    (request(purpose="otp", occasion=ORDER), member(), "OCCASION_MISSING"),
    (request(purpose="transactional"), member(), "OCCASION_MISSING"),
    (request(purpose="service_reply", occasion=ORDER), member(), "OCCASION_MISSING"),
    (replace(INVITE, body="Other."), INVITE_YES, "EVIDENCE_CONTRADICTORY"),
    (request(purpose="newsletter"), MARKETING_YES, "PURPOSE_UNKNOWN"),
    (replace(OTP, initiator=requests.Initiator(FRIEND, "rating")), None, "PURPOSE_MISMATCH"),
    (replace(OTP, named_persons=(NamedPerson("A"),)), None, "PURPOSE_MISMATCH"),
    (request(), replace(MARKETING_YES, undecodable=(1,)), "STATE_UNDECODABLE"),
]


@pytest.mark.parametrize(("message", "state", "reasons"), QUARANTINED)
def test_the_policy_that_ships_holds(
    message: SmsRequested, state: SubjectState | None, reasons: str, shipped: Policy
) -> None:
    assert decide(shipped, message, state) == Quarantine(tuple(map(Reason, reasons.split())))


def test_marketing_by_schedule_is_the_platforms_and_that_is_fine(shipped: Policy) -> None:
    message = request(initiator=requests.Initiator(None, "schedule"), campaign_id="spring")
    assert decide(shipped, message, MARKETING_YES) == Allow("consent-to-marketing")


def test_every_rule_that_ships_says_what_it_means_and_where_it_comes_from(shipped: Policy) -> None:
    for rule in shipped.rules:
        assert rule.text.endswith(".")
        assert rule.cites


def test_recorded_facts_give_the_same_verdict_again(shipped: Policy) -> None:
    assessed = assess(request(), MARKETING_YES, NameTable(), CampaignTable(), NOW)
    again = Facts.from_map(assessed.facts.as_map())
    assert again is not None
    assert shipped.verdict(again, NOW) == shipped.decide(assessed)
