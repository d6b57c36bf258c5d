"""What the codes in a decision mean, in words for somebody who never saw the code."""

from __future__ import annotations

from typing import Final

from streams.policy.facts import VOCABULARY
from streams.policy.reasons import Reason, ReasonKind
from streams.records.decisions import Outcome, Refusal
from streams.records.events import ConsentKind, Source

OUTCOMES: Final[dict[Outcome, str]] = {
    Outcome.ALLOWED: "was allowed: it went on to the carrier",
    Outcome.QUARANTINED: "was held back",
    Outcome.DROPPED: "was dropped: it never reached the carrier",
}

REASONS: Final[dict[Reason, str]] = {
    Reason.STATE_UNDECODABLE: (
        "A consent event of this person could not be read. It may have been a STOP, so nothing is "
        "sent until somebody has looked at it."
    ),
    Reason.POLICY_ERROR: "A rule could not be worked out. It may have been the one to object.",
    Reason.PURPOSE_UNKNOWN: "The policy does not know what this message was said to be for.",
    Reason.ERASED: "The person had everything about them erased and has agreed to nothing since.",
    Reason.SUPPRESSED: "The person stopped all messages.",
    Reason.CONSENT_WITHDRAWN: "The person withdrew consent to messages of this kind.",
    Reason.NUMBER_REASSIGNED: "The number has a new holder. The consent was the former holder's.",
    Reason.THIRD_PARTY_NUMBER: (
        "The number was not given by the person: it came from somebody else's address book, or was "
        "bought or collected."
    ),
    Reason.UPLOAD_MANDATORY: (
        "The number came from an address book that its owner had to upload: an upload that was a "
        "condition is no basis."
    ),
    Reason.UPLOAD_UNDISCLOSED: (
        "The number came from an address book whose owner was not told what it would be used for."
    ),
    Reason.PLATFORM_INITIATED: (
        "The platform sent it, not a user: no record shows that a user chose this person, was told "
        "that a text would go, saw it and confirmed it."
    ),
    Reason.NAMES_THIRD_PARTY: "The text names people who did not agree to be named.",
    Reason.REGISTRATION_LINK: "The text takes somebody who is no member to a registration page.",
    Reason.CLAIM_UNSUPPORTED: "The text says something about the person that nobody declared.",
    Reason.CONSENT_NOT_FREE: "The consent was bundled with something else, and so was not free.",
    Reason.CONSENT_PENDING: "A consent had to be confirmed from the number, and was not yet.",
    Reason.CONSENT_EXPIRED: "The person's consent had run out.",
    Reason.NO_CONSENT: "The person never agreed to messages of this kind.",
    Reason.NO_BASIS: "No rule objects, but none allows it either: what nothing allows is not sent.",
    Reason.EXPIRED: "It was too late: the message was past the time until which it was valid.",
    Reason.DUPLICATE_REQUEST: "The same request was decided before.",
    Reason.EVIDENCE_CONTRADICTORY: (
        "The record of the user's confirmation does not fit this recipient and this text."
    ),
    Reason.PURPOSE_MISMATCH: "It bears the marks of another kind of message than was stated.",
    Reason.SENDER_DISGUISED: "The text does not show who really sends it.",
    Reason.SENDER_UNKNOWN: "The sender is not registered.",
    Reason.TEMPLATE_MISMATCH: "The text is not what its template makes.",
    Reason.TEMPLATE_UNKNOWN: "The template is not registered.",
    Reason.LINK_UNKNOWN: "The text links to a short or foreign address.",
    Reason.OCCASION_MISSING: "Nothing is named that this message is due to, such as an order.",
    Reason.OPT_OUT_TEXT_MISSING: "The text does not say how to stop such messages.",
    Reason.ZONE_UNKNOWN: "It is not known what time it is where the person is.",
    Reason.NUMBER_UNCHECKED: (
        "It was not looked up whether the number still is the person's who had consented."
    ),
    Reason.CAMPAIGN_PAUSED: "Its campaign, or the user who initiated it, was paused.",
    Reason.FREQUENCY: "The person got enough messages for now.",
    Reason.QUIET_HOURS: "It was a time of day at which the person is left alone.",
}

EVENTS: Final[dict[ConsentKind, str]] = {
    ConsentKind.GRANTED: "agreed",
    ConsentKind.WITHDRAWN: "withdrew",
    ConsentKind.REGISTERED: "registered with the platform",
    ConsentKind.UNREGISTERED: "left the platform",
    ConsentKind.NUMBER_ORIGIN: "where the number came from was recorded",
    ConsentKind.NUMBER_REASSIGNED: "the number got a new holder",
    ConsentKind.NUMBER_DISCONNECTED: "the number was disconnected",
    ConsentKind.NUMBER_MOVED: "the person moved to another number",
    ConsentKind.NUMBER_CHECKED: "the number was found to have kept its holder",
    ConsentKind.ERASURE_REQUESTED: "asked for erasure of everything",
}

SOURCES: Final[dict[Source, str]] = {
    Source.SELF_SERVICE: "by the person's own settings",
    Source.INBOUND_SMS: "by a message from the number",
    Source.DOUBLE_OPT_IN: "confirmed by the person",
    Source.OPERATOR: "entered by an operator",
    Source.BULK_IMPORT: "imported in bulk",
    Source.CARRIER: "told by a carrier",
}

REFUSALS: Final[dict[Refusal, str]] = {
    Refusal.CLOCK_AHEAD: "its date lay ahead of the broker's clock",
    Refusal.DUPLICATE: "it had been applied before",
    Refusal.NO_PURPOSE: "it named no purpose",
    Refusal.NO_ORIGIN: "it did not say where the number came from",
    Refusal.WEAK_SOURCE: "such a source does not undo the person's own withdrawal",
    Refusal.LATE: "what ended it came before",
    Refusal.KEY_MISMATCH: "its key was another number than its subject",
}


def reason_meaning(code: str) -> str:
    """Say what a recorded reason means; a code of another version is said to be one."""
    try:
        return REASONS[Reason[code]]
    except KeyError:
        return "This version of consent-gate does not know the reason any more."


def what_becomes(code: str) -> str:
    """Say what such a reason makes of a message, and who can change it."""
    try:
        reason = Reason[code]
    except KeyError:
        return ""
    if reason.releasable:
        return "a reviewer may release it"
    match reason.kind:
        case ReasonKind.BLOCK:
            return "final: nobody can release it"
        case ReasonKind.HOLD:
            return "no reviewer can release it: it waits until this has changed"
        case ReasonKind.FAULT:
            return "decided again when the fault has healed"


def fact_meaning(name: str) -> str:
    """Say what a fact is about."""
    if name == "purpose":
        return "What the message was said to be for."
    kind = VOCABULARY.get(name)
    return " ".join((kind.__doc__ or "").split()) if kind is not None else ""
