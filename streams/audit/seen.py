"""One decision with what was known when it was made, and what of that is known no more."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from streams.audit.broadcast_history import BroadcastHistory
from streams.policy.caps import kind_of
from streams.policy.facts import NOTHING_SENT, Assessment, assess
from streams.policy.policy import Policy
from streams.records.decisions import SmsDecision
from streams.records.requests import SmsRequested
from streams.records.subject import SubjectState
from streams.state.sends import request_digest, sent_before, without


class Why(Enum):
    """Why a decision cannot be derived again."""

    REQUEST_GONE = "its request is gone from sms.requested"
    UNREAD = "its hold came to its end, or its person was erased: it was dropped without a look"
    NAMES_GONE = "names.consents was compacted: who could be named then is not known"
    CAMPAIGNS_GONE = "campaigns was compacted: which pauses stood then is not known"
    TEMPLATES_GONE = "templates was compacted: which versions there were then is not known"


class Gap(Enum):
    """A hole in the history: its text, and the facts that may be others for it."""

    LEDGER = (
        "the beginning of the ledger is gone, and of consent.events",
        "state consent basis freedom withdrawal suppression erasure reassignment holder member "
        "number taint answer asking jurisdiction quiet_hours revocation",
    )
    LOSS = (
        "consent events were lost, and everybody's consents ended for it",
        "consent basis freedom withdrawal suppression holder taint revocation",
    )
    UNREADABLE = ("consent events that nobody could read are gone", "state")
    CONTACTS = ("the beginning of contacts.entries is gone", "number upload taint")
    DECISIONS = (
        "earlier decisions are gone: what was sent before is not known",
        "repetition frequency referral answer asking",
    )
    TEMPLATES = ("templates was compacted: a version may have been taken back since", "template")
    ANSWERS = ("requests that answered a message are gone", "answer")

    def __init__(self, text: str, facts: str) -> None:
        self.text = text
        self.facts = frozenset(facts.split())


@dataclass(frozen=True, slots=True)
class Seen:
    """
    One decision, and what was known when it was made.

    ``offset`` is its own in ``sms.decisions``. ``why`` says why it cannot be derived; then, and
    where a stamp is ``impossible`` (its name: it lies before that of an earlier decision, behind
    its topic's end, or where no request is), ``request`` may be null. ``sent`` is what the send
    memory had of the person. ``state`` and the tables hold until the next decision is asked for.
    """

    offset: int
    decision: SmsDecision
    request: SmsRequested | None
    recipient_id: bytes | None
    """The subject id of the request's recipient."""
    state: SubjectState | None
    sent: bytes | None
    gaps: frozenset[Gap]
    why: Why | None
    impossible: tuple[str, ...]
    tables: BroadcastHistory

    def assessed(self, policy: Policy) -> Assessment:
        """Read the facts of the request by ``policy``, as they were at the decision's time."""
        request, state, now_ms = self.request, self.state, self.decision.decided_at
        if request is None:
            raise ValueError("a decision without its request cannot be derived")
        sent = NOTHING_SENT
        if self.sent is not None:
            digest = request_digest(request.request_id)
            sent = sent_before(
                self.sent if self.decision.attempt == 0 else without(self.sent, digest),
                digest,
                kind_of(
                    request.purpose, request.sender_id, request.campaign_id, request.template_id
                ),
                policy.caps,
                now_ms,
                None if state is None else state.erased_at,
            )
        return assess(
            request,
            state,
            self.tables.names,
            self.tables.campaigns,
            now_ms,
            policy.registers,
            policy.confirming,
            sent,
            self.tables.templates,
            policy.lapses,
        )
