"""
From a request and what is known to a tuple of facts: the only thing that rules can see.

What each fact is read from, and by which source, stands in ``readings.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import NamedTuple

from streams.policy.asking import asked_about, asking
from streams.policy.confirming import Confirming
from streams.policy.consent import consent_for
from streams.policy.hours import Hours
from streams.policy.lapse import Lapses
from streams.policy.links import LinkClass, worst
from streams.policy.once import answer, answered_message, referral, refers
from streams.policy.readings import Campaigns as Campaigns
from streams.policy.readings import NameConsents as NameConsents
from streams.policy.readings import (
    campaign,
    claims,
    erasure,
    freedom,
    holder,
    initiator,
    marks,
    member,
    named,
    number,
    occasion,
    readability,
    reassignment,
    referred_by,
    referrer,
    revocation,
    suppression,
    taint,
    upload,
    validity,
    voice,
    withdrawal,
)
from streams.policy.regions import law_of, regions_of, zones_of_message
from streams.policy.registers import NO_REGISTERS, Registers
from streams.policy.templates import (
    NO_TEMPLATES,
    Templates,
    TemplateUse,
    template_match,
    template_use,
)
from streams.policy.texts import marks_of_text, opt_out, sender
from streams.policy.vocabulary import (
    Answer,
    Asking,
    Basis,
    Campaign,
    Claims,
    Consent,
    Erasure,
    FactValue,
    Freedom,
    Frequency,
    Holder,
    Initiator,
    Jurisdiction,
    Links,
    Marks,
    Member,
    Names,
    Number,
    Occasion,
    OptOut,
    QuietHours,
    Reassignment,
    Referral,
    Referrer,
    Registration,
    Repetition,
    Revocation,
    Sender,
    State,
    Suppression,
    Taint,
    TemplateMatch,
    Upload,
    Validity,
    Voice,
    Withdrawal,
)
from streams.records.requests import SmsRequested
from streams.records.subject import SubjectState


class Facts(NamedTuple):
    """
    All that rules can see of one message: hashable, and the key of the policy's memo.

    ``purpose`` is the request's own string; whether the policy declares it is the policy's to say.
    No field can hold a number, a name or a text.
    """

    purpose: str
    state: State
    consent: Consent
    basis: Basis
    freedom: Freedom
    withdrawal: Withdrawal
    suppression: Suppression
    erasure: Erasure
    reassignment: Reassignment
    holder: Holder
    member: Member
    number: Number
    upload: Upload
    taint: Taint
    initiator: Initiator
    voice: Voice
    names: Names
    claims: Claims
    occasion: Occasion
    answer: Answer
    asking: Asking
    referral: Referral
    repetition: Repetition
    frequency: Frequency
    marks: Marks
    validity: Validity
    campaign: Campaign
    jurisdiction: Jurisdiction
    quiet_hours: QuietHours
    links: Links
    registration: Registration
    sender: Sender
    opt_out: OptOut
    referrer: Referrer
    revocation: Revocation
    template: TemplateMatch

    def as_map(self) -> dict[str, str]:
        """Give the facts as a decision records them: name to value."""
        recorded = dict(zip(_READ_FACTS, map(_value, self[1:]), strict=True))
        recorded["purpose"] = self.purpose
        return recorded

    @classmethod
    def from_map(cls, recorded: Mapping[str, str]) -> Facts | None:
        """Read facts back from a decision; null where it was made with another vocabulary."""
        if recorded.keys() != set(cls._fields):
            return None
        values: list[str | FactValue] = [recorded["purpose"]]
        for name, kind in VOCABULARY.items():
            if recorded[name] not in kind.__members__:
                return None
            values.append(kind[recorded[name]])
        return cls._make(values)


VOCABULARY: dict[str, type[FactValue]] = {
    "state": State,
    "consent": Consent,
    "basis": Basis,
    "freedom": Freedom,
    "withdrawal": Withdrawal,
    "suppression": Suppression,
    "erasure": Erasure,
    "reassignment": Reassignment,
    "holder": Holder,
    "member": Member,
    "number": Number,
    "upload": Upload,
    "taint": Taint,
    "initiator": Initiator,
    "voice": Voice,
    "names": Names,
    "claims": Claims,
    "occasion": Occasion,
    "answer": Answer,
    "asking": Asking,
    "referral": Referral,
    "repetition": Repetition,
    "frequency": Frequency,
    "marks": Marks,
    "validity": Validity,
    "campaign": Campaign,
    "jurisdiction": Jurisdiction,
    "quiet_hours": QuietHours,
    "links": Links,
    "registration": Registration,
    "sender": Sender,
    "opt_out": OptOut,
    "referrer": Referrer,
    "revocation": Revocation,
    "template": TemplateMatch,
}
"""Every fact but ``purpose`` with its type, in the order of :class:`Facts`."""

_READ_FACTS = tuple(VOCABULARY)
_value = attrgetter("_value_")


class Assessment(NamedTuple):
    """
    The facts of one message, and when they were read.

    ``consent_event_id`` names the grant that carries the message, or the withdrawal or the expired
    grant that does not; null where nothing was said. ``assessed_at`` decides which dated rules
    are in force. ``opens_at`` is when quiet hours end, ``slot_at`` when the caps leave the person a
    slot; null where there are none now, and where they do now.
    """

    facts: Facts
    consent_event_id: str | None
    assessed_at: int
    opens_at: int | None = None
    slot_at: int | None = None


class SentBefore(NamedTuple):
    """What the send memory says of a message: the part of :class:`Facts` that comes of it."""

    repetition: Repetition
    frequency: Frequency
    slot_at: int | None


NOTHING_SENT = SentBefore(Repetition.FIRST, Frequency.WITHIN, None)
"""Nothing was sent to the person that matters to this message."""


class Content(NamedTuple):
    """What is read from the message alone; the same for every recipient if it :func:`repeats`."""

    purpose: str
    sender_id: str
    campaign_id: str | None
    initiator: Initiator
    voice: Voice
    names: Names
    claims: Claims
    occasion: Occasion
    marks: Marks
    answers: str | None
    """The id of the recipient's message that it answers."""
    asks: str | None
    """The id of the consent event that it asks the recipient to confirm."""
    refers: bool
    """Whether it refers the recipient to us."""
    user_paused: bool
    region: str | None
    referrer: str | None
    """The name that the text must show of who refers the recipient; blank: nobody may."""
    template: TemplateUse | None


