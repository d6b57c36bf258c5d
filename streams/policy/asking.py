"""
Asking a person to confirm a consent that waits: once, and reminding once. Pure.

The question is a message to somebody who may have said nothing at all, so it goes only while a
consent waits, and never past a withdrawal or an erasure. Order 31 of China's ministry says that the
same request for consent is not repeated (https://campaignsms.com/?p=15005), and Canada's regulator
takes a request for consent for advertising itself (https://crtc.gc.ca/eng/com500/guide.htm): one
reminder is the most that can be argued for.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from streams.policy.confirming import Confirming
from streams.policy.consent import consent_for
from streams.policy.vocabulary import Asking, Consent
from streams.records.drafts import replacing
from streams.records.requests import SmsRequested
from streams.records.subject import Grant, SubjectState

CONFIRMATION: Final = "confirmation"
"""The purpose of such a question, and the kind of its occasion, whose reference is the id of the
consent event that it asks about."""

REMINDED_AFTER_MS: Final = 24 * 3600 * 1000
"""How long after the question its reminder may go. Sooner it is not a reminder but a repetition."""

ASKED_REMEMBERED: Final = 2
"""The question and its reminder: a third is refused, so there is none to remember."""


class QuestionOutcome(Enum):
    """What became of a question that the worker wrote, or of the consent it was about."""

    ASKED = "asked"
    REMINDED = "reminded"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    """Nobody answered in time."""
    ENDED = "ended"
    """The consent was withdrawn or erased, or the number is another's now."""


_state: Final = replacing(SubjectState)
_grant: Final = replacing(Grant)


def asked_about(request: SmsRequested) -> str | None:
    """The id of the consent event that this request asks to confirm; None where it asks none."""
    due_to = request.occasion
    if request.purpose != CONFIRMATION or due_to is None or due_to.kind != CONFIRMATION:
        return None
    return due_to.reference or None


def asking(
    state: SubjectState | None,
    event_id: str,
    sender_id: str,
    confirming: Confirming | None,
    now_ms: int,
) -> Asking:
    """
    Say how often the person was asked about this consent within the time it may wait.

    NONE where it does not wait, is another sender's, or was stopped or erased.
    """
    if state is None or confirming is None:
        return Asking.NONE
    for grant in state.grants:
        if grant.event_id != event_id or grant.sender_id not in (None, sender_id):
            continue
        view = consent_for(state, grant.purpose, sender_id, grant.campaign_id, now_ms, confirming)
        stopped = view.withdrawn or view.suppressed or view.erased
        if view.status is not Consent.PENDING or view.event_id != event_id or stopped:
            continue
        lately = [at for at in grant.asked if at > now_ms - confirming.within_ms]
        if not lately:
            return Asking.FIRST
        if len(lately) == 1 and now_ms >= lately[0] + REMINDED_AFTER_MS:
            return Asking.REMINDER
        return Asking.REPEATED
    return Asking.NONE


def after_asking(state: SubjectState, event_id: str, now_ms: int) -> SubjectState:
    """What is known of a person who was just asked about this consent."""
    return _state(
        state,
        grants=tuple(
            _grant(grant, asked=(*grant.asked, now_ms)[-ASKED_REMEMBERED:])
            if grant.event_id == event_id
            else grant
            for grant in state.grants
        ),
    )
