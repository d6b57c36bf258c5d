"""What must hold for any facts, any state and any rules."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.policy import asking, once, readings
from streams.policy.confirming import MAY_NEED_IT, Confirming
from streams.policy.consent import consent_for
from streams.policy.facts import VOCABULARY, Facts, assess
from streams.policy.policy import Policy
from streams.policy.reasons import severest_first
from streams.policy.rules import Then
from streams.policy.verdicts import Allow
from streams.policy.vocabulary import (
    Asking,
    Consent,
    Frequency,
    Jurisdiction,
    Links,
    OptOut,
    QuietHours,
    Registration,
    Repetition,
    Sender,
    TemplateMatch,
)
from streams.records.events import Basis, Origin, Source
from streams.records.requests import (
    Claim,
    ClaimEvidence,
    Initiator,
    NamedPerson,
    Occasion,
    Referral,
    SmsRequested,
)
from streams.records.subject import Grant, Membership, StopSaid, SubjectState, Withdrawal
from tests.policy.messages import (
    FRIEND,
    NOW,
    RECIPIENT,
    USER,
    CampaignTable,
    NameTable,
    confirmed_by_user,
    grant,
    plain_policy,
    request,
    subject,
    trace,
    withdrawal,
)


@cache
def shipped() -> Policy:
    return plain_policy()


PURPOSES = ("invite", "marketing", "transactional", "otp", "service_reply")
NEED_CONSENT = ("invite", "marketing")
TIMES = st.integers(NOW - 5, NOW + 5)
OFFSETS = st.integers(0, 20)
DIGESTS = st.sampled_from([once.message_digest(b"s" * 16, reference) for reference in "123"])
WANTED = Confirming(frozenset({"marketing", "invite"}), MAY_NEED_IT, within_ms=3)
unhurried = settings(deadline=None)
"""A shared machine may stop a test for longer than any deadline."""


def facts() -> st.SearchStrategy[Facts]:
    """Any facts at all, the impossible ones too."""
    kinds = [st.sampled_from(list(kind)) for kind in VOCABULARY.values()]
    return st.tuples(st.sampled_from((*PURPOSES, "unheard_of")), *kinds).map(Facts._make)


def grants() -> st.SearchStrategy[Grant]:
    return st.builds(
        grant,
        purpose=st.sampled_from(PURPOSES),
        basis=st.sampled_from(Basis),
        conditional=st.booleans(),
        sender_id=st.sampled_from((None, "shop", "bank")),
        campaign_id=st.sampled_from((None, "spring")),
        counts_from=TIMES,
        offset=OFFSETS,
        expires_at=st.none() | TIMES,
        source=st.sampled_from(Source),
        event_id=OFFSETS.map(str),
        confirmed_at=st.none() | TIMES,
        asked=st.lists(TIMES, max_size=2).map(tuple),
    )


def withdrawals() -> st.SearchStrategy[Withdrawal]:
    return st.builds(
        withdrawal,
        purpose=st.sampled_from((None, *PURPOSES)),
        sender_id=st.sampled_from((None, "shop", "bank")),
        campaign_id=st.sampled_from((None, "spring")),
        at=TIMES,
        offset=OFFSETS,
        source=st.sampled_from(Source),
        event_id=OFFSETS.map(str),
    )


def states() -> st.SearchStrategy[SubjectState]:
    return st.builds(
        subject,
        grants=st.lists(grants(), max_size=4).map(tuple),
        withdrawals=st.lists(withdrawals(), max_size=2).map(tuple),
        membership=st.none() | TIMES.map(lambda since: Membership(since, 1, "registered")),
        reassigned_at=st.none() | TIMES,
        erased_at=st.none() | TIMES,
        origin=st.none() | st.sampled_from(Origin),
        origin_at=st.none() | TIMES,
        uploads=st.lists(
            st.builds(trace, mandatory=st.booleans(), undisclosed=st.booleans(), expires_at=TIMES),
            max_size=2,
        ).map(tuple),
        undecodable=st.sampled_from(((), (), (), (3,))),
        stop=st.none() | st.builds(StopSaid, DIGESTS, TIMES),
        answered=st.lists(DIGESTS, max_size=2).map(tuple),
        referred=st.booleans(),
        checked_since=st.none() | TIMES,
        checked_at=st.none() | TIMES,
    )


def messages(purposes: tuple[str, ...] = PURPOSES) -> st.SearchStrategy[SmsRequested]:
    numbers = st.sampled_from((None, RECIPIENT, USER, FRIEND))
    named = st.builds(NamedPerson, st.just("A"), numbers)
    triggers = st.sampled_from((None, "schedule", "rating", "upload", "tap_invite"))
    return st.builds(
        request,
        purpose=st.sampled_from(purposes),
        campaign_id=st.sampled_from((None, "spring", "paused")),
        valid_until=st.none() | TIMES,
        occasion=st.none()
        | st.builds(
            Occasion,
            st.sampled_from(("order", "login", "inbound_sms", "confirmation")),
            st.just("1"),
        ),
        initiator=st.builds(Initiator, numbers, triggers) | st.just(confirmed_by_user()),
        named_persons=st.lists(named, max_size=2).map(tuple),
        claims=st.lists(
            st.builds(Claim, st.just("colleague"), st.sampled_from(ClaimEvidence)), max_size=1
        ).map(tuple),
        referral=st.sampled_from((None, None, Referral("A"))),
    )


@unhurried
@given(messages((*PURPOSES, "confirmation")), st.none() | states(), st.none() | st.just(WANTED))
def test_what_is_said_of_nothing_without_asking_is_what_the_readings_say(
    message: SmsRequested, state: SubjectState | None, wanted: Confirming | None
) -> None:
    campaigns = CampaignTable("paused", FRIEND)
    assessed = assess(message, state, NameTable(FRIEND), campaigns, NOW, confirming=wanted)
    sender = message.sender_id
    view = consent_for(state, message.purpose, sender, message.campaign_id, NOW, wanted)
    about = asking.asked_about(message)
    asks = asking.asking(state, about, sender, wanted, NOW) if about else Asking.NONE
    of_number = readings.member(state), readings.number(state, NOW), readings.upload(state, NOW)
    named = view.event_id if asks is Asking.NONE else about
    assert assessed[1:] == (named, NOW, None, None)
    assert assessed.facts == Facts(
        message.purpose,
        readings.readability(state),
        view.status,
        view.basis,
        readings.freedom(view),
        readings.withdrawal(view),
        readings.suppression(view),
        readings.erasure(view),
        readings.reassignment(view, state),
        readings.holder(view, state or subject(), NOW),
        *of_number,
        readings.taint(message.purpose, view, *of_number),
        readings.initiator(message),
        readings.voice(message),
        readings.named(message, NameTable(FRIEND), NOW),
        readings.claims(message),
        readings.occasion(message),
        once.answer(state, once.answered_message(message), NOW),
        asks,
        once.referral(state, refers=once.refers(message)),
        Repetition.FIRST,
        Frequency.WITHIN,
        readings.marks(message),
        readings.validity(message.valid_until, NOW),
        readings.campaign(message.campaign_id, message.initiator.user == FRIEND, campaigns),
        Jurisdiction.CN,
        QuietHours.OPEN,
        Links.UNREAD,
        Registration.NONE,
        Sender.UNREAD,
        OptOut.UNREAD,
        readings.referrer(readings.referred_by(message), message.body),
        readings.revocation(state, message.purpose, view.event_id),
        TemplateMatch.NONE,
    )


def allowed(message: SmsRequested, state: SubjectState | None) -> bool:
    assessment = assess(message, state, NameTable(FRIEND), CampaignTable("paused"), NOW)
    return isinstance(shipped().decide(assessment), Allow)


@unhurried
@given(facts())
def test_whatever_is_not_allowed_has_reasons_the_severest_first(any_facts: Facts) -> None:
    verdict = shipped().verdict(any_facts, NOW)
    reasons = () if isinstance(verdict, Allow) else verdict.reasons
    assert reasons == severest_first(set(reasons))
    assert isinstance(verdict, Allow) or reasons


@unhurried
@given(facts())
def test_whatever_else_is_so_advertising_needs_consent(any_facts: Facts) -> None:
    verdict = shipped().verdict(any_facts, NOW)
    if any_facts.purpose in NEED_CONSENT and any_facts.consent is not Consent.GRANTED:
        assert not isinstance(verdict, Allow)


@unhurried
@given(messages(), states())
def test_advertising_passes_only_with_a_grant_for_it(
    message: SmsRequested, state: SubjectState
) -> None:
    others = tuple(one for one in state.grants if one.purpose != message.purpose)
    if message.purpose in NEED_CONSENT:
        assert not allowed(message, replace(state, grants=others))
        assert not allowed(message, None)


@unhurried
@given(messages(NEED_CONSENT), states(), st.data())
def test_to_forget_a_grant_never_allows(
    message: SmsRequested, state: SubjectState, data: st.DataObject
) -> None:
    kept = data.draw(st.lists(st.sampled_from(state.grants), unique_by=id)) if state.grants else []
    in_order = tuple(one for one in state.grants if any(one is other for other in kept))
    assert allowed(message, state) or not allowed(message, replace(state, grants=in_order))


@unhurried
@given(messages(), states(), st.sampled_from((None, *PURPOSES)))
def test_a_last_word_that_is_no_is_honoured(
    message: SmsRequested, state: SubjectState, purpose: str | None
) -> None:
    last = withdrawal(purpose, at=NOW, offset=100)
    stopped = replace(state, withdrawals=(*state.withdrawals, last))
    if purpose == message.purpose or (purpose is None and message.purpose != "otp"):
        assert not allowed(message, stopped)


@unhurried
@given(messages(), states())
def test_a_state_with_an_unreadable_event_never_allows(
    message: SmsRequested, state: SubjectState
) -> None:
    assert not allowed(message, replace(state, undecodable=(1,)))


@unhurried
@given(states(), st.sampled_from(PURPOSES), st.randoms())
def test_consent_does_not_depend_on_the_order_in_which_it_is_kept(
    state: SubjectState, purpose: str, random: object
) -> None:
    said = list(state.grants), list(state.withdrawals)
    for one in said:
        random.shuffle(one)  # type: ignore[attr-defined]
    shuffled = replace(state, grants=tuple(said[0]), withdrawals=tuple(said[1]))
    first = consent_for(state, purpose, "shop", "spring", NOW)
    second = consent_for(shuffled, purpose, "shop", "spring", NOW)
    # Real offsets differ, so that the event is one; here two may share an offset.
    assert first._replace(event_id=None) == second._replace(event_id=None)


@unhurried
@given(facts(), st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_one_more_objection_never_turns_a_denial_into_a_yes(
    any_facts: Facts, some: set[int], more: set[int]
) -> None:
    fewer, all_of_them = _with_objections(some), _with_objections(some | more)
    if isinstance(all_of_them.verdict(any_facts, NOW), Allow):
        assert isinstance(fewer.verdict(any_facts, NOW), Allow)


def _with_objections(numbers: set[int]) -> Policy:
    """The plain policy with its allowing rules and only these of its objecting ones."""
    policy = shipped()
    return Policy(
        name=policy.name,
        edition=policy.edition,
        version=policy.version,
        files=policy.files,
        purposes=policy.purposes,
        rules=tuple(
            rule
            for number, rule in enumerate(policy.rules)
            if rule.then is Then.ALLOW or number in numbers
        ),
        registers=policy.registers,
        language=policy._language,
    )


@pytest.mark.parametrize("purpose", PURPOSES)
def test_nothing_that_is_not_known_allows(purpose: str) -> None:
    assert not allowed(request(purpose=purpose), None)
    assert not allowed(request(purpose=purpose), subject())