def content_of(
    request: SmsRequested, names: NameConsents, campaigns: Campaigns, now_ms: int
) -> Content:
    """Read the facts of ``request`` for which nothing of its recipient's state is needed."""
    user = request.initiator.user
    return Content(
        request.purpose,
        request.sender_id,
        request.campaign_id,
        initiator(request),
        voice(request),
        named(request, names, now_ms),
        claims(request),
        occasion(request),
        marks(request),
        answered_message(request),
        asked_about(request),
        refers(request),
        user is not None and campaigns.user_paused(user),
        request.region,
        referred_by(request),
        template_use(request),
    )


def repeats(request: SmsRequested) -> bool:
    """
    Whether :func:`content_of` is the same for all requests that differ only in id, person and time,
    in what was put into the template, and in the body.

    So it is where neither a user nor a third person is named: only they are compared with the
    recipient, or looked up.
    """
    return request.initiator.user is None and not request.named_persons


def assess(
    request: SmsRequested,
    state: SubjectState | None,
    names: NameConsents,
    campaigns: Campaigns,
    now_ms: int,
    registers: Registers = NO_REGISTERS,
    confirming: Confirming | None = None,
    sent: SentBefore = NOTHING_SENT,
    templates: Templates = NO_TEMPLATES,
    lapses: Lapses | None = None,
) -> Assessment:
    """
    Read every fact of ``request``, whose recipient's state is ``state``, at ``now_ms``.

    ``registers``, ``confirming`` and ``lapses`` are those of the policy that decides, ``sent`` is
    what the send memory says of it. Pure, and total for any records.
    """
    content = content_of(request, names, campaigns, now_ms)
    return assess_content(
        content,
        request.valid_until,
        state,
        campaigns,
        now_ms,
        request.recipient,
        request.body,
        registers,
        confirming,
        lapses,
        sent,
        request.template_params,
        templates,
    )


