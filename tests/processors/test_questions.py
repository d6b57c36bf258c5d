"""What the agent that asks for confirmations writes and keeps, without a broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streams.codec.codec import open_codecs
from streams.config import Settings
from streams.errors import ConfigError, KafkaUnavailable
from streams.kafka.placement import partition_of
from streams.policy.asking import QuestionOutcome
from streams.processors import questions as module
from streams.processors.agent import Agent, Effects, Event, Tools
from streams.processors.kept import Kept
from streams.processors.questions import questions
from streams.processors.state import AgentState
from streams.records.events import ConsentEvent, Scope
from streams.records.requests import Occasion, SmsRequested
from streams.sealing.keyring import open_keyring
from streams.sealing.secrets_folder import init_secrets
from streams.telemetry.catalogue import ConfirmationsFollowed
from streams.testing.records import a_consent_event, a_number, a_withdrawal
from streams.topology import CONSENT_EVENTS, SMS_REQUESTED
from tests.gate.bed import PLAIN_POLICY
from tests.processors.bed import policy_wanting_confirmations

REGISTER = "senders: [{sender_id: acme, recipients: ['36111'], names: [Acme], language: de}]\n"
HOUR = 3_600_000
REMIND = 48 * HOUR
DUE = REMIND + HOUR
"""The agent's clock ran on a little when it was asked."""
NUMBER = a_number(10)
PARTITION = partition_of(NUMBER.encode(), 4)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    folder = tmp_path_factory.mktemp("installation")
    init_secrets(folder / "secrets")
    (folder / "senders.yaml").write_text(REGISTER)
    settings = Settings.model_validate(
        {
            "senders_file": folder / "senders.yaml",
            "policy_dir": policy_wanting_confirmations(folder),
            "confirm_sender_id": "acme",
        }
    )
    return Tools(settings, open_codecs(), open_keyring(folder / "secrets"), 4)


@pytest.fixture(scope="module")
def agent(tools: Tools) -> Agent:
    """Keeps nothing between calls; to make it, policy and lists of keywords are read."""
    made = questions(tools)
    assert made is not None
    return made


class Played:
    """The agent on one partition: its records, its state, its clock."""

    def __init__(self, agent: Agent, tools: Tools, patch: pytest.MonkeyPatch) -> None:
        self.agent = agent
        self.tools = tools
        self.now = int(time.time() * 1000)
        self.records: list[bytes] = []
        self.kept: dict[str, bytes] = {}
        self.told: list[ConfirmationsFollowed] = []
        patch.setattr(module, "reread", self._reread)

    def _reread(self, *_: Any) -> dict[int, bytes]:
        return dict(enumerate(self.records))

    def says(self, *said: ConsentEvent, number: str = NUMBER) -> list[SmsRequested]:
        """Handle these as one batch."""
        events = []
        for each in said:
            record = replace(each, occurred_at=self.now)
            value = self.tools.codecs.consent_events.encode(record)
            decoded = self.agent.reads[CONSENT_EVENTS](value)
            events.append(self._event(decoded, number, len(self.records)))
            self.records.append(value)
        return self._done(lambda state: self.agent.handle(events, state))  # type: ignore[arg-type, return-value]

    def _event(self, record: ConsentEvent | None, number: str, offset: int) -> Event[Any]:
        return Event(CONSENT_EVENTS, PARTITION, offset, self.now, number.encode(), record)

    def later(self, by_ms: int) -> list[SmsRequested]:
        """Let the timer have its turn so much later."""
        self.now += by_ms
        [timer] = self.agent.timers
        return self._done(lambda state: timer.act(self.now, state))

    def _done(self, act: Callable[[AgentState], Effects]) -> list[SmsRequested]:
        state = AgentState(PARTITION, Kept(self.kept), {})
        effects = act(state)
        for key, value in state.changes().items():
            if value is None:
                del self.kept[key]
            else:
                self.kept[key] = value
        self.told += [fact for fact in effects.told if isinstance(fact, ConfirmationsFollowed)]
        return list(self._requests(effects))

    def _requests(self, effects: Effects) -> Iterable[SmsRequested]:
        for output in effects.outputs:
            asked = self.tools.codecs.requests.decode(output.value)
            assert output.topic is SMS_REQUESTED
            assert output.key == asked.recipient.encode()
            assert output.partition == partition_of(output.key, 4)
            yield asked


