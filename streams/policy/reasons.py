"""
The closed catalogue of reasons: the table in section 4 of the design, a row a member.

A reason's place in the enum is its severity. No reason exists outside this file: a rule that
names another fails at load.
"""

from __future__ import annotations

from enum import Enum

from streams.records.decisions import Outcome


class ReasonKind(Enum):
    """What becomes of a message for this reason."""

    BLOCK = "BLOCK"
    """Dropped for good. No reviewer can release it."""
    HOLD = "HOLD"
    """Quarantined until something outside the gate changes, a time comes, or a reviewer looks."""
    FAULT = "FAULT"
    """Quarantined because the gate itself cannot judge. Decided again when that has healed."""


_FAULTS = frozenset({"STATE_UNDECODABLE", "POLICY_ERROR"})
_WAITING = frozenset(
    {"PURPOSE_UNKNOWN", "NUMBER_UNCHECKED", "CAMPAIGN_PAUSED", "FREQUENCY", "QUIET_HOURS"}
)
_RELEASABLE = frozenset(
    {
        "EVIDENCE_CONTRADICTORY",
        "PURPOSE_MISMATCH",
        "SENDER_DISGUISED",
        "SENDER_UNKNOWN",
        "TEMPLATE_MISMATCH",
        "TEMPLATE_UNKNOWN",
        "LINK_UNKNOWN",
        "OCCASION_MISSING",
        "OPT_OUT_TEXT_MISSING",
        "ZONE_UNKNOWN",
    }
)
"""A reviewer may release these, with a note. Every code in none of the three sets is a block."""


class Reason(Enum):
    """
    Why a message is not sent. ``value`` is the code that decisions record.

    ``kind`` and ``releasable`` are the design's; ``outcome`` follows from the kind and is the
    mildest a rule may give for it. ``severity`` is total and fixed, 0 the severest: what the gate
    cannot judge, then drops (the person's own no, then where the number and the text came from,
    then what is merely missing), then holds.
    """

    kind: ReasonKind
    releasable: bool
    severity: int

    def __init__(self, code: str) -> None:
        """Take the member's row from the catalogue; the members made so far are the severer."""
        self.releasable = code in _RELEASABLE
        if code in _FAULTS:
            self.kind = ReasonKind.FAULT
        elif self.releasable or code in _WAITING:
            self.kind = ReasonKind.HOLD
        else:
            self.kind = ReasonKind.BLOCK
        self.severity = len(type(self).__members__)

    @property
    def outcome(self) -> Outcome:
        """What the catalogue makes of this reason; a rule may be stricter, never milder."""
        return Outcome.DROPPED if self.kind is ReasonKind.BLOCK else Outcome.QUARANTINED

    # What cannot be judged: given before any rule is asked.
    STATE_UNDECODABLE = "STATE_UNDECODABLE"
    POLICY_ERROR = "POLICY_ERROR"
    PURPOSE_UNKNOWN = "PURPOSE_UNKNOWN"

    # The person's own no.
    ERASED = "ERASED"
    SUPPRESSED = "SUPPRESSED"
    CONSENT_WITHDRAWN = "CONSENT_WITHDRAWN"
    NUMBER_REASSIGNED = "NUMBER_REASSIGNED"

    # What the court held against the platform.
    THIRD_PARTY_NUMBER = "THIRD_PARTY_NUMBER"
    UPLOAD_MANDATORY = "UPLOAD_MANDATORY"
    UPLOAD_UNDISCLOSED = "UPLOAD_UNDISCLOSED"
    PLATFORM_INITIATED = "PLATFORM_INITIATED"
    NAMES_THIRD_PARTY = "NAMES_THIRD_PARTY"
    REGISTRATION_LINK = "REGISTRATION_LINK"
    CLAIM_UNSUPPORTED = "CLAIM_UNSUPPORTED"

    # What is missing.
    CONSENT_NOT_FREE = "CONSENT_NOT_FREE"
    CONSENT_PENDING = "CONSENT_PENDING"
    CONSENT_EXPIRED = "CONSENT_EXPIRED"
    NO_CONSENT = "NO_CONSENT"
    NO_BASIS = "NO_BASIS"
    EXPIRED = "EXPIRED"
    DUPLICATE_REQUEST = "DUPLICATE_REQUEST"

    # What a person should look at.
    EVIDENCE_CONTRADICTORY = "EVIDENCE_CONTRADICTORY"
    PURPOSE_MISMATCH = "PURPOSE_MISMATCH"
    SENDER_DISGUISED = "SENDER_DISGUISED"
    SENDER_UNKNOWN = "SENDER_UNKNOWN"
    TEMPLATE_MISMATCH = "TEMPLATE_MISMATCH"
    TEMPLATE_UNKNOWN = "TEMPLATE_UNKNOWN"
    LINK_UNKNOWN = "LINK_UNKNOWN"
    OCCASION_MISSING = "OCCASION_MISSING"
    OPT_OUT_TEXT_MISSING = "OPT_OUT_TEXT_MISSING"
    ZONE_UNKNOWN = "ZONE_UNKNOWN"

    # What only waits.
    NUMBER_UNCHECKED = "NUMBER_UNCHECKED"
    CAMPAIGN_PAUSED = "CAMPAIGN_PAUSED"
    FREQUENCY = "FREQUENCY"
    QUIET_HOURS = "QUIET_HOURS"


GIVEN_BY_THE_GATE: frozenset[Reason] = frozenset(
    {
        Reason.STATE_UNDECODABLE,
        Reason.POLICY_ERROR,
        Reason.PURPOSE_UNKNOWN,
        Reason.NO_BASIS,
    }
)
"""Reasons that follow from no rule: before any, or because none allows. No rule may name one."""


def severest_first(reasons: set[Reason]) -> tuple[Reason, ...]:
    """Put reasons into the one order in which decisions record them."""
    return tuple(sorted(reasons, key=lambda reason: reason.severity))
