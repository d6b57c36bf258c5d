"""
The agent ``questions``: asks people to confirm their consents, and reminds once.

It follows ``consent.events`` with the gate's own fold, beginning with each consent that the policy
wants confirmed (:mod:`streams.state.questions`), and writes the question as an ordinary request of
purpose ``confirmation`` that names the consent. The gate has the last word: it lets one question
and one reminder pass while the consent waits, and none past a withdrawal or an erasure.

The state has subject ids and the consents that wait, and no number: a reminder reads the consent's
record once more, by its offset (:mod:`~.rereading`). Where that is gone nobody is reminded.

Ids are made of the consent event's, so that what is written twice is sent once. Records that lie in
the wrong place or cannot be read are the gate's: it sends them on, or holds the person.

Off without ``confirm_sender_id``, and where the policy wants nothing confirmed. The policy is read
at the start.
"""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from streams.errors import ConfigError, DeadLetter
from streams.inbound import Senders, load_answers, load_lists, load_senders
from streams.kafka.placement import partition_of
from streams.policy.asking import CONFIRMATION, QuestionOutcome
from streams.policy.policy import load_policy
from streams.processors.agent import Agent, Effects, Event, Output, Place, Timer, Tools
from streams.processors.rereading import reread
from streams.processors.state import AgentState
from streams.records.events import ConsentEvent
from streams.records.requests import Initiator, Occasion, SmsRequested
from streams.records.subject import SubjectState
from streams.state.arrivals import number_of
from streams.state.fold import fold_consent
from streams.state.questions import Following, Looked, Question
from streams.telemetry.catalogue import ConfirmationsFollowed
from streams.topology import CONSENT_EVENTS, HOUR_MS, SMS_REQUESTED

LOOK_SECONDS: Final = 60.0
"""How often it is looked for reminders that are due, and for consents that have run out. A reminder
comes so much later."""

MOST_AT_ONCE: Final = 200
"""People looked at in one turn. Each reminder reads a record, and replies of the partition's other
agents go on meanwhile, but not this agent's events."""

_LOOK_AT: Final = struct.Struct(">q")
"""In front of each person's state: when to look at it, without decoding all of them."""


def questions(tools: Tools) -> Agent | None:
    """
    Make the agent, None where nobody is to be asked.

    Raises :class:`Stop` for a policy, a register or texts with mistakes, and where the policy does
    not declare the purpose of the question, or the texts have none.
    """
    settings = tools.settings
    if settings.confirm_sender_id is None:
        return None
    policy = load_policy(settings.policy_dir)
    if policy.confirming is None:
        return None
    if CONFIRMATION not in policy.purposes:
        raise ConfigError(
            f"confirm_sender_id: the worker is to ask for confirmations, but the policy does not "
            f"declare the purpose {CONFIRMATION}: add it to the purposes in policy.yaml, else the "
            f"gate holds every question."
        )
    remind_after_ms = settings.confirm_remind_hours * HOUR_MS or None
    following = Following(policy.confirming, settings.confirm_sender_id, remind_after_ms)
    asking = _Asking(tools, following, lambda: int(time.time() * 1000))
    return Agent(
        "questions",
        {CONSENT_EVENTS: asking.decode},
        asking.handle,
        timers=[Timer(LOOK_SECONDS, asking.look)],
        place=Place.THREAD,
    )