@pytest.fixture
def played(agent: Agent, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> Played:
    return Played(agent, tools, monkeypatch)


def test_the_question_and_the_reminder_name_the_consent(played: Played) -> None:
    asked_at = played.now
    [question] = played.says(a_consent_event(event_id="given", subject=NUMBER))
    assert played.later(REMIND - HOUR) == []
    [reminder] = played.later(2 * HOUR)

    for asked in (question, reminder):
        assert (asked.recipient, asked.purpose, asked.sender_id) == (NUMBER, "confirmation", "acme")
        assert asked.occasion == Occasion("confirmation", "given", asked_at)
        assert asked.valid_until == asked_at + 7 * 24 * HOUR
    assert (question.request_id, reminder.request_id) == ("confirm/given/1", "confirm/given/2")
    assert question.body.startswith("Acme: Bitte antworten Sie mit JA")
    assert reminder.body.startswith("Acme: Sie haben noch nicht")
    assert played.told == [
        ConfirmationsFollowed(QuestionOutcome.ASKED, 1),
        ConfirmationsFollowed(QuestionOutcome.REMINDED, 1),
    ]


def test_a_batch_that_is_handled_again_writes_the_same(
    played: Played, agent: Agent, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = a_consent_event(event_id="given", subject=NUMBER)

    first = played.says(given)
    again = Played(agent, tools, monkeypatch).says(given)

    assert [each.request_id for each in (*first, *again)] == ["confirm/given/1"] * 2


def test_the_state_has_no_number_and_nothing_once_nothing_waits(played: Played) -> None:
    played.says(a_consent_event(event_id="given", subject=NUMBER))
    [(key, value)] = played.kept.items()
    assert NUMBER not in key
    assert NUMBER.encode() not in value
    assert NUMBER[1:].encode() not in value

    played.says(a_withdrawal(subject=NUMBER))
    assert played.kept == {}
    assert played.later(DUE) == []
    assert played.told[-1] == ConfirmationsFollowed(QuestionOutcome.ENDED, 1)


def test_where_the_consents_record_is_gone_nobody_is_reminded(played: Played) -> None:
    played.says(a_consent_event(event_id="given", subject=NUMBER))
    played.records.clear()

    assert played.later(DUE) == []
    assert ConfirmationsFollowed(QuestionOutcome.REMINDED, 1) not in played.told


def test_a_reminder_waits_for_kafka(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    played.says(a_consent_event(event_id="given", subject=NUMBER))

    def unavailable(*_: Any) -> dict[int, bytes]:
        raise KafkaUnavailable("no leader")

    monkeypatch.setattr(module, "reread", unavailable)
    with pytest.raises(KafkaUnavailable):
        played.later(DUE)
    monkeypatch.setattr(module, "reread", played._reread)
    assert len(played.later(HOUR)) == 1


def test_a_consent_to_one_sender_is_asked_about_by_that_sender(played: Played) -> None:
    scope = Scope(sender_id="bank")
    [question] = played.says(a_consent_event(subject=NUMBER, scope=scope))

    assert question.sender_id == "bank"
    assert question.body.startswith("bank: please reply YES"), "a sender that is not registered"


def test_what_lies_in_the_wrong_place_is_left_to_the_gate(played: Played) -> None:
    elsewhere = next(
        number
        for number in map(a_number, range(20, 99))
        if partition_of(number.encode(), 4) != PARTITION
    )

    for subject, key in ((elsewhere, elsewhere), (elsewhere, NUMBER), (NUMBER, "nobody")):
        assert played.says(a_consent_event(subject=subject), number=key) == []
    assert played.kept == {}


def test_what_nobody_can_read_is_left_to_the_gate(played: Played) -> None:
    decode = played.agent.reads[CONSENT_EVENTS]

    assert (decode(b"garbage"), decode(None)) == (None, None)
    event = played._event(None, NUMBER, 0)
    assert played._done(lambda state: played.agent.handle([event], state)) == []  # type: ignore[arg-type, return-value]


def test_nobody_is_reminded_where_that_is_switched_off(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tools.settings.model_copy(update={"confirm_remind_hours": 0})
    agent = questions(replace(tools, settings=settings))
    assert agent is not None
    played = Played(agent, tools, monkeypatch)

    assert len(played.says(a_consent_event(subject=NUMBER))) == 1
    assert played.later(6 * 24 * HOUR) == []


def test_it_is_off_unless_a_sender_is_set_and_the_policy_wants_it(tools: Tools) -> None:
    def made(**changes: object) -> Agent | None:
        return questions(replace(tools, settings=tools.settings.model_copy(update=changes)))

    assert made() is not None
    assert made(confirm_sender_id=None) is None
    assert made(policy_dir=PLAIN_POLICY) is None
    assert Settings.model_validate({}).confirm_sender_id is None


def test_a_policy_that_knows_no_question_is_told_at_the_start(tools: Tools, tmp_path: Path) -> None:
    policy = policy_wanting_confirmations(tmp_path, purpose="another")
    settings = tools.settings.model_copy(update={"policy_dir": policy})

    with pytest.raises(ConfigError, match="does not declare the purpose confirmation"):
        questions(replace(tools, settings=settings))


def test_texts_without_a_question_are_told_at_the_start(tools: Tools, tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text("en: {stop: a, stop_named: '{name}'}\n")
    settings = tools.settings.model_copy(update={"answers_file": path})

    with pytest.raises(ConfigError, match="has no question in English"):
        questions(replace(tools, settings=settings))
