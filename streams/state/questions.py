"""
Which consents a person is to be asked to confirm, told from the events of that person. Pure.

What is followed begins with a consent that the policy wants confirmed, and ends when none waits any
more: told by the gate's own fold and the policy's own rules, but not with all that the gate knows.
What was said before is not in it. So a question may be asked for that the gate, which has the last
word, does not let pass: somebody stopped everything last year, or agreed long ago.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from streams.policy.asking import QuestionOutcome, after_asking, asking
from streams.policy.confirming import Confirming
from streams.policy.consent import consent_for
from streams.policy.vocabulary import Asking, Consent
from streams.records.drafts import replacing
from streams.records.events import ConsentEvent, ConsentKind
from streams.records.subject import Grant, SubjectState
from streams.state.fold import grant_kind

_state: Final = replacing(SubjectState)
_grant: Final = replacing(Grant)


class Question(NamedTuple):
    """
    A person is to be asked about ``grant`` now, ``again`` if that is the reminder.

    ``until`` is when the consent has run out.
    """

    grant: Grant
    sender_id: str
    again: bool
    until: int


class Looked(NamedTuple):
    """
    What a look at a person comes to.

    ``state`` is what is to be known of them, the questions asked; None: nothing waits.
    ``outcomes`` are those of consents that were asked about before. ``look_at`` is when there may
    be something to do without an event.
    """

    state: SubjectState | None
    questions: tuple[Question, ...]
    outcomes: tuple[QuestionOutcome, ...]
    look_at: int


class Following:
    """Follows consents that wait. Immutable; times are milliseconds."""

    def __init__(self, confirming: Confirming, sender_id: str, remind_after_ms: int | None) -> None:
        """
        Take what the policy wants confirmed, and who asks where the consent names no sender.

        ``remind_after_ms`` counts from the question; None: nobody is reminded.
        """
        self._confirming = confirming
        self._sender_id = sender_id
        self._remind_after_ms = remind_after_ms

    def begins_with(self, event: ConsentEvent) -> bool:
        """Whether somebody may have to be followed from this event on, of whom nothing waits."""
        return (
            event.kind is ConsentKind.GRANTED
            and event.purpose in self._confirming.purposes
            and event.source in self._confirming.sources
        )

    def look(self, before: SubjectState, after: SubjectState, now_ms: int) -> Looked:
        """
        Say what is to be asked, and what became of consents that were asked about.

        ``before`` is what was known, ``after`` the same with events folded in; the same state
        where only time has passed. A person has one open question of one sender at a time: what
        waits beside it is confirmed by the same yes, and the same request is not repeated
        (:mod:`streams.policy.asking`).
        """
        left = {grant_kind(grant) for grant in after.grants if grant.asked}
        outcomes = [
            QuestionOutcome.ENDED
            for grant in before.grants
            if grant.asked and grant_kind(grant) not in left
        ]
        statuses = {grant: self._status(after, grant, now_ms) for grant in after.grants}
        if Consent.PENDING not in statuses.values():
            ends = [_ended(statuses[grant]) for grant in after.grants if grant.asked]
            return Looked(None, (), (*outcomes, *ends), now_ms)
        grants = []
        for grant in after.grants:
            if grant.asked and statuses[grant] is not Consent.PENDING:
                outcomes.append(_ended(statuses[grant]))
                grant = _grant(grant, asked=())
            grants.append(grant)
        state, questions = self._asked(_state(after, grants=tuple(grants)), now_ms)
        return Looked(state, questions, tuple(outcomes), self._look_at(state, now_ms))

    def _asked(self, state: SubjectState, now_ms: int) -> tuple[SubjectState, tuple[Question, ...]]:
        """Find what is to be asked, the newest consent first."""
        questions = []
        asked_by = {self._sender_of(grant) for grant in state.grants if self._lately(grant, now_ms)}
        for grant in sorted(state.grants, key=lambda each: each.offset, reverse=True):
            sender_id = self._sender_of(grant)
            match asking(state, grant.event_id, sender_id, self._confirming, now_ms):
                case Asking.FIRST if sender_id not in asked_by:
                    again = False
                case Asking.REMINDER if self._is_to_be_reminded(grant, now_ms):
                    again = True
                case _:
                    continue
            asked_by.add(sender_id)
            state = after_asking(state, grant.event_id, now_ms)
            until = self._confirming.until(grant)
            questions.append(Question(grant, sender_id, again, until))
        return state, tuple(questions)

    def _look_at(self, state: SubjectState, now_ms: int) -> int:
        """When something runs out next, or somebody is to be reminded."""
        times = [
            time
            for grant in state.grants
            for time in (self._confirming.until(grant) + 1, self._remind_at(grant, now_ms))
            if time is not None and time > now_ms
        ]
        return min(times, default=now_ms + self._confirming.within_ms)

    def _is_to_be_reminded(self, grant: Grant, now_ms: int) -> bool:
        remind_at = self._remind_at(grant, now_ms)
        return remind_at is not None and now_ms >= remind_at

    def _remind_at(self, grant: Grant, now_ms: int) -> int | None:
        if self._remind_after_ms is None or len(grant.asked) != 1:
            return None
        lately = self._lately(grant, now_ms)
        return lately[0] + self._remind_after_ms if lately else None

    def _lately(self, grant: Grant, now_ms: int) -> list[int]:
        """When it was asked about, as far as the gate still counts it."""
        return [at for at in grant.asked if at > now_ms - self._confirming.within_ms]

    def _status(self, state: SubjectState, grant: Grant, now_ms: int) -> Consent:
        sender_id = self._sender_of(grant)
        return consent_for(
            state, grant.purpose, sender_id, grant.campaign_id, now_ms, self._confirming
        ).status

    def _sender_of(self, grant: Grant) -> str:
        return grant.sender_id or self._sender_id


def _ended(status: Consent) -> QuestionOutcome:
    match status:
        case Consent.GRANTED:
            return QuestionOutcome.CONFIRMED
        case Consent.EXPIRED:
            return QuestionOutcome.EXPIRED
        case _:
            return QuestionOutcome.ENDED
