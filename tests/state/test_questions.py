"""Whom the worker asks to confirm, when it reminds, and what became of it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streams.policy.asking import QuestionOutcome
from streams.policy.confirming import Confirming
from streams.records.events import Basis, ConsentEvent, ConsentKind, Scope, Source
from streams.records.subject import SubjectState
from streams.state.fold import fold_consent
from streams.state.questions import Following, Looked, Question
from streams.testing.records import a_consent_event, a_withdrawal

HOUR = 3_600_000
DAY = 24 * HOUR
NOW = 1_800_000_000_000
REMIND = 2 * DAY
CONFIRMING = Confirming(
    frozenset({"marketing", "news"}), (Source.SELF_SERVICE, Source.OPERATOR), 7 * DAY
)
FOLLOWING = Following(CONFIRMING, "acme", REMIND)
YES = a_consent_event(event_id="yes", purpose=None, source=Source.INBOUND_SMS)
LINK = a_consent_event(event_id="link", purpose=None, source=Source.DOUBLE_OPT_IN)


def given(**changes: Any) -> ConsentEvent:
    return a_consent_event(**{"event_id": "given", **changes})


class Person:
    """One person's events, one after the other, and what was asked of them."""

    def __init__(self, following: Following = FOLLOWING) -> None:
        self._following = following
        self._offset = 0
        self.state: SubjectState | None = None
        self.asked: list[tuple[str, str, bool]] = []
        self.outcomes: list[QuestionOutcome] = []

    def says(self, *events: ConsentEvent, at: int = NOW) -> tuple[Question, ...]:
        """Fold events that are appended at a time in one batch, and look."""
        before = after = self.state or SubjectState(b"0" * 16)
        for event in events:
            if self.state is None and after is before and not self._following.begins_with(event):
                continue
            event = replace(event, occurred_at=at)
            after = fold_consent(
                after, event, offset=self._offset, appended_at=at, placed=True
            ).state
            self._offset += 1
        return self._looked(self._following.look(before, after, at))

    def waits(self, *, until: int) -> tuple[Question, ...]:
        """Let time pass; look only where a look is said to be due."""
        assert self.state is not None
        return self._looked(self._following.look(self.state, self.state, until))

    def _looked(self, looked: Looked) -> tuple[Question, ...]:
        self.state = looked.state
        self.look_at = looked.look_at
        self.asked += [(each.grant.event_id, each.sender_id, each.again) for each in looked[1]]
        self.outcomes += looked.outcomes
        return looked.questions


def test_who_gives_a_consent_that_waits_is_asked_and_reminded_once() -> None:
    person = Person()

    [question] = person.says(given())
    assert (question.again, question.until) == (False, NOW + 7 * DAY)
    assert person.look_at == NOW + REMIND
    assert person.waits(until=NOW + REMIND - 1) == ()
    [reminder] = person.waits(until=NOW + REMIND)
    assert (reminder.grant.event_id, reminder.again) == ("given", True)
    assert person.look_at == NOW + 7 * DAY + 1
    for day in (4, 5, 6, 7):
        assert person.waits(until=NOW + day * DAY) == ()
    assert person.outcomes == []


@pytest.mark.parametrize("answer", [YES, LINK], ids=["a yes by SMS", "the link's event"])
def test_once_answered_nothing_more_is_asked(answer: ConsentEvent) -> None:
    person = Person()
    person.says(given())

    assert person.says(answer, at=NOW + HOUR) == ()
    assert person.state is None
    assert person.outcomes == [QuestionOutcome.CONFIRMED]


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(a_withdrawal(), id="a STOP"),
        pytest.param(a_withdrawal(purpose="marketing"), id="a withdrawal of the purpose"),
        pytest.param(a_withdrawal(scope=Scope(sender_id="acme")), id="of the sender"),
        pytest.param(given(event_id="e", kind=ConsentKind.ERASURE_REQUESTED), id="an erasure"),
        pytest.param(given(event_id="e", kind=ConsentKind.NUMBER_REASSIGNED), id="a new holder"),
        pytest.param(given(event_id="e", kind=ConsentKind.UNREGISTERED), id="an account's end"),
    ],
)
def test_what_ends_the_consent_ends_the_questions(event: ConsentEvent) -> None:
    person = Person()
    person.says(given())

    assert person.says(event, at=NOW + HOUR) == ()
    assert person.state is None
    assert person.outcomes == [QuestionOutcome.ENDED]


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(a_withdrawal(purpose="news"), id="another purpose's withdrawal"),
        pytest.param(a_withdrawal(scope=Scope(sender_id="bank")), id="another sender's"),
        pytest.param(given(event_id="e", kind=ConsentKind.REGISTERED), id="a registration"),
    ],
)
def test_what_is_about_something_else_ends_nothing(event: ConsentEvent) -> None:
    person = Person()
    person.says(given(scope=Scope(sender_id="shop")))

    assert person.says(event, at=NOW + HOUR) == ()
    [reminder] = person.waits(until=NOW + REMIND)
    assert (reminder.sender_id, person.outcomes) == ("shop", [])