def assess_content(
    content: Content,
    valid_until: int | None,
    state: SubjectState | None,
    campaigns: Campaigns,
    now_ms: int,
    recipient: str,
    body: str,
    registers: Registers,
    confirming: Confirming | None,
    lapses: Lapses | None,
    sent: SentBefore,
    parameters: Mapping[str, str],
    templates: Templates,
) -> Assessment:
    """
    Join what was read from the message with its recipient's state: :func:`assess` in parts.

    The readings are asked only where there is something to read: what they say of nothing is said
    here, since a dozen calls take longer than all else. A property test compares.
    """
    (
        purpose,
        sender_id,
        campaign_id,
        by,
        speaks,
        named_fact,
        claim_fact,
        due_to,
        looks,
        answers,
        asks,
        refers_to_us,
        user_paused,
        place,
        referrer_name,
        use,
    ) = content
    repetition, frequency, slot_at = sent
    law = law_of(recipient, None if state is None else state.region, place)
    lapse = None if lapses is None else lapses.get(law)
    view = consent_for(state, purpose, sender_id, campaign_id, now_ms, confirming, lapse)
    status, basis, bundled, _, event_id, _, _, _, _, _ = view
    if status is _GRANTED:
        no = _NO_WITHDRAWAL, _NO_SUPPRESSION, _NO_ERASURE, _NO_REASSIGNMENT
    else:
        no = withdrawal(view), suppression(view), erasure(view), reassignment(view, state)
    if state is None or (state.membership is None and state.origin is None and not state.uploads):
        provenance = _NOTHING_OF_THE_NUMBER
    else:
        member_fact, number_fact, upload_fact = (
            member(state),
            number(state, now_ms),
            upload(state, now_ms),
        )
        tainted = taint(purpose, view, member_fact, number_fact, upload_fact)
        provenance = member_fact, number_fact, upload_fact, tainted
    quiet, opens_at = _EVER_OPEN
    if registers.hours is not None and purpose in registers.hours.purposes:
        quiet, opens_at = _hours(recipient, state, place, purpose, registers, now_ms)
    asked = _NO_ASKING
    if asks is not None:
        asked = asking(state, asks, sender_id, confirming, now_ms)
    here = registers if registers.by_law is None else registers.under(law)
    if here is not NO_REGISTERS:
        looks, text = _text(body, purpose, sender_id, law, looks, here)
    else:
        text = _TEXT_UNREAD
    facts = _new(
        Facts,
        (
            purpose,
            _READABLE if state is None or not state.undecodable else readability(state),
            status,
            basis,
            _FREE if status is _GRANTED and not bundled else freedom(view),
            *no,
            _NO_HOLDER if state is None or status is not _GRANTED else holder(view, state, now_ms),
            *provenance,
            by,
            speaks,
            named_fact,
            claim_fact,
            due_to,
            _NO_ANSWER if answers is None else answer(state, answers, now_ms),
            asked,
            referral(state, refers=True) if refers_to_us else _NO_REFERRAL,
            repetition,
            frequency,
            looks,
            _LIVE if valid_until is None else validity(valid_until, now_ms),
            campaign(campaign_id, user_paused, campaigns),
            law,
            quiet,
            *text,
            _NO_REFERRER if referrer_name is None else referrer(referrer_name, body),
            _NO_REVOCATION
            if state is None or not state.withdrawals
            else revocation(state, purpose, event_id),
            _NO_TEMPLATE
            if use is None
            else template_match(use, parameters, body, law, templates, now_ms),
        ),
    )
    # A question names the consent that it is about.
    told = event_id if asked is _NO_ASKING else asks
    return _new(Assessment, (facts, told, now_ms, opens_at, slot_at))


