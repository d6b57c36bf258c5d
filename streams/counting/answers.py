"""
Which message a withdrawal or a complaint answers, and what one person adds to a campaign's counts.

An answer belongs to one message: the last one allowed to that person before it, not longer before
than an answer may take, and of the campaign and sender it names where it names any. It counts for
the hour in which *that message* was allowed, so that an hour's answers stand against an hour's
messages, however late they come.

What a person adds is a function of the messages and answers that are known, never of the order in
which they became known: decisions and consents come from two topics, and after a pause of the
worker either may be ahead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

HOUR_MS: Final = 3_600_000

MOST_KEPT: Final = 16
"""Messages, and answers, that are remembered of one person. A campaign that writes to somebody
oftener within the time of an answer has its older messages counted as sent, not as answered."""


class Sent(NamedTuple):
    """A campaign's message that was allowed to a person at ``at`` (ms)."""

    at: int
    campaign_id: str
    sender_id: str


class Answer(NamedTuple):
    """A withdrawal, or a complaint, that came at ``at`` (ms); null scopes cover everything."""

    at: int
    complaint: bool
    campaign_id: str | None = None
    sender_id: str | None = None


class Cohort(NamedTuple):
    """The messages that a campaign was allowed in one hour, which begins at ``hour`` (ms)."""

    campaign_id: str
    hour: int


class Answered(NamedTuple):
    """How many messages were answered by a withdrawal, and by a complaint. One that complains
    withdraws as well."""

    withdrawals: int = 0
    complaints: int = 0

    def less(self, other: Answered) -> Answered:
        """Subtract."""
        return Answered(self.withdrawals - other.withdrawals, self.complaints - other.complaints)


@dataclass(frozen=True, slots=True)
class Recent:
    """What is remembered of one person, the oldest first."""

    sent: tuple[Sent, ...] = ()
    answers: tuple[Answer, ...] = ()

    def with_sent(self, new: Sent) -> Recent:
        """Add a message; beyond :data:`MOST_KEPT` the oldest goes."""
        return Recent(tuple(sorted((*self.sent, new))[-MOST_KEPT:]), self.answers)

    def with_answer(self, new: Answer) -> Recent:
        """Add an answer; beyond :data:`MOST_KEPT` the oldest goes."""
        answers = sorted((*self.answers, new), key=_order)
        return Recent(self.sent, tuple(answers[-MOST_KEPT:]))

    def since(self, at: int) -> Recent:
        """Forget what is older."""
        return Recent(
            tuple(each for each in self.sent if each.at >= at),
            tuple(each for each in self.answers if each.at >= at),
        )


def hour_of(at: int) -> int:
    """Return the beginning of the hour (UTC) in which ``at`` lies, in milliseconds."""
    return at - at % HOUR_MS


def answered(recent: Recent, within_ms: int) -> dict[Cohort, Answered]:
    """
    Count what this person adds to each cohort.

    A message counts once however often it is answered: saying STOP twice is one withdrawal.
    """
    withdrawn: set[int] = set()
    complained: set[int] = set()
    for answer in recent.answers:
        place = _answers(answer, recent.sent, within_ms)
        if place is not None:
            withdrawn.add(place)
            if answer.complaint:
                complained.add(place)
    counted: dict[Cohort, Answered] = {}
    for place in withdrawn:
        message = recent.sent[place]
        cohort = Cohort(message.campaign_id, hour_of(message.at))
        so_far = counted.get(cohort, Answered())
        counted[cohort] = Answered(
            so_far.withdrawals + 1, so_far.complaints + (place in complained)
        )
    return counted


def change(before: Recent, after: Recent, within_ms: int) -> dict[Cohort, Answered]:
    """Say what the counts of each cohort change by when ``before`` becomes ``after``."""
    was, is_now = answered(before, within_ms), answered(after, within_ms)
    changes = {
        cohort: is_now.get(cohort, Answered()).less(was.get(cohort, Answered()))
        for cohort in was.keys() | is_now.keys()
    }
    return {cohort: each for cohort, each in changes.items() if each != Answered()}


def total(each: Iterable[dict[Cohort, Answered]]) -> dict[Cohort, Answered]:
    """Add up what several people add."""
    withdrawals: Counter[Cohort] = Counter()
    complaints: Counter[Cohort] = Counter()
    for one in each:
        for cohort, found in one.items():
            withdrawals[cohort] += found.withdrawals
            complaints[cohort] += found.complaints
    return {cohort: Answered(withdrawals[cohort], complaints[cohort]) for cohort in withdrawals}


def _answers(answer: Answer, sent: tuple[Sent, ...], within_ms: int) -> int | None:
    """Return the place of the message that is answered, if one is."""
    for place in range(len(sent) - 1, -1, -1):
        message = sent[place]
        if (
            message.at <= answer.at <= message.at + within_ms
            and answer.campaign_id in (None, message.campaign_id)
            and answer.sender_id in (None, message.sender_id)
        ):
            return place
    return None


def _order(answer: Answer) -> tuple[int, bool, str, str]:
    return answer.at, answer.complaint, answer.campaign_id or "", answer.sender_id or ""
