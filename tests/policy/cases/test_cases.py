# ruff: noqa: E501 - a row of these tables is a line
"""Reading made-up cases: defaults, times, the order of a history; each mistake with its place."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest

from streams.errors import PolicyInvalid
from streams.policy.cases.cases import UNWRITTEN_BODY, Case, made_up_id, read_cases
from streams.records.events import (
    Basis,
    Campaign,
    CampaignState,
    ConsentEvent,
    ConsentKind,
    ContactEntry,
    NameConsent,
    Source,
)
from streams.records.requests import TextAuthor

AT = 1_777_629_600_000
"""2026-05-01T10:00:00Z"""

CASE = """\
id: one
at: 2026-05-01T10:00:00Z
recipient: "+8613800000001"
request: {purpose: marketing}
"""


def one(text: str) -> Case:
    (case,) = read_cases("cases.yaml", text, "here")
    return case


def history(*items: str) -> Case:
    return one(CASE + "history:\n" + "".join(f"  - {item}\n" for item in items))


def test_what_is_not_written_takes_its_default() -> None:
    case = one(CASE)
    request = case.request
    assert (case.id, case.at, case.recipient, case.history) == ("one", AT, "+8613800000001", ())
    assert (request.request_id, request.recipient, request.requested_at) == (
        "one",
        "+8613800000001",
        AT,
    )
    assert (request.valid_until, request.template_params) == (None, {})
    assert request.body == UNWRITTEN_BODY
    assert request.initiator.user is None


def test_every_field_is_written_as_in_its_schema() -> None:
    case = one(
        CASE.replace(
            "request: {purpose: marketing}",
            """\
