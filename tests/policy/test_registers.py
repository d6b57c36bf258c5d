# ruff: noqa: E501 - a row of these tables is a line
"""What a policy lists beside its rules: read from its files, and looked up in texts and times."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, REGION_CODE_FOR_NON_GEO_ENTITY

from streams.errors import PolicyInvalid
from streams.policy.area_codes import AREA_CODES
from streams.policy.facts import assess
from streams.policy.hours import ANYWHERE
from streams.policy.policy import Policy, load_policy_files
from streams.policy.regions import jurisdiction_of, regions_of_number, zones_of_message
from streams.policy.verdicts import Quarantine
from streams.policy.vocabulary import (
    Jurisdiction,
    Marks,
    OptOut,
    QuietHours,
    Referrer,
    Revocation,
    Sender,
)
from streams.records.requests import Referral
from streams.records.subject import SubjectState
from tests.policy.messages import CampaignTable, NameTable, grant, request, subject, withdrawal

MANIFEST = """name: small
edition: '1'
purposes:
  marketing: Advertising.
  transactional: News.
registers: [registers.yaml]
rules: [rules.yaml]
"""
RULES = """rules:
  - id: quiet
    text: It is night.
    when: quiet_hours == QuietHours.QUIET
    then: quarantine
    reason: QUIET_HOURS
    cites: Case
"""
REGISTERS = """links:
  own: [shop.example]
senders:
  - id: shop
    jurisdictions: [CN, US]
    shows: ["【示例商店】", Shop]
opt_out:
  purposes: [marketing]
  texts:
    any: [reply STOP]
    CN: [拒收请回复R]
marks:
  under: [transactional]
  invitation: [join me]
  advertising: [sale, "% off", 优惠]
hours:
  - {region: US, purposes: [marketing], from: "08:00", to: "21:00", cites: Rule}
  - {region: US-TX, purposes: [marketing], days: [mon, tue, wed, thu, fri, sat], from: "09:00", to: "21:00", cites: Rule, since: 2025-09-01}
  - {region: US-TX, purposes: [marketing], days: [sun], from: "12:00", to: "21:00", cites: Rule, since: 2025-09-01}
  - {region: CN, purposes: [marketing], from: "08:00", to: "21:00", cites: Rule}
