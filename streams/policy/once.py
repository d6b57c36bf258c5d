"""
What may be sent once and then never again, whatever time has passed. Pure.

* **One answer to a message.** A service answers what the recipient wrote to it, once. The very
  message that was a STOP may be answered too, which nothing else may after it: within five minutes,
  by what the gate itself folded and not by the request's word (US: one confirmation within five
  minutes, 47 CFR 64.1200(a)(12); design, section 4).
* **One referral.** Canada's anti-spam law lets one message go that somebody refers to a person
  without that person's consent, and no second (CASL regulations, section 4).

Unlike what a window limits, this is kept in the subject's state, and changes within the batch: two
requests in one batch see each other.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from streams.policy.asking import after_asking
from streams.policy.vocabulary import Answer, Referral
from streams.records.decisions import Outcome, SmsDecision
from streams.records.drafts import replacing
from streams.records.requests import SmsRequested
from streams.records.subject import SubjectState

REPLY: Final = "service_reply"
"""The purpose of an answer to the recipient's own message."""

INVITE: Final = "invite"
"""The purpose whose every message refers somebody."""

INBOUND_SMS: Final = "inbound_sms"
"""The kind of occasion that is the recipient's own message to us."""

CONFIRMED_WITHIN_MS: Final = 5 * 60 * 1000
"""How long after a STOP its confirmation may still go. A rule of US law, not a tuned number."""

ANSWERS_REMEMBERED: Final = 32
"""Answered messages that a state names. A service that answers one again does so within its own
retries; of a STOP there is nothing to forget, because its confirmation is used up."""

_state: Final = replacing(SubjectState)

# Looking a member up in its enum is Python code.
_ANSWER_NONE: Final = Answer.NONE
_REFERRAL_NONE: Final = Referral.NONE


def message_digest(subject_id: bytes, reference: str) -> bytes:
    """
    Tell one inbound message of this person from the others, in 8 bytes.

    Keyed with the subject, so that equal ids of two people's messages look unlike.
    """
    return blake2b(reference.encode(), digest_size=8, key=subject_id[:64]).digest()


def answered_message(request: SmsRequested) -> str | None:
    """The id of the recipient's message that this request answers; None where it answers none."""
    due_to = request.occasion
    if request.purpose != REPLY or due_to is None or due_to.kind != INBOUND_SMS:
        return None
    return due_to.reference or None


def refers(request: SmsRequested) -> bool:
    """Whether it is a referral: an invitation, or said to be somebody's recommendation."""
    return request.purpose == INVITE or request.referral is not None


def answer(state: SubjectState | None, reference: str | None, now_ms: int) -> Answer:
    """
    Say which answer it is to the recipient's message ``reference``.

    TO_STOP only where the newest STOP by SMS that was folded *is* that message, not longer ago
    than :data:`CONFIRMED_WITHIN_MS`, and was not confirmed yet.
    """
    if reference is None:
        return _ANSWER_NONE
    if state is None or (state.stop is None and not state.answered):
        return Answer.FIRST
    digest = message_digest(state.subject_id, reference)
    if digest in state.answered:
        return Answer.REPEATED
    stop = state.stop
    if stop is not None and stop.digest == digest and now_ms <= stop.at + CONFIRMED_WITHIN_MS:
        return Answer.TO_STOP
    return Answer.FIRST


def referral(state: SubjectState | None, *, refers: bool) -> Referral:
    """Say whether it is the first message by which anybody refers this person, or one more."""
    if not refers:
        return _REFERRAL_NONE
    return Referral.REPEATED if state is not None and state.referred else Referral.FIRST


def after_decision(
    state: SubjectState, decision: SmsDecision, reference: str | None
) -> SubjectState:
    """
    What is known of a person after a decision that was read back, not made.

    A decision does not say which message it answered: ``reference`` is taken for it.
    """
    if decision.verdict is not Outcome.ALLOWED:
        return state
    facts = decision.facts
    answered = facts.get("answer", "NONE") != "NONE"
    asked = decision.consent_event_id
    if asked is not None and facts.get("asking", "NONE") != "NONE":
        state = after_asking(state, asked, decision.decided_at)
    referred = decision.purpose == INVITE or facts.get("referral", "NONE") != "NONE"
    return after_sending(state, reference if answered else None, refers=referred)


def after_sending(state: SubjectState, reference: str | None, *, refers: bool) -> SubjectState:
    """
    What is known of a person to whom an answer to ``reference``, or a referral, was just allowed.

    The same state where that adds nothing.
    """
    if refers and not state.referred:
        state = _state(state, referred=True)
    if reference is None:
        return state
    digest = message_digest(state.subject_id, reference)
    if digest in state.answered:
        return state
    stop = state.stop
    return _state(
        state,
        stop=None if stop is not None and stop.digest == digest else stop,
        answered=(*state.answered, digest)[-ANSWERS_REMEMBERED:],
    )