request:
  purpose: invite
  valid_until: 1777629600001
  template_params: {code: "12"}
  body: Hello
  occasion: {kind: order, reference: "1", at: 2026-05-01}
  initiator:
    user: +8613900000002
    evidence: {text_shown: true, text_author: USER, confirmed_sha256: this-message}
  named_persons: [{name: yes, number: null}]
  claims: []
  referral: {referrer_name: A, knows_sender: on}
  region: CN""",
        )
    )
    request = case.request
    assert request.valid_until == AT + 1
    assert request.template_params == {"code": "12"}
    assert request.occasion is not None
    assert request.occasion.at == AT - 10 * 3_600_000
    evidence = request.initiator.evidence
    assert request.initiator.user == "+8613900000002"
    assert evidence is not None
    assert (evidence.text_shown, evidence.text_author) == (True, TextAuthor.USER)
    assert evidence.confirmed_sha256 == sha256(b"+8613800000001\nHello").hexdigest()
    assert [person.name for person in request.named_persons] == ["yes"]
    assert request.referral is not None
    assert request.referral.knows_sender


def test_a_history_holds_all_that_the_gate_follows() -> None:
    case = history(
        "consent_event: {kind: GRANTED, purpose: marketing}",
        "contact_entry: {mandatory: true}",
        'name_consent: {subject: "+8613700000003"}',
        "campaign: {campaign_id: spring, state: PAUSED}",
    )
    event, entry, name, campaign = (item.record for item in case.history)
    assert isinstance(event, ConsentEvent)
    assert (event.kind, event.source, event.subject) == (
        ConsentKind.GRANTED,
        Source.SELF_SERVICE,
        "+8613800000001",
    )
    # A writer who does not say that a consent is express has not said so.
    assert event.basis is Basis.IMPLIED
    assert isinstance(entry, ContactEntry)
    assert (entry.mandatory, entry.undisclosed) == (True, False)
    assert entry.subject_id == made_up_id("+8613800000001")
    assert isinstance(name, NameConsent)
    assert name.granted
    assert isinstance(campaign, Campaign)
    assert campaign.state is CampaignState.PAUSED
    assert [item.line for item in case.history] == [6, 7, 8, 9]


def test_times_that_are_not_written_keep_the_order_of_the_history() -> None:
    case = history(
        "consent_event: {kind: GRANTED, purpose: marketing}",
        "consent_event: {kind: WITHDRAWN, occurred_at: 2026-04-01}",
        "consent_event: {kind: GRANTED, purpose: marketing}",
    )
    times = [item.appended_at for item in case.history]
    assert times == sorted(set(times))
    assert all(time < AT for time in times)
    assert [item.record.occurred_at for item in case.history] == times  # type: ignore[union-attr]


def test_what_comes_late_was_appended_after_what_stands_above_it() -> None:
    case = history(
        "consent_event: {kind: WITHDRAWN, occurred_at: 2026-04-01}",
        "consent_event: {kind: GRANTED, purpose: marketing, occurred_at: 2026-01-01}",
        "consent_event: {kind: GRANTED, purpose: marketing, occurred_at: 2027-01-01}",
    )
    first, late, ahead = case.history
    assert late.appended_at == first.appended_at
    assert ahead.appended_at == AT


def test_cases_may_be_documents_or_entries_of_a_list() -> None:
    listed = "\n".join("  " + line for line in CASE.splitlines())
    text = f"---\n{CASE}---\n{CASE.replace('one', 'two')}---\n-{listed[1:]}\n".replace(
        "id: one", "id: three", 2
    ).replace("id: three", "id: one", 1)
    assert [case.id for case in read_cases("c.yaml", text, "here")] == ["one", "two", "three"]


def test_time_and_recipient_may_stand_in_the_request_alone() -> None:
    case = one(
        "id: a\nrequest: {purpose: otp, recipient: +8613800000001, requested_at: 1777629600000}\n"
    )
    assert (case.at, case.recipient) == (AT, "+8613800000001")


MISTAKES = [
    ("", "1:1", "the file is empty", "fill it"),
    ("- \n", "1:2", "a case is left empty", "key: value"),
    ("id: one\n", "1:1", "a case lacks request", "request: ..."),
    (CASE + "histroy: []\n", "5:1", "a case has no histroy", "did you mean history?"),
    (CASE.replace("at: 2026-05-01T10:00:00Z\n", ""), "1:1", "lacks at", "at: 2026"),
    (CASE.replace('recipient: "+8613800000001"\n', ""), "1:1", "lacks recipient", "recipient:"),
    (CASE.replace("2026-05-01T10:00:00Z", "yesterday"), "2:5", "at is no time", "milliseconds"),
    (CASE.replace("2026-05-01T10", "2026-05-41T10"), "2:5", "at is no time", "milliseconds"),
    (CASE.replace("+86", "0086"), "3:12", "not an E.164 number", "15 digits"),
    (CASE.replace("purpose: marketing", ""), "4:10", "request lacks purpose", "purpose: ..."),
    (CASE.replace("{purpose: marketing", "{purpose: "), "4:19", "purpose of request is left empty", "text"),
    (CASE.replace("{purpose", "{porpose"), "4:11", "request has no porpose", "did you mean purpose?"),
    (CASE.replace("marketing", "marketing, body: []"), "4:37", "body of request is a list", "text"),
    (CASE.replace("marketing", 'marketing, recipient: "+8613800000002"'), "4:10", "is not the case's", "once"),
    (CASE.replace("marketing", "marketing, initiator: {evidence: {text_shown: 1}}"), "4:66", "text_shown of evidence of initiator of request", "true or false"),
    (CASE.replace("marketing", "marketing, claims: [{kind: k, evidence: DECLRED}]"), "4:60", "cannot be 'DECLRED'", "DECLARED?"),
    (CASE.replace("marketing", "marketing, claims: [{evidence: NONE}]"), "4:40", "lacks kind", "kind: ..."),
    (CASE + "---\n" + CASE, "6:5", "the id one is taken by line 1", "another"),
    (CASE + "history: [{}]\n", "5:11", "holds 0 records", "consent_event"),
    (CASE + "history: [{campaign: {}, consent_event: {}}]\n", "5:11", "holds 2 records", "campaign"),
    (CASE + "history: [{consnet_event: {}}]\n", "5:12", "has no consnet_event", "consent_event?"),
    (CASE + "history: [{template: {}}]\n", "5:22", "template lacks template_id", "add a line"),
    (CASE + "history: [{consent_event: {kind: GRANT}}]\n", "5:34", "kind of consent_event cannot be 'GRANT'", "GRANTED?"),
    (CASE + "history: [{consent_event: {}}]\n", "5:27", "consent_event lacks kind", "kind: ..."),
    (CASE + "history: [{consent_event: {kind: GRANTED, conditional: maybe}}]\n", "5:56", "of type str", "true or false"),
    (CASE + "history: [{contact_entry: {subject_id: xyz}}]\n", "5:40", "not in hex", "two of 0 to 9"),
    (CASE + "history: [{contact_entry: {position: 1.5}}]\n", "5:38", "of type float", "whole number"),
    (CASE + "history: [{name_consent: {granted: true}}]\n", "5:26", "lacks subject", "subject: ..."),
    (CASE + "history: [{campaign: {state: PAUSED}}]\n", "5:22", "lacks campaign_id", "campaign_id: ..."),
    (CASE + "history: all\n", "5:10", "history is text", "list"),
    (CASE + "expect: {}\n", "5:9", "expect lacks verdict", "verdict: ..."),
    (CASE + "expect: {verdict: DROP}\n", "5:19", "the verdict cannot be 'DROP'", "DROPPED?"),
    (CASE + "expect: {verdict: DROPPED, reasons: [NO_CONCENT]}\n", "5:38", "no reason NO_CONCENT", "NO_CONSENT?"),
    (CASE + "expect: {verdict: DROPPED, reason: NO_CONSENT}\n", "5:28", "expect has no reason", "reasons?"),
    (CASE + "expect: {verdict: DROPPED, facts: {consnet: NONE}}\n", "5:36", "facts has no consnet", "consent?"),
    (CASE + "expect: {verdict: DROPPED, facts: {consent: NON}}\n", "5:45", "consent cannot be NON", "NONE?"),
    (CASE + "expect: {verdict: DROPPED, releasable: 1}\n", "5:40", "of type int", "true or false"),
    (CASE + "about: &a text\n", "5:8", "&a is refused", "in full"),
    (CASE + "about: !!python/name:os.system x\n", "5:8", "the tag", "take it out"),
    (CASE + "about: " + "[" * 20 + "]" * 20 + "\n", "5:15", "nested too deeply", "flatter"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "what", "remedy"), MISTAKES)
def test_a_mistake_is_named_with_its_place_and_remedy(
    text: str, place: str, what: str, remedy: str
) -> None:
    with pytest.raises(PolicyInvalid) as invalid:
        read_cases("cases.yaml", text, "here")
    lines = str(invalid.value).splitlines()
    shape = re.compile(rf"here/cases\.yaml:{place}: (?P<what>.+); (?P<remedy>.+)")
    fitting = [match for line in lines if (match := shape.fullmatch(line)) and what in line]
    assert fitting, lines
    assert remedy in fitting[0]["remedy"]


def test_no_mistake_repeats_what_may_be_a_persons() -> None:
    secret = "+8613812345678"
    broken = CASE.replace("+8613800000001", secret + "99") + (
        f"history:\n  - name_consent: {{subject: {secret}, granted: '{secret}', until: {secret}x}}\n"
        f"  - consent_event: {{kind: GRANTED, occurred_at: 'at {secret}'}}\n"
        f"expect: {{verdict: DROPPED, hold_until: 'x{secret}'}}\n"
    )
    with pytest.raises(PolicyInvalid) as invalid:
        read_cases("cases.yaml", broken, "here")
    assert secret not in str(invalid.value)
