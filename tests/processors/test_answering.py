"""What a reply comes to without a broker: what it withdraws, and what it is answered with."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from streams.codec.codec import Codecs, open_codecs
from streams.config import Settings
from streams.kafka.placement import partition_of
from streams.processors.agent import Agent, Effects, Event, Tools
from streams.processors.answering import ANSWERED_MS
from streams.processors.kept import Kept
from streams.processors.replies import replies
from streams.processors.state import AgentState
from streams.records.events import ConsentEvent, ConsentEvidence, Scope
from streams.records.inbound import InboundSms
from streams.records.requests import Occasion, SmsRequested
from streams.sealing.keyring import open_keyring
from streams.sealing.secrets_folder import init_secrets
from streams.testing.records import an_inbound_sms
from streams.topology import CONSENT_EVENTS, SMS_INBOUND, SMS_REQUESTED

REGISTER = "senders: [{sender_id: acme, recipients: ['36111'], names: [Acme], language: de}]\n"


@pytest.fixture(scope="module")
def codecs() -> Codecs:
    return open_codecs()


@pytest.fixture
def tools(tmp_path: Path, codecs: Codecs) -> Tools:
    init_secrets(tmp_path / "secrets")
    (tmp_path / "senders.yaml").write_text(REGISTER)
    settings = Settings.model_validate({"senders_file": tmp_path / "senders.yaml"})
    return Tools(settings, codecs, open_keyring(tmp_path / "secrets"), 4)


def handled(agent: Agent, **said: Any) -> Effects:
    now = int(time.time() * 1000)
    reply: InboundSms = an_inbound_sms(**{"received_at": now, **said})
    key = reply.sender.encode()
    event = Event(SMS_INBOUND, partition_of(key, 4), 7, now, key, reply)
    work = agent.handle([event], AgentState(event.partition, Kept({}), {}))
    assert isinstance(work, Generator)
    with pytest.raises(StopIteration) as ended:
        next(work)  # one reply never gives way
    effects = ended.value.value
    assert isinstance(effects, Effects)
    return effects


def request_of(codecs: Codecs, effects: Effects) -> SmsRequested | None:
    if not effects.then:
        return None
    (output,) = effects.then
    asked = codecs.requests.decode(output.value)
    assert output.topic is SMS_REQUESTED
    assert output.key == asked.recipient.encode()
    assert output.partition == partition_of(output.key, 4)
    return asked


def event_of(codecs: Codecs, effects: Effects) -> ConsentEvent:
    (output,) = (each for each in effects.outputs if each.topic is CONSENT_EVENTS)
    return codecs.consent_events.decode(output.value)


def test_a_stop_is_confirmed_after_it_is_withdrawn(tools: Tools, codecs: Codecs) -> None:
    effects = handled(replies(tools), message_id="m1", body="Stop!")

    said, asked = event_of(codecs, effects), request_of(codecs, effects)
    assert said.scope == Scope(sender_id="acme")
    assert said.evidence == ConsentEvidence(channel="sms", reference="m1")
    assert asked is not None
    assert asked.occasion == Occasion("inbound_sms", "m1", said.occurred_at)
    assert asked.purpose == "service_reply"
    assert asked.valid_until == said.occurred_at + ANSWERED_MS
    assert (asked.sender_id, asked.campaign_id) == ("acme", None)
    assert asked.body == "Sie sind abgemeldet und erhalten keine weiteren Nachrichten von Acme."


def test_the_same_reply_asks_for_the_same_message(tools: Tools, codecs: Codecs) -> None:
    agent = replies(tools)
    now = int(time.time() * 1000)

    first, second = (handled(agent, message_id="m1", received_at=now) for _ in range(2))

    ids = {request_of(codecs, each).request_id for each in (first, second)}  # type: ignore[union-attr]
    assert ids == {"inbound/m1"}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("STOP", "Sie sind abgemeldet und erhalten keine weiteren Nachrichten von Acme."),
        ("arrêt", "Vous êtes désinscrit et ne recevrez plus de messages de Acme."),
        ("STOP ALL", "Sie sind abgemeldet und erhalten keine weiteren Nachrichten von uns."),
    ],
)
def test_the_text_says_what_ended_in_the_person_s_language(
    tools: Tools, codecs: Codecs, body: str, text: str
) -> None:
    asked = request_of(codecs, handled(replies(tools), body=body))

    assert asked is not None
    assert asked.body == text


def test_an_unknown_number_confirms_that_everything_ended(tools: Tools, codecs: Codecs) -> None:
    effects = handled(replies(tools), body="STOP", recipient="99999")

    asked = request_of(codecs, effects)
    assert event_of(codecs, effects).scope == Scope()
    assert asked is not None
    assert (asked.sender_id, asked.body) == (
        "99999",
        "You have opted out and will get no more messages from us.",
    )


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"body": "STOP this terrible bill"}, id="a doubt"),
        pytest.param({"body": "thanks"}, id="no wish"),
        pytest.param({"body": "HELP"}, id="no text for it"),
        pytest.param({"body": "START"}, id="no text for that either"),
        pytest.param({"received_at": int(time.time() * 1000) - ANSWERED_MS}, id="too old"),
        pytest.param({"recipient": ""}, id="nobody to answer from"),
    ],
)
def test_what_is_not_answered(tools: Tools, codecs: Codecs, said: dict[str, Any]) -> None:
    assert handled(replies(tools), **said).then == []


def test_a_receipt_dated_ahead_gives_no_more_time(tools: Tools, codecs: Codecs) -> None:
    ahead = int(time.time() * 1000) + 3_600_000

    asked = request_of(codecs, handled(replies(tools), received_at=ahead))

    assert asked is not None
    assert asked.valid_until is not None
    assert asked.valid_until < ahead


def test_confirming_can_be_switched_off_and_others_answered(
    tools: Tools, codecs: Codecs, tmp_path: Path
) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text("en: {stop: a, stop_named: '{name}', start: Welcome, help: Call us}\n")
    settings = tools.settings.model_copy(update={"confirm_stops": False, "answers_file": answers})
    agent = replies(Tools(settings, codecs, tools.keyring, 4))

    bodies = [request_of(codecs, handled(agent, body=body)) for body in ("STOP", "START", "HELP")]

    assert [each and each.body for each in bodies] == [None, "Welcome", "Call us"]