"""


def policy(registers: str = REGISTERS) -> Policy:
    files = {"policy.yaml": MANIFEST, "rules.yaml": RULES, "registers.yaml": registers}
    return load_policy_files(files, "small")


SMALL = policy()


def facts_of(now_ms: int = 0, state: SubjectState | None = None, **changes: object):  # type: ignore[no-untyped-def]
    message = request(**changes)
    return assess(message, state, NameTable(), CampaignTable(), now_ms, SMALL.registers).facts


@pytest.mark.parametrize(
    ("sender_id", "body", "recipient", "expected"),
    [
        ("shop", "【示例商店】您好", "+8613800000001", Sender.KNOWN),
        ("shop", "Your shop says hello", "+12125550101", Sender.KNOWN),
        ("shop", "A workshop", "+12125550101", Sender.DISGUISED),
        ("shop", "Hello", "+12125550101", Sender.DISGUISED),
        ("shop", "【银行】示例商店 Shop", "+8613800000001", Sender.DISGUISED),
        ("shop", "Shop", "+4915112345678", Sender.UNKNOWN),
        ("bank", "Shop", "+12125550101", Sender.UNKNOWN),
    ],
)
def test_a_sender_is_known_where_it_is_registered_and_shown(
    sender_id: str, body: str, recipient: str, expected: Sender
) -> None:
    assert facts_of(sender_id=sender_id, body=body, recipient=recipient).sender is expected


@pytest.mark.parametrize(
    ("purpose", "body", "recipient", "expected"),
    [
        ("marketing", "Sale! Reply  STOP", "+12125550101", OptOut.MISSING),
        ("marketing", "Sale! Reply stop.", "+12125550101", OptOut.PRESENT),
        ("marketing", "促销 拒收请回复r", "+8613800000001", OptOut.PRESENT),
        ("marketing", "促销 拒收请回复R", "+12125550101", OptOut.MISSING),
        ("marketing", "promptly reply stopping", "+12125550101", OptOut.MISSING),
        ("transactional", "Your order", "+12125550101", OptOut.UNREAD),
    ],
)
def test_a_text_that_must_says_how_to_stop_it(
    purpose: str, body: str, recipient: str, expected: OptOut
) -> None:
    assert facts_of(purpose=purpose, body=body, recipient=recipient).opt_out is expected


@pytest.mark.parametrize(
    ("purpose", "body", "expected"),
    [
        ("transactional", "Your order. 20% off the next", Marks.ADVERTISING),
        ("transactional", "您的订单，优惠券", Marks.ADVERTISING),
        ("transactional", "A SALE. Join me", Marks.INVITATION),
        ("transactional", "wholesale", Marks.NONE),
        ("marketing", "sale", Marks.NONE),
    ],
)
def test_words_tell_what_a_message_is_for(purpose: str, body: str, expected: Marks) -> None:
    assert facts_of(purpose=purpose, body=body).marks is expected


@pytest.mark.parametrize(
    ("number", "of_record", "of_request", "expected"),
    [
        ("+8613800000001", None, None, Jurisdiction.CN),
        ("+12125550101", None, None, Jurisdiction.US),
        ("+14165550101", None, None, Jurisdiction.CA),
        ("+18005550101", None, None, Jurisdiction.OTHER),
        ("+4915112345678", None, None, Jurisdiction.EU),
        ("+447911123456", None, None, Jurisdiction.OTHER),
        ("+77011234567", None, None, Jurisdiction.OTHER),
        ("+17875550101", None, None, Jurisdiction.US),
        ("+12125550101", "CA-ON", None, Jurisdiction.OTHER),
        ("+12125550101", "US-TX", None, Jurisdiction.US),
        ("+12125550101", "US-TX", "DE", Jurisdiction.OTHER),
        ("+12125550101", "DE", "CN", Jurisdiction.CN),
        ("+447911123456", None, "US", Jurisdiction.OTHER),
        ("+999123", None, None, Jurisdiction.OTHER),
        ("+88812345678", None, None, Jurisdiction.OTHER),
        ("+88812345678", "US", None, Jurisdiction.US),
        ("+881612345678", None, "US", Jurisdiction.US),
        ("", None, "CN", Jurisdiction.CN),
    ],
)
def test_the_strictest_law_of_what_is_said_counts(
    number: str, of_record: str | None, of_request: str | None, expected: Jurisdiction
) -> None:
    state = subject(region=of_record)
    assert facts_of(state=state, recipient=number, region=of_request).jurisdiction is expected


def test_a_number_lies_where_its_area_code_does() -> None:
    assert regions_of_number("+12145550101") == ("US-TX",)
    assert jurisdiction_of("US-TX") is Jurisdiction.US


NUMBERS_LIE_IN = {region for regions in AREA_CODES.values() for region in regions} | {
    region
    for regions in COUNTRY_CODE_TO_REGION_CODE.values()
    for region in regions
    if region != REGION_CODE_FOR_NON_GEO_ENTITY
}


def test_hours_are_taken_for_each_region_a_number_may_lie_in_and_all_that_are_wider() -> None:
    regions = {*NUMBERS_LIE_IN, *Jurisdiction.__members__, ANYWHERE}
    windows = "".join(
        f'  - {{region: "{region}", purposes: [marketing], from: "08:00", to: "21:00", cites: R}}\n'
        for region in sorted(regions)
    )
    registers = f"hours:\n{windows}"
    files = {"policy.yaml": MANIFEST, "rules.yaml": RULES, "registers.yaml": registers}
    hours = load_policy_files(files, "small").registers.hours
    assert hours is not None
    assert {window.region for window in hours.windows} == regions


def test_a_state_in_two_zones_is_in_both() -> None:
    assert {"America/Chicago", "America/New_York"} <= {*zones_of_message("185055501", None, None)}
    assert "Asia/Shanghai" in zones_of_message("185055501", None, "CN")


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NEW_YORK, TEXAS, TOLL_FREE, CHINA = "+12125550101", "+12145550101", "+18005550101", "+8613800000001"
HOURS = [
    # number, zone and region of the record, UTC, the fact, when it opens
    (NEW_YORK, None, None, "2026-06-01T11:59", "QUIET", "2026-06-01T12:00"),
    (NEW_YORK, None, None, "2026-06-01T12:00", "OPEN", None),
    (NEW_YORK, None, None, "2026-06-02T01:00", "QUIET", "2026-06-02T12:00"),
    (NEW_YORK, "America/Los_Angeles", None, "2026-06-01T14:00", "QUIET", "2026-06-01T15:00"),
    (NEW_YORK, "Mars/Olympus", None, "2026-06-01T14:00", "UNKNOWN", None),
    # The clocks go forward on 2026-03-08: eight o'clock comes an hour sooner.
    (NEW_YORK, None, None, "2026-03-07T12:59", "QUIET", "2026-03-07T13:00"),
    (NEW_YORK, None, None, "2026-03-08T11:59", "QUIET", "2026-03-08T12:00"),
    # Texas: both zones, Sundays from noon, and only since its law.
    (TEXAS, None, None, "2026-06-01T14:30", "QUIET", "2026-06-01T15:00"),
    (TEXAS, None, None, "2026-06-07T16:00", "QUIET", "2026-06-07T18:00"),
    (TEXAS, None, None, "2025-06-01T14:30", "OPEN", None),
    # A record in Texas with a number of New York: both must be open.
    (NEW_YORK, "America/New_York", "US-TX", "2026-06-01T12:30", "QUIET", "2026-06-01T13:00"),
    # Anywhere in +1: from Guam to Newfoundland an hour and a half is open for all.
    (TOLL_FREE, None, None, "2026-06-01T16:00", "QUIET", "2026-06-01T22:00"),
    (TOLL_FREE, None, "US-TX", "2026-06-01T22:00", "QUIET", "2026-06-01T23:00"),
    ("+999123", None, "US", "2026-06-01T16:00", "QUIET", "2026-06-01T18:00"),
    ("+999123", None, "XX", "2026-06-01T16:00", "OPEN", None),
    (CHINA, None, None, "2026-06-01T13:00", "QUIET", "2026-06-02T00:00"),
    ("+4915112345678", None, None, "2026-06-01T02:00", "OPEN", None),
]


@pytest.mark.parametrize(("number", "zone", "region", "at", "expected", "opens"), HOURS)
def test_it_must_be_open_wherever_the_recipient_may_be(
    number: str, zone: str | None, region: str | None, at: str, expected: str, opens: str | None
) -> None:
    state = subject(time_zone=zone, region=region)
    message = request(recipient=number)
    assessed = assess(message, state, NameTable(), CampaignTable(), utc(at), SMALL.registers)
    assert assessed.facts.quiet_hours is QuietHours[expected]
    assert assessed.opens_at == (utc(opens) if opens else None)


def test_what_is_held_for_quiet_hours_says_until_when() -> None:
    verdicts = []
    for recipient in (NEW_YORK, TEXAS, NEW_YORK):
        message = request(recipient=recipient)
        at = utc("2026-06-01T11:00")
        assessed = assess(message, None, NameTable(), CampaignTable(), at, SMALL.registers)
        verdicts.append(SMALL.decide(assessed))
    first, other, again = verdicts
    assert isinstance(first, Quarantine)
    assert isinstance(other, Quarantine)
    assert first.hold_until == utc("2026-06-01T12:00")
    assert other.hold_until == utc("2026-06-01T15:00")
    assert again is first


def test_other_purposes_have_no_quiet_hours() -> None:
    night = utc("2026-06-01T06:00")
    assert (
        facts_of(night, purpose="transactional", recipient=NEW_YORK).quiet_hours is QuietHours.OPEN
    )


def test_registers_are_part_of_the_version() -> None:
    assert policy().version != policy(REGISTERS + "# said\n").version


MISTAKES = [
    ("linkz: {}", "1:1", "a register file has no linkz", "did you mean links?"),
    ("links: {owned: [a.example]}", "1:9", "links has no owned", "did you mean own?"),
    ("links: {own: [https://a.example]}", "1:15", "'https://a.example' is no host", "without https://"),
    ("links: {own: [a.example], short: [A.example]}", "1:35", "A.example is listed under own, too", "keep one"),
    ("links: {own: [a.example, 12]}", "1:26", "a host of own is `12`", "write text"),
    ("senders: [{name: shop}]", "1:12", "a sender has no name", ""),
    ("senders: [{id: a}, {id: a}]", "1:25", "a is listed twice", "keep one"),
    ("senders: [{id: a, jurisdictions: [USA]}]", "1:35", "there is no jurisdiction USA", "did you mean US?"),
    ("senders: []", "1:10", "senders is empty", ""),
    ("opt_out: {purposes: [markting], texts: {any: [STOP]}}", "1:22", "declares no purpose markting", "did you mean marketing?"),
    ("opt_out: {purposes: [marketing], texts: {FR: [STOP]}}", "1:46", "there is no jurisdiction FR", "any"),
    ("opt_out: {purposes: [marketing]}", "1:10", "opt_out lacks texts", "add a line"),
    ("marks: {invitation: [join]}", "1:8", "marks lacks under", "add a line"),
    (f"marks: {{under: [marketing], advertising: [{'x' * 101}]}}", "1:43", "over 100 characters", "telling"),
    (f"marks: {{under: [marketing], advertising: [{', '.join('x' * 101)}]}}", "1:343", "over 100 entries", "telling"),
    ('hours: [{region: USA, purposes: [marketing], from: "08:00", to: "21:00", cites: x}]', "1:18", "there is no region USA", "US-TX"),
    ('hours: [{region: US, purposes: [marketing], from: "8", to: "21:00", cites: x}]', "1:51", "from is no time of day", '"08:00"'),
    ('hours: [{region: US, purposes: [marketing], from: "21:00", to: "08:00", cites: x}]', "1:64", "ends before it begins", "over midnight"),
    ('hours: [{region: US, purposes: [marketing], from: "08:00", to: "24:30", cites: x}]', "1:64", "to is no time of day", ""),
    ('hours: [{region: US, purposes: [marketing], days: [mo], from: "08:00", to: "21:00", cites: x}]', "1:52", "there is no day mo", "did you mean mon?"),
    ('hours: [{region: US, purposes: [marketing], from: "08:00", to: "21:00"}]', "1:9", "a window lacks cites", "add a line"),
    ('hours: [{region: US, purposes: [marketing], from: "08:00", to: "21:00", cites: x, since: 2026-01-02, until: 2026-01-01}]', "1:109", "never in force", "after since"),
    ('hours: [{region: NO, purposes: [marketing], from: "08:00", to: "21:00", cites: x}]', "1:18", "region is `NO`", "in quotes"),
    ("links: &a {own: [a.example]}", "1:8", "&a is refused", "write it out"),
    ("{}", "1:1", "the register file is empty", "take it off"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "what", "remedy"), MISTAKES)
def test_a_mistake_in_a_register_is_named_with_its_place_and_remedy(
    text: str, place: str, what: str, remedy: str
) -> None:
    with pytest.raises(PolicyInvalid) as invalid:
        policy(text)
    found = str(invalid.value).splitlines()
    here = [each for each in found if each.startswith(f"small/registers.yaml:{place}: ")]
    assert any(what in each and remedy in each.partition("; ")[2] for each in here), found


def test_a_section_stands_in_one_file_only() -> None:
    files = {
        "policy.yaml": MANIFEST.replace("[registers.yaml]", "[registers.yaml, more.yaml]"),
        "rules.yaml": RULES,
        "registers.yaml": "links: {own: [a.example]}",
        "more.yaml": "links: {own: [b.example]}",
    }
    with pytest.raises(PolicyInvalid, match=r"more.yaml:1:8: links stands in registers.yaml:1"):
        load_policy_files(files, "small")


@pytest.mark.parametrize(
    ("needed", "what"),
    [
        ("99", "no vocabulary 99 here"),
        ("0", "no vocabulary 0 here"),
        ("new", "vocabulary is of type"),
    ],
)
def test_a_policy_that_needs_facts_which_are_not_read_is_refused(needed: str, what: str) -> None:
    files = {
        "policy.yaml": MANIFEST.replace("edition: '1'", f"edition: '1'\nvocabulary: {needed}"),
        "rules.yaml": RULES,
        "registers.yaml": REGISTERS,
    }
    with pytest.raises(PolicyInvalid, match=f"policy.yaml:3:13: .*{what}"):
        load_policy_files(files, "small")


GRANTED_THEN = grant(counts_from=1_000, offset=1)
OTHER = withdrawal("invite", at=2_000, offset=2)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (subject(grants=(GRANTED_THEN,)), Revocation.NONE),
        (subject(grants=(GRANTED_THEN,), withdrawals=(OTHER,)), Revocation.ELSEWHERE),
        (
            subject(grants=(grant(counts_from=3_000, offset=3),), withdrawals=(OTHER,)),
            Revocation.NONE,
        ),
        (
            subject(grants=(GRANTED_THEN,), withdrawals=(withdrawal(None, at=2_000, offset=2),)),
            Revocation.NONE,
        ),
        (subject(withdrawals=(OTHER,)), Revocation.ELSEWHERE),
    ],
)
def test_a_revocation_of_another_purpose_is_seen_until_a_later_yes(
    state: SubjectState, expected: Revocation
) -> None:
    assert facts_of(9_000, state).revocation is expected


@pytest.mark.parametrize(
    ("named", "body", "expected"),
    [
        (None, "Jo Doe", Referrer.NONE),
        (Referral("Jo Doe", True, True), "From jo doe: come!", Referrer.NAMED),
        (Referral("Jo Doe", True, True), "From Jo: come!", Referrer.INCOMPLETE),
        (Referral("Jo Doe", True, False), "From Jo Doe", Referrer.INCOMPLETE),
        (Referral(" ", True, True), "From", Referrer.INCOMPLETE),
    ],
)
def test_a_referral_shows_the_name_of_somebody_who_knows_both(
    named: Referral | None, body: str, expected: Referrer
) -> None:
    assert facts_of(referral=named, body=body).referrer is expected