def test_what_is_answered_to_another_sender_confirms_nothing() -> None:
    person = Person()
    person.says(given(scope=Scope(sender_id="shop")))
    person.says(replace(YES, scope=Scope(sender_id="bank")), at=NOW + HOUR)

    assert [each.again for each in person.waits(until=NOW + REMIND)] == [True]


def test_without_an_answer_it_runs_out_and_a_late_one_revives_nothing() -> None:
    person = Person()
    person.says(given())
    person.waits(until=NOW + REMIND)

    person.says(YES, at=NOW + 7 * DAY + 1)
    assert (person.state, person.outcomes) == (None, [QuestionOutcome.EXPIRED])
    assert len(person.says(given(event_id="anew"), at=NOW + 8 * DAY)) == 1


def test_it_runs_out_without_any_event() -> None:
    person = Person()
    person.says(given())

    assert person.waits(until=NOW + 7 * DAY + 1) == ()
    assert (person.state, person.outcomes) == (None, [QuestionOutcome.EXPIRED])


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(given(source=Source.DOUBLE_OPT_IN), id="its link was opened already"),
        pytest.param(given(source=Source.BULK_IMPORT), id="a source that is not named"),
        pytest.param(given(purpose="otp"), id="a purpose that is not named"),
        pytest.param(given(basis=Basis.IMPLIED), id="no declaration"),
        pytest.param(given(expires_at=NOW), id="has run out"),
        pytest.param(YES, id="a yes to nothing"),
        pytest.param(a_withdrawal(), id="a STOP"),
    ],
)
def test_who_need_not_confirm_is_not_followed(event: ConsentEvent) -> None:
    person = Person()

    assert person.says(event) == ()
    assert (person.state, person.outcomes) == (None, [])


def test_a_consent_that_was_answered_or_stopped_in_the_same_batch_is_not_asked_about() -> None:
    for event in (YES, a_withdrawal()):
        person = Person()
        assert person.says(given(), event) == ()
        assert person.state is None


def test_a_form_sent_again_is_not_asked_about_again_and_its_reminder_names_the_newest() -> None:
    person = Person()
    person.says(given())
    person.says(given(event_id="again"), at=NOW + HOUR)
    person.says(given(event_id="and again"), at=NOW + DAY)
    person.waits(until=NOW + REMIND)

    assert person.asked == [("given", "acme", False), ("and again", "acme", True)]
    assert person.look_at == NOW + DAY + 7 * DAY + 1


def test_two_purposes_of_one_form_are_one_question_which_one_yes_confirms() -> None:
    person = Person()

    person.says(given(event_id="one"), given(event_id="two", purpose="news"))
    person.says(YES, at=NOW + HOUR)

    assert person.asked == [("two", "acme", False)]
    assert (person.state, person.outcomes) == (None, [QuestionOutcome.CONFIRMED])


def test_two_senders_ask_a_question_each() -> None:
    person = Person()

    person.says(given(), given(event_id="bank's", scope=Scope(sender_id="bank")))

    assert sorted(person.asked) == [("bank's", "bank", False), ("given", "acme", False)]


def test_what_waits_beside_a_confirmed_one_is_asked_about_next() -> None:
    """The first was confirmed by a link of its own, which names its purpose."""
    person = Person()
    person.says(given(), given(event_id="two", purpose="news"))
    link = given(event_id="link", purpose="news", source=Source.DOUBLE_OPT_IN)

    [question] = person.says(link, at=NOW + HOUR)

    assert (question.grant.event_id, question.again) == ("given", False)
    assert person.outcomes == [QuestionOutcome.CONFIRMED]


def test_nobody_is_reminded_where_that_is_switched_off_or_comes_too_late() -> None:
    for remind_after in (None, 8 * DAY):
        person = Person(Following(CONFIRMING, "acme", remind_after))
        person.says(given())
        for day in range(1, 7):
            assert person.waits(until=NOW + day * DAY) == ()
        assert person.waits(until=NOW + 8 * DAY) == ()
        assert person.outcomes == [QuestionOutcome.EXPIRED]


def test_an_old_event_asks_from_when_it_is_read() -> None:
    """A worker that was away for days asks late, and reminds no sooner than usual after that."""
    person = Person()
    before = SubjectState(b"0" * 16)
    after = fold_consent(
        before, given(occurred_at=NOW), offset=0, appended_at=NOW, placed=True
    ).state

    [question] = person._looked(FOLLOWING.look(before, after, NOW + 3 * DAY))
    assert question.until == NOW + 7 * DAY
    assert person.look_at == NOW + 5 * DAY
    assert person._looked(FOLLOWING.look(before, after, NOW + 8 * DAY)) == ()
