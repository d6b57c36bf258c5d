"""Each fact, read from a request and a state: one test a rule that the design or the law states."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streams.policy.facts import Facts, assess, nothing_known
from streams.policy.vocabulary import (
    Campaign,
    Claims,
    Consent,
    Erasure,
    Freedom,
    Holder,
    Initiator,
    Jurisdiction,
    Marks,
    Member,
    Names,
    Number,
    Occasion,
    Reassignment,
    State,
    Suppression,
    Taint,
    Upload,
    Validity,
    Voice,
    Withdrawal,
)
from streams.records import requests
from streams.records.events import Basis, Origin, Source
from streams.records.requests import (
    Claim,
    ClaimEvidence,
    InitiatorEvidence,
    NamedPerson,
    Referral,
    SmsRequested,
    TextAuthor,
)
from streams.records.subject import Membership, SubjectState, UploadTrace
from tests.policy.messages import (
    FRIEND,
    LOGIN,
    NOW,
    ORDER,
    RECIPIENT,
    USER,
    CampaignTable,
    NameTable,
    confirmed_by_user,
    grant,
    member,
    request,
    subject,
    trace,
    withdrawal,
)


def facts_of(
    message: SmsRequested, state: SubjectState | None = None, *, named: tuple[str, ...] = ()
) -> Facts:
    return assess(message, state, NameTable(*named), CampaignTable("paused"), NOW).facts


def test_of_a_bare_message_to_a_stranger_nothing_is_known_but_the_number_s_country() -> None:
    nothing = nothing_known("marketing")._replace(jurisdiction=Jurisdiction.CN)
    assert facts_of(request()) == nothing


def test_an_assessment_names_the_consent_that_decided_and_its_time() -> None:
    assessed = assess(request(), subject(grants=(grant(),)), NameTable(), CampaignTable(), NOW)
    assert (assessed.consent_event_id, assessed.assessed_at) == ("granted", NOW)


def test_facts_can_be_recorded_and_read_back() -> None:
    facts = facts_of(request(campaign_id="spring"), member())
    assert Facts.from_map(facts.as_map()) == facts
    assert facts.as_map()["purpose"] == "marketing"
    assert facts.as_map()["campaign"] == "ACTIVE"


@pytest.mark.parametrize("change", [{"consent": "PERHAPS"}, {"mood": "GOOD"}])
def test_facts_of_another_vocabulary_are_not_guessed(change: dict[str, str]) -> None:
    assert Facts.from_map(nothing_known("otp").as_map() | change) is None


DAY = 86_400_000


@pytest.mark.parametrize(
    ("days", "checked", "expected"),
    [
        (45, None, Holder.RECENT),
        (46, None, Holder.WITHIN_YEAR),
        (365, None, Holder.WITHIN_YEAR),
        (366, None, Holder.OLD),
        (366, (366, 45), Holder.RECENT),
        (366, (400, 46), Holder.WITHIN_YEAR),
        (366, (365, 1), Holder.OLD),
        (10, (400, 300), Holder.RECENT),
    ],
)
def test_a_holder_is_known_from_the_consent_or_from_a_finding_that_covers_the_time_since(
    days: int, checked: tuple[int, int] | None, expected: Holder
) -> None:
    since, at = (None, None) if checked is None else (NOW - day * DAY for day in checked)
    given = grant(counts_from=NOW - days * DAY)
    state = subject(grants=(given,), checked_since=since, checked_at=at)
    assert facts_of(request(), state).holder is expected


def test_a_state_with_an_unreadable_event_is_undecodable() -> None:
    assert facts_of(request(), subject(undecodable=(7,))).state is State.UNDECODABLE


@pytest.mark.parametrize(
    ("conditional", "freedom"), [(False, Freedom.FREE), (True, Freedom.CONDITIONAL)]
)
def test_a_bundled_consent_is_not_free(conditional: bool, freedom: Freedom) -> None:
    facts = facts_of(request(), subject(grants=(grant(conditional=conditional),)))
    assert (facts.consent, facts.freedom) == (Consent.GRANTED, freedom)


def test_withdrawal_of_this_purpose_and_of_everything_are_facts_of_their_own() -> None:
    purpose_only = facts_of(request(), subject(withdrawals=(withdrawal(),)))
    everything = facts_of(request(), subject(withdrawals=(withdrawal(None),)))
    assert (purpose_only.withdrawal, purpose_only.suppression) == (
        Withdrawal.PURPOSE,
        Suppression.NONE,
    )
    assert (everything.withdrawal, everything.suppression) == (Withdrawal.NONE, Suppression.ALL)


def test_an_erasure_stands_for_every_purpose() -> None:
    assert facts_of(request(purpose="otp"), subject(erased_at=NOW)).erasure is Erasure.ERASED


@pytest.mark.parametrize(
    ("changes", "reassigned"),
    [
        ({"grants": (grant(counts_from=NOW - 10),)}, Reassignment.REASSIGNED),
        ({"membership": Membership(NOW - 10, 1, "registered")}, Reassignment.REASSIGNED),
        ({}, Reassignment.NONE),
        ({"grants": (grant(counts_from=NOW),)}, Reassignment.NONE),
    ],
)
def test_a_number_is_reassigned_where_only_its_former_holder_said_yes(
    changes: dict[str, object], reassigned: Reassignment
) -> None:
    state = subject(reassigned_at=NOW - 5, **changes)
    assert facts_of(request(), state).reassignment is reassigned


@pytest.mark.parametrize(
    ("changes", "is_member"),
    [
        ({}, Member.YES),
        ({"membership": None}, Member.NO),
        ({"reassigned_at": NOW}, Member.NO),
        ({"erased_at": NOW}, Member.NO),
    ],
)
def test_a_member_is_the_present_holder_registered_since_any_erasure(
    changes: dict[str, object], is_member: Member
) -> None:
    assert facts_of(request(), member(**changes)).member is is_member


@pytest.mark.parametrize(
    ("origin", "number"),
    [
        (Origin.SELF_ENTERED, Number.SELF_ENTERED),
        (Origin.CUSTOMER, Number.CUSTOMER),
        (Origin.PURCHASED, Number.PURCHASED),
        (Origin.PUBLIC, Number.PUBLIC),
    ],
)
def test_a_declared_origin_is_where_the_number_comes_from(origin: Origin, number: Number) -> None:
    state = subject(origin=origin, origin_at=NOW - 1, uploads=(trace(),))
    assert facts_of(request(), state).number is number


def test_without_a_declared_origin_a_live_trace_says_uploaded() -> None:
    assert facts_of(request(), subject(uploads=(trace(),))).number is Number.UPLOADED
    forgotten = subject(uploads=(trace(expires_at=NOW),))
    assert facts_of(request(), forgotten).number is Number.UNKNOWN


@pytest.mark.parametrize("since", [NOW - 10, None])
def test_a_good_origin_ends_with_its_holder_and_a_bad_one_stays(since: int | None) -> None:
    for origin, number in [
        (Origin.CUSTOMER, Number.UNKNOWN),
        (Origin.PURCHASED, Number.PURCHASED),
    ]:
        state = subject(origin=origin, origin_at=since, reassigned_at=NOW - 5)
        assert facts_of(request(), state).number is number


@pytest.mark.parametrize(
    ("traces", "upload"),
    [
        ((), Upload.NOT_UPLOADED),
        ((trace(),), Upload.CLEAN),
        ((trace(mandatory=True),), Upload.MANDATORY),
        ((trace(undisclosed=True),), Upload.UNDISCLOSED),
        ((trace(mandatory=True), trace(undisclosed=True)), Upload.BOTH),
        ((trace(), trace(mandatory=True, expires_at=NOW)), Upload.CLEAN),
        ((trace(mandatory=True, expires_at=NOW),), Upload.NOT_UPLOADED),
    ],
)
def test_the_worst_of_all_live_address_books_counts(
    traces: tuple[UploadTrace, ...], upload: Upload
) -> None:
    assert facts_of(request(), subject(uploads=traces)).upload is upload


UPLOADED = subject(uploads=(trace(mandatory=True),))


@pytest.mark.parametrize(
    ("purpose", "state", "taint"),
    [
        ("marketing", None, Taint.NONE),
        ("marketing", member(), Taint.NONE),
        ("marketing", UPLOADED, Taint.STANDING),
        ("marketing", subject(origin=Origin.PURCHASED, origin_at=1), Taint.STANDING),
        ("marketing", member(uploads=(trace(),)), Taint.STANDING),
        ("otp", UPLOADED, Taint.EXEMPT),
        ("transactional", member(uploads=(trace(),)), Taint.EXEMPT),
        ("transactional", UPLOADED, Taint.STANDING),
    ],
)
def test_taint_stands_except_for_passwords_and_news_to_members(
    purpose: str, state: SubjectState | None, taint: Taint
) -> None:
    assert facts_of(request(purpose=purpose), state).taint is taint


@pytest.mark.parametrize(
    ("given", "taint"),
    [
        (grant(), Taint.LIFTED),
        (grant("invite"), Taint.STANDING),
        (grant(basis=Basis.SOFT_OPT_IN), Taint.STANDING),
        (grant(source=Source.BULK_IMPORT), Taint.STANDING),
        (grant(expires_at=NOW), Taint.STANDING),
    ],
)
def test_only_the_persons_own_express_consent_to_the_purpose_lifts_taint(
    given: object, taint: Taint
) -> None:
    state = replace(UPLOADED, grants=(given,))  # type: ignore[arg-type]
    assert facts_of(request(), state).taint is taint


def test_a_user_who_knew_picked_saw_wrote_and_confirmed_is_the_initiator() -> None:
    assert facts_of(request(initiator=confirmed_by_user())).initiator is Initiator.USER


@pytest.mark.parametrize(
    "missing",
    [
        {"recipient_hand_picked": False},
        {"effect_disclosed": False},
        {"text_shown": False},
        {"confirmed_at": None},
        {"confirmed_sha256": None},
        {"text_author": TextAuthor.PLATFORM},
    ],
)
def test_anything_less_is_the_platform(missing: dict[str, object]) -> None:
    complete = confirmed_by_user()
    assert complete.evidence
    evidence = replace(complete.evidence, **missing)  # type: ignore[arg-type]
    message = request(initiator=replace(complete, evidence=evidence))
    assert facts_of(message).initiator is Initiator.PLATFORM


def test_no_evidence_or_nobody_named_is_the_platform() -> None:
    nobody = replace(confirmed_by_user(), user=None)
    assert facts_of(request(initiator=nobody)).initiator is Initiator.PLATFORM
    unproved = requests.Initiator(USER, "tap_invite", None)
    assert facts_of(request(initiator=unproved)).initiator is Initiator.PLATFORM


@pytest.mark.parametrize(
    "other", [{"body": "Something else."}, {"recipient": FRIEND}, {"body": "Come and see. "}]
)
def test_a_confirmation_of_another_text_or_recipient_is_contradictory(
    other: dict[str, str],
) -> None:
    message = request(initiator=confirmed_by_user(), **other)
    assert facts_of(message).initiator is Initiator.CONTRADICTORY


def test_half_claimed_evidence_with_a_wrong_hash_is_the_platform() -> None:
    evidence = InitiatorEvidence(text_shown=True, confirmed_sha256="0" * 64)
    message = request(initiator=requests.Initiator(USER, "rating", evidence))
    assert facts_of(message).initiator is Initiator.PLATFORM


@pytest.mark.parametrize(
    ("changes", "voice"),
    [
        ({}, Voice.PLATFORM),
        ({"initiator": requests.Initiator(None, "schedule")}, Voice.PLATFORM),
        ({"initiator": requests.Initiator(RECIPIENT, "login")}, Voice.PLATFORM),
        ({"initiator": requests.Initiator(USER, "rating")}, Voice.USER),
        ({"referral": Referral("A. Friend")}, Voice.USER),
        ({"named_persons": (NamedPerson("A. Friend", FRIEND, "referrer"),)}, Voice.USER),
        ({"named_persons": (NamedPerson("A. Friend", FRIEND, None),)}, Voice.PLATFORM),
    ],
)
def test_the_message_comes_in_a_users_voice_if_one_is_put_forward(
    changes: dict[str, object], voice: Voice
) -> None:
    assert facts_of(request(**changes)).voice is voice


def person(number: str | None) -> NamedPerson:
    return NamedPerson("Somebody", number)


@pytest.mark.parametrize(
    ("persons", "names"),
    [
        ((), Names.NONE),
        ((person(RECIPIENT),), Names.NONE),
        ((person(USER),), Names.NONE),
        ((person(FRIEND),), Names.CONSENTED),
        ((person("+8613000000009"),), Names.UNCONSENTED),
        ((person(None),), Names.UNCONSENTED),
        ((person(FRIEND), person("+8613000000009")), Names.UNCONSENTED),
    ],
)
def test_third_persons_must_each_allow_their_name(
    persons: tuple[NamedPerson, ...], names: Names
) -> None:
    message = request(named_persons=persons, initiator=requests.Initiator(USER))
    assert facts_of(message, named=(FRIEND,)).names is names


@pytest.mark.parametrize(
    ("evidence", "claims"),
    [
        ((), Claims.NONE),
        ((ClaimEvidence.DECLARED,), Claims.DECLARED),
        ((ClaimEvidence.INFERRED,), Claims.UNSUPPORTED),
        ((ClaimEvidence.NONE,), Claims.UNSUPPORTED),
        ((ClaimEvidence.DECLARED, ClaimEvidence.INFERRED), Claims.UNSUPPORTED),
    ],
)
def test_a_claim_needs_somebody_who_declared_it(
    evidence: tuple[ClaimEvidence, ...], claims: Claims
) -> None:
    message = request(claims=tuple(Claim("former_colleague", one) for one in evidence))
    assert facts_of(message).claims is claims


@pytest.mark.parametrize(
    ("due_to", "occasion"),
    [
        (None, Occasion.NONE),
        (ORDER, Occasion.PRESENT),
        (LOGIN, Occasion.ASKED),
        (requests.Occasion("registration", "r"), Occasion.ASKED),
        (requests.Occasion("inbound_sms", "m"), Occasion.INBOUND),
        (requests.Occasion("something_of_ours", "x"), Occasion.PRESENT),
        (requests.Occasion("login", ""), Occasion.NONE),
    ],
)
def test_an_occasion_counts_by_its_kind_and_needs_a_reference(
    due_to: requests.Occasion | None, occasion: Occasion
) -> None:
    assert facts_of(request(occasion=due_to)).occasion is occasion


@pytest.mark.parametrize(
    ("changes", "marks"),
    [
        ({}, Marks.NONE),
        ({"referral": Referral("A. Friend")}, Marks.INVITATION),
        ({"claims": (Claim("former_colleague"),)}, Marks.INVITATION),
        ({"initiator": requests.Initiator(USER, "rating")}, Marks.INVITATION),
        ({"initiator": requests.Initiator(None, "upload")}, Marks.INVITATION),
        ({"initiator": requests.Initiator(RECIPIENT, "upload")}, Marks.NONE),
        ({"initiator": requests.Initiator(RECIPIENT, "registration")}, Marks.NONE),
    ],
)
def test_marks_of_an_invitation_show_under_any_purpose(
    changes: dict[str, object], marks: Marks
) -> None:
    assert facts_of(request(purpose="otp", **changes)).marks is marks


@pytest.mark.parametrize(
    ("valid_until", "validity"),
    [(None, Validity.LIVE), (NOW + 1, Validity.LIVE), (NOW, Validity.EXPIRED)],
)
def test_a_message_is_over_from_valid_until_on(valid_until: int | None, validity: Validity) -> None:
    assert facts_of(request(valid_until=valid_until)).validity is validity


@pytest.mark.parametrize(
    ("campaign_id", "campaign"),
    [(None, Campaign.NONE), ("spring", Campaign.ACTIVE), ("paused", Campaign.PAUSED)],
)
def test_a_campaign_may_be_paused(campaign_id: str | None, campaign: Campaign) -> None:
    assert facts_of(request(campaign_id=campaign_id)).campaign is campaign


def test_no_fact_holds_a_number_a_name_or_a_text() -> None:
    message = request(
        named_persons=(NamedPerson("Somebody", FRIEND),), initiator=confirmed_by_user()
    )
    recorded = " ".join(facts_of(message, member()).as_map().values())
    for secret in (RECIPIENT, USER, FRIEND, "Somebody", message.body):
        assert secret not in recorded