def _hours(
    recipient: str,
    state: SubjectState | None,
    place: str | None,
    purpose: str,
    registers: Registers,
    now_ms: int,
) -> Hours:
    """Look whether it is quiet in any place and zone that the recipient may be in."""
    if registers.hours is None:
        return _EVER_OPEN
    of_record = None if state is None else state.region
    regions = regions_of(recipient, of_record, place)
    zone = None if state is None else state.time_zone
    zones = (zone,) if zone else zones_of_message(recipient[1:10], of_record, place)
    return registers.hours.at(purpose, regions, zones, now_ms)


_TextFacts = tuple[Links, Registration, Sender, OptOut]


def _text(
    body: str,
    purpose: str,
    sender_id: str,
    law: Jurisdiction,
    looks: Marks,
    registers: Registers,
) -> tuple[Marks, _TextFacts]:
    """Read what the registers want to know of a text, and what it looks like after that."""
    links, registration, shown, stops = _TEXT_UNREAD
    folded = body.casefold()
    if registers.links is not None:
        classes = registers.links.classes(body)
        links = _LINKS_NONE
        if classes:
            links = _LINKS[worst(classes)]
            if LinkClass.REGISTRATION in classes:
                registration = Registration.LINKED
    if registers.senders is not None:
        shown = sender(body, folded, sender_id, law, registers.senders)
    if registers.opt_out is not None:
        stops = opt_out(folded, purpose, law, registers.opt_out)
    if registers.marks is not None and looks is _MARKS_NONE:
        looks = marks_of_text(folded, purpose, registers.marks)
    return looks, (links, registration, shown, stops)


_new = tuple.__new__
"""A named tuple's own ``__new__`` is Python code."""

_EVER_OPEN: Hours = (QuietHours.OPEN, None)
_TEXT_UNREAD: _TextFacts = (Links.UNREAD, Registration.NONE, Sender.UNREAD, OptOut.UNREAD)
_LINKS_NONE = Links.NONE
_LINKS = {
    None: Links.OWN,  # to a registration page, which is our own
    LinkClass.OWN: Links.OWN,
    LinkClass.STORE: Links.STORE,
    LinkClass.SHORT: Links.SHORT,
    LinkClass.FOREIGN: Links.FOREIGN,
}
_MARKS_NONE = Marks.NONE
_NO_REFERRER = Referrer.NONE
_NO_REVOCATION = Revocation.NONE
_NO_TEMPLATE = TemplateMatch.NONE

_GRANTED = Consent.GRANTED
_FREE = Freedom.FREE
_READABLE = State.READABLE
_LIVE = Validity.LIVE
_NO_ASKING = Asking.NONE
_NO_ANSWER = Answer.NONE
_NO_REFERRAL = Referral.NONE
_NO_WITHDRAWAL = Withdrawal.NONE
_NO_SUPPRESSION = Suppression.NONE
_NO_ERASURE = Erasure.NONE
_NO_REASSIGNMENT = Reassignment.NONE
_NO_HOLDER = Holder.NONE
_NOTHING_OF_THE_NUMBER = (Member.NO, Number.UNKNOWN, Upload.NOT_UPLOADED, Taint.NONE)


def nothing_known(purpose: str) -> Facts:
    """Give the facts of a message of which nothing is known: no policy may allow it."""
    return Facts(
        purpose,
        State.READABLE,
        Consent.NONE,
        Basis.NONE,
        Freedom.NONE,
        Withdrawal.NONE,
        Suppression.NONE,
        Erasure.NONE,
        Reassignment.NONE,
        Holder.NONE,
        Member.NO,
        Number.UNKNOWN,
        Upload.NOT_UPLOADED,
        Taint.NONE,
        Initiator.PLATFORM,
        Voice.PLATFORM,
        Names.NONE,
        Claims.NONE,
        Occasion.NONE,
        Answer.NONE,
        Asking.NONE,
        Referral.NONE,
        Repetition.FIRST,
        Frequency.WITHIN,
        Marks.NONE,
        Validity.LIVE,
        Campaign.NONE,
        Jurisdiction.OTHER,
        QuietHours.OPEN,
        *_TEXT_UNREAD,
        Referrer.NONE,
        Revocation.NONE,
        TemplateMatch.NONE,
    )