class _Asking:
    def __init__(self, tools: Tools, following: Following, now_ms: Callable[[], int]) -> None:
        self._settings = tools.settings
        self._codecs = tools.codecs
        self._partitions = tools.partitions
        self._subject_id = tools.keyring.subject_ids.of
        self._following = following
        self._now_ms = now_ms
        lists = load_lists(tools.settings.keywords_dir)
        self._senders: Senders = load_senders(tools.settings.senders_file, lists)
        self._answers = load_answers(tools.settings.answers_file)
        if self._answers.question(None, "", again=False) is None:
            raise ConfigError(
                f"answers_file: {tools.settings.answers_file} has no question in English to ask "
                f"for confirmations with: add `question: ...` there, or unset confirm_sender_id."
            )

    def decode(self, value: bytes | None) -> ConsentEvent | None:
        """Read an event; None where nobody can: the gate holds the person, and dead-letters it."""
        try:
            return self._codecs.consent_events.decode(value)
        except DeadLetter:
            return None

    def handle(self, events: Sequence[Event[ConsentEvent | None]], state: AgentState) -> Effects:
        """Fold a batch's events; ask about what still waits after all of them."""
        before: dict[str, SubjectState] = {}
        after: dict[str, SubjectState] = {}
        numbers: dict[str, str] = {}
        for event in events:
            said, number = event.record, number_of(event.key)
            if said is None or number is None:
                continue
            if partition_of(number.encode(), self._partitions) != event.partition:
                continue
            subject_id = self._subject_id(number)
            key, own = subject_id.hex(), said.subject == number
            known = after.get(key) or self._known(state, key)
            if known is None:
                if not own or not self._following.begins_with(said):
                    continue
                known = SubjectState(subject_id)
            before.setdefault(key, known)
            numbers[key] = number
            after[key] = fold_consent(
                known,
                said,
                offset=event.offset,
                appended_at=event.appended_at,
                placed=True,
                for_key_only=not own,
            ).state
        now_ms = self._now_ms()
        written = []
        outcomes: list[QuestionOutcome] = []
        for key, person in after.items():
            looked = self._following.look(before[key], person, now_ms)
            self._keep(state, key, looked)
            outcomes += looked.outcomes
            written += [(each, numbers[key]) for each in looked.questions]
        return self._effects(written, outcomes, now_ms)

    def look(self, now_ms: int, state: AgentState) -> Effects:
        """Remind, and forget what has run out."""
        due = [key for key, value in state.items() if _LOOK_AT.unpack_from(value)[0] <= now_ms]
        found: list[Question] = []
        outcomes: list[QuestionOutcome] = []
        for key in due[:MOST_AT_ONCE]:
            known = self._known(state, key)
            if known is None:
                continue
            looked = self._following.look(known, known, now_ms)
            self._keep(state, key, looked)
            outcomes += looked.outcomes
            found += looked.questions
        return self._effects(self._with_numbers(found, state.partition), outcomes, now_ms)

    def _with_numbers(
        self, found: Sequence[Question], partition: int
    ) -> list[tuple[Question, str]]:
        """Give the questions whose consents' records are still there, and the numbers in these."""
        if not found:
            return []
        offsets = [question.grant.offset for question in found]
        values = reread(self._settings, CONSENT_EVENTS, partition, offsets)
        with_numbers = []
        for question in found:
            said = self.decode(values.get(question.grant.offset))
            if said is not None and said.event_id == question.grant.event_id:
                with_numbers.append((question, said.subject))
        return with_numbers

    def _effects(
        self,
        written: Sequence[tuple[Question, str]],
        outcomes: Sequence[QuestionOutcome],
        now_ms: int,
    ) -> Effects:
        counts = Counter(outcomes)
        for question, _ in written:
            counts[QuestionOutcome.REMINDED if question.again else QuestionOutcome.ASKED] += 1
        return Effects(
            [self._output(question, number, now_ms) for question, number in written],
            told=[ConfirmationsFollowed(outcome, count) for outcome, count in counts.items()],
        )

    def _known(self, state: AgentState, key: str) -> SubjectState | None:
        value = state.get(key)
        if value is None:
            return None
        return self._codecs.subject_states.decode(value[_LOOK_AT.size :])

    def _keep(self, state: AgentState, key: str, looked: Looked) -> None:
        if looked.state is None:
            state.delete(key)
            return
        framed = self._codecs.subject_states.encode(looked.state)
        state.put(key, _LOOK_AT.pack(looked.look_at) + framed)

    def _output(self, question: Question, number: str, now_ms: int) -> Output:
        grant, sender_id = question.grant, question.sender_id
        sender = self._senders.known_as(sender_id)
        name = (sender.name if sender else None) or sender_id
        language = sender.language if sender else None
        body = self._answers.question(language, name, again=question.again)
        asked = SmsRequested(
            request_id=f"confirm/{grant.event_id}/{2 if question.again else 1}",
            recipient=number,
            requested_at=now_ms,
            valid_until=question.until,
            purpose=CONFIRMATION,
            campaign_id=None,
            sender_id=sender_id,
            template_id=None,
            template_params={},
            body=body or "",
            occasion=Occasion(CONFIRMATION, grant.event_id, grant.counts_from),
            initiator=Initiator(trigger=CONFIRMATION),
        )
        key = number.encode()
        value = self._codecs.requests.encode(asked)
        return Output(SMS_REQUESTED, partition_of(key, self._partitions), key, value)
