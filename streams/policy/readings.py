"""
How each fact is read: one small pure function a fact, with the source that it follows.

Absence is a value of its own and never the one that allows: no state, no evidence, no occasion
read as NONE, NO, UNKNOWN, PLATFORM.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

from streams.policy.consent import ConsentView
from streams.policy.once import INBOUND_SMS
from streams.policy.vocabulary import (
    Basis,
    Campaign,
    Claims,
    Consent,
    Erasure,
    Freedom,
    Holder,
    Initiator,
    Marks,
    Member,
    Names,
    Number,
    Occasion,
    Reassignment,
    Referrer,
    Revocation,
    State,
    Suppression,
    Taint,
    Upload,
    Validity,
    Voice,
    Withdrawal,
)
from streams.records.events import Origin
from streams.records.requests import ClaimEvidence, SmsRequested, TextAuthor
from streams.records.subject import SubjectState

ASKED_FOR = frozenset({"login", "registration", "verification", "password_reset", "payment"})
"""Kinds of occasion at which the recipient asks for a message, such as a password, just now."""

INVITE_TRIGGERS = frozenset({"tap_invite", "rating", "upload"})
"""What users do that platforms answer with a text to somebody else (case.md: ``rating``)."""

REFERRER = "referrer"
"""The role of a named person in whose name the message speaks."""

DAY_MS = 86_400_000
RECENT_MS = 45 * DAY_MS
YEAR_MS = 365 * DAY_MS

_GIVEN_IN_PERSON = {Origin.SELF_ENTERED: Number.SELF_ENTERED, Origin.CUSTOMER: Number.CUSTOMER}
_GOT_ELSEWHERE = {Origin.PURCHASED: Number.PURCHASED, Origin.PUBLIC: Number.PUBLIC}
_THIRD_PARTY = (Number.UPLOADED, Number.PURCHASED, Number.PUBLIC)

# Looking a member up in its enum takes 75 ns on CPython 3.11, and an ordinary message would need
# some 25, a third of the time that reading its facts takes. The ordinary ones are looked up once.
_BASIS_EXPRESS = Basis.EXPRESS
_CAMPAIGN_ACTIVE = Campaign.ACTIVE
_CAMPAIGN_NONE = Campaign.NONE
_CLAIMS_NONE = Claims.NONE
_CONSENT_GRANTED = Consent.GRANTED
_FREEDOM_CONDITIONAL = Freedom.CONDITIONAL
_FREEDOM_FREE = Freedom.FREE
_FREEDOM_NONE = Freedom.NONE
_INITIATOR_PLATFORM = Initiator.PLATFORM
_MARKS_NONE = Marks.NONE
_MEMBER_NO = Member.NO
_MEMBER_YES = Member.YES
_NAMES_NONE = Names.NONE
_NUMBER_UNKNOWN = Number.UNKNOWN
_OCCASION_ASKED = Occasion.ASKED
_OCCASION_NONE = Occasion.NONE
_OCCASION_PRESENT = Occasion.PRESENT
_REASSIGNMENT_NONE = Reassignment.NONE
_REFERRER_NONE = Referrer.NONE
_REVOCATION_NONE = Revocation.NONE
_STATE_READABLE = State.READABLE
_TAINT_LIFTED = Taint.LIFTED
_TAINT_NONE = Taint.NONE
_TAINT_STANDING = Taint.STANDING
_UPLOAD_CLEAN = Upload.CLEAN
_UPLOAD_NOT_UPLOADED = Upload.NOT_UPLOADED
_VALIDITY_LIVE = Validity.LIVE
_VOICE_PLATFORM = Voice.PLATFORM
_WITHDRAWAL_NONE = Withdrawal.NONE
_SUPPRESSION_NONE = Suppression.NONE
_ERASURE_NONE = Erasure.NONE


class NameConsents(Protocol):
    """The broadcast table ``names.consents``."""

    def allows(self, number: str, purpose: str, now_ms: int) -> bool:
        """Whether the person with this E.164 number lets messages of this purpose name them now."""
        ...


class Campaigns(Protocol):
    """The broadcast table ``campaigns``."""

    def paused(self, campaign_id: str) -> bool:
        """Whether a pause of this campaign stands."""
        ...

    def user_paused(self, number: str) -> bool:
        """Whether a pause of the user with this E.164 number stands, whatever the campaign."""
        ...


def readability(state: SubjectState | None) -> State:
    """UNDECODABLE while an event of this number could not be read: it may have been a STOP (I5)."""
    return State.UNDECODABLE if state is not None and state.undecodable else _STATE_READABLE


def freedom(view: ConsentView) -> Freedom:
    """GDPR 7, PIPL 16: consent bundled with something else is not free."""
    if view.status is not _CONSENT_GRANTED:
        return _FREEDOM_NONE
    return _FREEDOM_CONDITIONAL if view.conditional else _FREEDOM_FREE


def withdrawal(view: ConsentView) -> Withdrawal:
    """PURPOSE while a withdrawal of this very purpose stands (PIPL 15, GDPR 7)."""
    return Withdrawal.PURPOSE if view.withdrawn else _WITHDRAWAL_NONE


def suppression(view: ConsentView) -> Suppression:
    """ALL while a withdrawal of everything stands, and no grant for this purpose came after it."""
    return Suppression.ALL if view.suppressed else _SUPPRESSION_NONE


def erasure(view: ConsentView) -> Erasure:
    """ERASED until the person grants anything anew (design, "After an erasure"; case: ordered)."""
    return Erasure.ERASED if view.erased else _ERASURE_NONE


def reassignment(view: ConsentView, state: SubjectState | None) -> Reassignment:
    """
    REASSIGNED where a former holder's consent or membership is all there is (design, "the fold").

    US Federal Register 2019-05620: a number that was given away carries no consent with it.
    """
    if state is None or state.reassigned_at is None or view.status is _CONSENT_GRANTED:
        return _REASSIGNMENT_NONE
    stale_membership = state.membership is not None and state.membership.since < state.reassigned_at
    return Reassignment.REASSIGNED if view.reassigned or stale_membership else _REASSIGNMENT_NONE


def member(state: SubjectState | None) -> Member:
    """
    YES for a registration by the present holder that no erasure ended.

    Case: the recipient had never registered, so nothing tied him to the platform.
    """
    if state is None or state.membership is None:
        return _MEMBER_NO
    return _MEMBER_YES if _still_counts(state, state.membership.since) else _MEMBER_NO


def number(state: SubjectState | None, now_ms: int) -> Number:
    """
    Give where the number came from, as declared, else UPLOADED while a live trace says so.

    Case: it came from address books of registered friends. A good origin counts for the present
    holder only and not from before an erasure; a bad one stays.
    """
    if state is None:
        return _NUMBER_UNKNOWN
    if state.origin is not None:
        got_elsewhere = _GOT_ELSEWHERE.get(state.origin)
        if got_elsewhere is not None:
            return got_elsewhere
        # An origin without a time is as old as can be: it survives no change of holder.
        if _still_counts(state, state.origin_at or 0):
            return _GIVEN_IN_PERSON[state.origin]
    for trace in state.uploads:
        if now_ms < trace.expires_at:
            return Number.UPLOADED
    return _NUMBER_UNKNOWN


def upload(state: SubjectState | None, now_ms: int) -> Upload:
    """
    Give the worst of the address books the number stands in; expired traces are forgotten.

    Case: upload was a condition of registration until January 2019 (PIPL 16), and its purpose was
    not stated (PIPL 17).
    """
    if state is None or not state.uploads:
        return _UPLOAD_NOT_UPLOADED
    live = mandatory = undisclosed = False
    for trace in state.uploads:
        if now_ms < trace.expires_at:
            live = True
            mandatory = mandatory or trace.mandatory
            undisclosed = undisclosed or trace.undisclosed
    if not live:
        return _UPLOAD_NOT_UPLOADED
    if mandatory:
        return Upload.BOTH if undisclosed else Upload.MANDATORY
    return Upload.UNDISCLOSED if undisclosed else _UPLOAD_CLEAN


def taint(
    purpose: str,
    view: ConsentView,
    member_fact: Member,
    number_fact: Number,
    upload_fact: Upload,
) -> Taint:
    """
    Say whether the number's provenance speaks against this message (design, "Taint").

    LIFTED by the person's own express consent to this purpose. EXEMPT for a password, and for a
    transactional message to a member, whom the platform knows from the person's registration.
    """
    if upload_fact is _UPLOAD_NOT_UPLOADED and number_fact not in _THIRD_PARTY:
        return _TAINT_NONE
    if purpose == "otp" or (purpose == "transactional" and member_fact is _MEMBER_YES):
        return Taint.EXEMPT
    if view.own and view.basis is _BASIS_EXPRESS:
        return _TAINT_LIFTED
    return _TAINT_STANDING


def initiator(request: SmsRequested) -> Initiator:
    """
    USER only if a user was told that a text will go, picked the recipient, saw, wrote, confirmed.

    Case: the platform's program sent it "even if triggered by a user's rating", and it could file
    no record of a user's choice. The confirmation must be of this recipient and this body: one of
    another text is CONTRADICTORY, anything less is PLATFORM.
    """
    claimed = request.initiator
    evidence = claimed.evidence
    if (
        evidence is None
        or claimed.user is None
        or not evidence.effect_disclosed
        or not evidence.recipient_hand_picked
        or not evidence.text_shown
        or evidence.confirmed_at is None
        or not evidence.confirmed_sha256
        or evidence.text_author is not TextAuthor.USER
    ):
        return _INITIATOR_PLATFORM
    confirmed = sha256(f"{request.recipient}\n{request.body}".encode()).hexdigest()
    return Initiator.USER if confirmed == evidence.confirmed_sha256 else Initiator.CONTRADICTORY


def voice(request: SmsRequested) -> Voice:
    """
    USER where the message comes in a person's name: its initiator's, or a referrer's.

    Case: friends were named as those who wait, though none had sent anything.
    """
    user = request.initiator.user
    if (user is not None and user != request.recipient) or request.referral is not None:
        return Voice.USER
    for person in request.named_persons:
        if person.role == REFERRER:
            return Voice.USER
    return _VOICE_PLATFORM


def named(request: SmsRequested, names: NameConsents, now_ms: int) -> Names:
    """
    UNCONSENTED if any third person is named without allowing it, or cannot be asked.

    Advertising Law 33 (CN); case: named friends made it weigh more. The recipient is no third
    person, and an initiator's own name needs no other consent (design, section 4).
    """
    if not request.named_persons:
        return _NAMES_NONE
    user = request.initiator.user
    third_person = False
    for person in request.named_persons:
        if person.number is not None and person.number in (user, request.recipient):
            continue
        third_person = True
        if person.number is None or not names.allows(person.number, request.purpose, now_ms):
            return Names.UNCONSENTED
    return Names.CONSENTED if third_person else _NAMES_NONE


def claims(request: SmsRequested) -> Claims:
    """Case: "former colleague" was a stock text, "119 contacts" computed: nobody declared them."""
    if not request.claims:
        return _CLAIMS_NONE
    for claim in request.claims:
        if claim.evidence is not ClaimEvidence.DECLARED:
            return Claims.UNSUPPORTED
    return Claims.DECLARED


def occasion(request: SmsRequested) -> Occasion:
    """
    Give the kind of event the message is due to (design, section 4).

    An occasion without a reference cannot be looked up afterwards and is none.
    """
    due_to = request.occasion
    if due_to is None or not due_to.reference:
        return _OCCASION_NONE
    if due_to.kind in ASKED_FOR:
        return _OCCASION_ASKED
    return Occasion.INBOUND if due_to.kind == INBOUND_SMS else _OCCASION_PRESENT


def marks(request: SmsRequested) -> Marks:
    """
    INVITATION if the request looks like one: a referral, a claim, or a user's act about another.

    Case: the text carried a code "valid 24 hours", and could have been called a password.
    """
    if request.referral is not None or request.claims:
        return Marks.INVITATION
    set_off = request.initiator
    if set_off.trigger in INVITE_TRIGGERS and set_off.user != request.recipient:
        return Marks.INVITATION
    return _MARKS_NONE


def referred_by(request: SmsRequested) -> str | None:
    """Give the name that a referral must show, blank where it may not be one; null without one."""
    referral = request.referral
    if referral is None:
        return None
    if not (referral.knows_recipient and referral.knows_sender):
        return ""
    return referral.referrer_name.strip().casefold()


def referrer(name: str | None, body: str) -> Referrer:
    """
    NAMED where the referrer knows both sides and the text has the name.

    CASL, Electronic Commerce Protection Regulations (SOR/2013-221) section 4: a relationship with
    both, and the full name of the person who made the referral.
    """
    if name is None:
        return _REFERRER_NONE
    return Referrer.NAMED if name and name in body.casefold() else Referrer.INCOMPLETE


def revocation(state: SubjectState | None, purpose: str, event_id: str | None) -> Revocation:
    """
    ELSEWHERE where another purpose was withdrawn after what ``event_id`` says of this one.

    47 CFR 64.1200(a)(10): from 2027-01-31 a revocation in reply to one kind of message counts for
    all others of the sender, until the person agrees anew.
    """
    if state is None or not state.withdrawals:
        return _REVOCATION_NONE
    latest = max(
        (said.at for said in state.withdrawals if said.purpose not in (None, purpose)), default=None
    )
    if latest is None:
        return _REVOCATION_NONE
    for grant in state.grants:
        if grant.event_id == event_id and grant.purpose == purpose and grant.counts_from > latest:
            return _REVOCATION_NONE
    return Revocation.ELSEWHERE


def validity(valid_until: int | None, now_ms: int) -> Validity:
    """Of ``valid_until`` on, nobody waits for the message any more."""
    if valid_until is not None and now_ms >= valid_until:
        return Validity.EXPIRED
    return _VALIDITY_LIVE


def holder(view: ConsentView, state: SubjectState, now_ms: int) -> Holder:
    """
    How long it is that the number was known to be the consenting person's.

    A finding counts for a consent only if it covers the time since that consent.
    """
    known = view.since
    if known is None:
        return Holder.NONE
    if (
        state.checked_at is not None
        and state.checked_since is not None
        and state.checked_since <= known < state.checked_at
    ):
        known = state.checked_at
    age = now_ms - known
    if age <= RECENT_MS:
        return Holder.RECENT
    return Holder.WITHIN_YEAR if age <= YEAR_MS else Holder.OLD


def campaign(campaign_id: str | None, user_paused: bool, campaigns: Campaigns) -> Campaign:
    """PAUSED while a pause stands: of the message's campaign, or of the user who initiated it."""
    if user_paused:
        return Campaign.PAUSED
    if campaign_id is None:
        return _CAMPAIGN_NONE
    return Campaign.PAUSED if campaigns.paused(campaign_id) else _CAMPAIGN_ACTIVE


def _still_counts(state: SubjectState, since: int) -> bool:
    """Whether what was so at ``since`` is the present holder's and younger than any erasure."""
    return (state.reassigned_at is None or since >= state.reassigned_at) and (
        state.erased_at is None or since > state.erased_at
    )
