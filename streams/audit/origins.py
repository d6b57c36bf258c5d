"""
How each fact of a made-up case came about: which field or which line of its history says so.

Told of what is other than where nothing is known; of the rest there is nothing to tell, but for the
initiator, where it matters what is missing. Repeats no number, no name and no text: it points to
where they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from streams.audit.trying import Tried
from streams.audit.words import time_in_words
from streams.policy.facts import nothing_known
from streams.policy.links import places_in
from streams.policy.readings import REFERRER, marks
from streams.policy.regions import regions_of_number
from streams.policy.vocabulary import Marks, OptOut, QuietHours, Referrer
from streams.records.decisions import SmsDecision
from streams.records.events import ConsentEvent, ContactEntry
from streams.records.requests import ClaimEvidence, TextAuthor


def origins(tried: Tried) -> dict[str, str]:
    """Give for each fact, in their order, how it came about, in a few words."""
    facts = tried.assessment.facts.as_map()
    absent = nothing_known("").as_map()
    told = {}
    for fact, value in facts.items():
        tell = _TELLERS.get(fact)
        speaks = value != absent[fact] or fact == "initiator"
        told[fact] = tell(tried) if tell is not None and speaks else "nothing says otherwise"
    return told


def _purpose(tried: Tried) -> str:
    return "the request's purpose"


def _consent(tried: Tried) -> str:
    event_id = tried.assessment.consent_event_id
    return f"consent event {event_id}{_line_of(tried, event_id)}"


def _withdrawal(tried: Tried) -> str:
    request = tried.case.request
    return _withdrawals(
        tried, lambda purpose: purpose == request.purpose, "withdrawn for this purpose by"
    )


def _suppression(tried: Tried) -> str:
    return _withdrawals(tried, lambda purpose: purpose is None, "everything withdrawn by")


def _withdrawals(tried: Tried, of: Callable[[str | None], bool], words: str) -> str:
    request, state = tried.case.request, tried.state
    events = [
        f"{withdrawal.event_id}{_line_of(tried, withdrawal.event_id)}"
        for withdrawal in (state.withdrawals if state else ())
        if of(withdrawal.purpose)
        and withdrawal.sender_id in (None, request.sender_id)
        and withdrawal.campaign_id in (None, request.campaign_id)
    ]
    return f"{words} {', '.join(events)}"


def _erasure(tried: Tried) -> str:
    at = tried.state.erased_at if tried.state else None
    return "erased" + (f" on {time_in_words(at)}, and nothing granted since" if at else "")


def _reassignment(tried: Tried) -> str:
    at = tried.state.reassigned_at if tried.state else None
    return "another holder" + (f" since {time_in_words(at)}" if at is not None else "")


def _holder(tried: Tried) -> str:
    at = tried.state.checked_at if tried.state else None
    return _consent(tried) + (f", looked up on {time_in_words(at)}" if at is not None else "")


def _member(tried: Tried) -> str:
    membership = tried.state.membership if tried.state else None
    if membership is None:
        return "registered"
    return f"registered by {membership.event_id}{_line_of(tried, membership.event_id)}"


def _number(tried: Tried) -> str:
    state = tried.state
    if (
        state is not None
        and state.origin is not None
        and state.origin.value == _value(tried, "number")
    ):
        since = f" on {time_in_words(state.origin_at)}" if state.origin_at is not None else ""
        return f"a NUMBER_ORIGIN event says so{since}"
    return _upload(tried)


def _upload(tried: Tried) -> str:
    live = [
        trace.upload_id
        for trace in (tried.state.uploads if tried.state else ())
        if tried.case.at < trace.expires_at
    ]
    lines = [
        item.line
        for item in tried.case.history
        if isinstance(item.record, ContactEntry) and item.record.upload_id in live
    ]
    return f"it stands in {', '.join(filter(None, live)) or 'uploads'}{_lines(lines)}"


def _taint(tried: Tried) -> str:
    match _value(tried, "taint"):
        case "LIFTED":
            return "number and upload, and the person's own express consent"
        case "EXEMPT":
            return "number and upload, and a purpose that they do not matter to"
        case _:
            return "number and upload, and no express consent of the person's own"


def _initiator(tried: Tried) -> str:
    claimed = tried.case.request.initiator
    evidence = claimed.evidence
    if _value(tried, "initiator") == "USER":
        return "a user is named, and the evidence is whole"
    if evidence is None:
        return "no evidence says that a user chose this"
    if _value(tried, "initiator") == "CONTRADICTORY":
        return "confirmed_sha256 is not that of this recipient and body"
    checks: dict[str, bool] = {
        "initiator.user": claimed.user is not None,
        "effect_disclosed": evidence.effect_disclosed,
        "recipient_hand_picked": evidence.recipient_hand_picked,
        "text_shown": evidence.text_shown,
        "confirmed_at": evidence.confirmed_at is not None,
        "confirmed_sha256": bool(evidence.confirmed_sha256),
        "text_author USER": evidence.text_author is TextAuthor.USER,
    }
    missing = [name for name, there in checks.items() if not there]
    return f"the evidence lacks {', '.join(missing)}"


def _voice(tried: Tried) -> str:
    request = tried.case.request
    if request.referral is not None:
        return "the request has a referral"
    if any(person.role == REFERRER for person in request.named_persons):
        return "a named person is the referrer"
    return "initiator.user is another person than the recipient"


def _names(tried: Tried) -> str:
    request, at = tried.case.request, tried.case.at
    third = [
        (place, person)
        for place, person in enumerate(request.named_persons, 1)
        if person.number is None or person.number not in (request.initiator.user, request.recipient)
    ]
    without = [
        str(place)
        for place, person in third
        if person.number is None or not tried.names.allows(person.number, request.purpose, at)
    ]
    if without:
        return f"named_persons {', '.join(without)}: no consent to be named is known"
    return f"each of {len(third)} named third persons allows it"


def _claims(tried: Tried) -> str:
    undeclared = [
        claim.kind
        for claim in tried.case.request.claims
        if claim.evidence is not ClaimEvidence.DECLARED
    ]
    return f"undeclared: {', '.join(undeclared)}" if undeclared else "every claim is declared"


def _occasion(tried: Tried) -> str:
    occasion = tried.case.request.occasion
    return f"the request's occasion of kind {occasion.kind}" if occasion else "the occasion"


def _answer(tried: Tried) -> str:
    match _value(tried, "answer"):
        case "TO_STOP":
            return "it answers the STOP by SMS that was folded last, for the first time, in time"
        case "REPEATED":
            return "the message that the occasion names was answered already"
        case _:
            return "it answers the message that the occasion names"


def _referral(tried: Tried) -> str:
    how = "an invitation" if tried.case.request.referral is None else "the request has a referral"
    before = _value(tried, "referral") == "REPEATED"
    return f"{how}, and {'one' if before else 'none'} was let go before"


def _repetition(tried: Tried) -> str:
    return f"a decision of this request id within a day{_sent(tried)}"


def _frequency(tried: Tried) -> str:
    until = tried.assessment.slot_at
    slot = "" if until is None else f"; the next slot is {time_in_words(until)}"
    return f"what was sent within the windows of the policy's caps{_sent(tried)}{slot}"


def _sent(tried: Tried) -> str:
    return _lines(item.line for item in tried.case.history if isinstance(item.record, SmsDecision))


def _marks(tried: Tried) -> str:
    request = tried.case.request
    if marks(request) is Marks.NONE:
        return "words of the text, by the register of marks"
    if request.referral is not None:
        return "the request has a referral"
    if request.claims:
        return "the request makes claims about people"
    return f"initiator.trigger is {request.initiator.trigger}"


def _validity(tried: Tried) -> str:
    until = tried.case.request.valid_until
    return f"valid_until was {time_in_words(until)}" if until is not None else "valid_until"


def _campaign(tried: Tried) -> str:
    request = tried.case.request
    if request.initiator.user is not None and tried.campaigns.user_paused(request.initiator.user):
        return "a pause of the user who initiated it"
    return f"the request's campaign {request.campaign_id}"


def _jurisdiction(tried: Tried) -> str:
    of_record = tried.state.region if tried.state else None
    said = {
        "the consent record": of_record,
        "the number": " or ".join(regions_of_number(tried.case.recipient)) or None,
        "the request": tried.case.request.region,
    }
    return "the strictest of " + ", ".join(
        f"{who} ({where})" for who, where in said.items() if where
    )


def _quiet_hours(tried: Tried) -> str:
    if _value(tried, "quiet_hours") == QuietHours.UNKNOWN.value:
        return "no zone is known, or no time at which all that may be are open"
    zone = tried.state.time_zone if tried.state else None
    where = "the recorded zone" if zone else "every zone that the recipient may be in"
    until = tried.assessment.opens_at
    return f"closed now in {where}" + (f", until {time_in_words(until)}" if until else "")


def _links(tried: Tried) -> str:
    found = list(places_in(tried.case.request.body))
    count = f"{len(found)} link{'s' * (len(found) != 1)}"
    return f"the text has {count}, the worst of which is {_value(tried, 'links')}"


def _registration(tried: Tried) -> str:
    return "the text links to a page that the register lists under registration"


def _sender(tried: Tried) -> str:
    match _value(tried, "sender"):
        case "KNOWN":
            return "the register lists the sender here, and the text shows it"
        case "UNKNOWN":
            return "the register does not list the sender here"
        case _:
            return "the text shows none of the sender's names, or another's signature"


def _opt_out(tried: Tried) -> str:
    if _value(tried, "opt_out") == OptOut.PRESENT.value:
        return "the text has a phrase of the register"
    return "the text has no phrase of the register"


def _referrer(tried: Tried) -> str:
    if _value(tried, "referrer") == Referrer.NAMED.value:
        return "the referrer knows both, and the text has the name"
    return "the referral lacks a relationship, or the text lacks the referrer's name"


def _revocation(tried: Tried) -> str:
    request, state = tried.case.request, tried.state
    events = [
        f"{withdrawal.event_id}{_line_of(tried, withdrawal.event_id)}"
        for withdrawal in (state.withdrawals if state else ())
        if withdrawal.purpose not in (None, request.purpose)
    ]
    return f"another purpose withdrawn by {', '.join(events)}, and no yes to this one since"


def _asking(tried: Tried) -> str:
    event_id = tried.assessment.consent_event_id
    return f"it asks about consent event {event_id}{_line_of(tried, event_id)}"


def _template(tried: Tried) -> str:
    template = tried.case.request.template_id
    match _value(tried, "template"):
        case "MATCH":
            return f"template {template} and the request's parameters make this text"
        case "UNKNOWN":
            return f"no approved version of template {template} is known"
        case _:
            return f"template {template} and the request's parameters make another text"


def _value(tried: Tried, fact: str) -> str:
    return tried.assessment.facts.as_map()[fact]


def _line_of(tried: Tried, event_id: str | None) -> str:
    return _lines(
        item.line
        for item in tried.case.history
        if isinstance(item.record, ConsentEvent) and item.record.event_id == event_id
    )


def _lines(lines: Iterable[int]) -> str:
    numbers = [str(line) for line in lines]
    if not numbers:
        return ""
    return f" (line{'s' * (len(numbers) > 1)} {', '.join(numbers)})"


_TELLERS: Final[dict[str, Callable[[Tried], str]]] = {
    "purpose": _purpose,
    "consent": _consent,
    "basis": _consent,
    "freedom": _consent,
    "withdrawal": _withdrawal,
    "suppression": _suppression,
    "erasure": _erasure,
    "reassignment": _reassignment,
    "holder": _holder,
    "member": _member,
    "number": _number,
    "upload": _upload,
    "taint": _taint,
    "initiator": _initiator,
    "voice": _voice,
    "names": _names,
    "claims": _claims,
    "occasion": _occasion,
    "answer": _answer,
    "asking": _asking,
    "referral": _referral,
    "repetition": _repetition,
    "frequency": _frequency,
    "marks": _marks,
    "validity": _validity,
    "campaign": _campaign,
    "jurisdiction": _jurisdiction,
    "quiet_hours": _quiet_hours,
    "links": _links,
    "registration": _registration,
    "sender": _sender,
    "opt_out": _opt_out,
    "referrer": _referrer,
    "revocation": _revocation,
    "template": _template,
}
