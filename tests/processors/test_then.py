"""What may only follow something else is written after that is acknowledged, and not before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from streams.errors import KafkaUnavailable
from streams.processors.agent import Agent, Effects, Event, Output, each
from streams.processors.lane import Hands, Lane
from streams.processors.message import Message
from streams.processors.outbox import Written
from streams.processors.state import AgentState
from streams.processors.state_log import Restored
from streams.telemetry.telemetry import Telemetry
from streams.topology import CONSENT_EVENTS, SMS_INBOUND, SMS_REQUESTED, TopicNames
from tests.processors.counting import text_of


class Recording:
    """In the place of an outbox: remembers in which order what was acknowledged."""

    def __init__(self, refuse_first: int = 0) -> None:
        self.acknowledged: list[list[str]] = []
        self._refuse = refuse_first

    async def deliver(self, records: Sequence[Written]) -> None:
        if records and self._refuse:
            self._refuse -= 1
            raise KafkaUnavailable("not now")
        if records:
            self.acknowledged.append([record.topic for record in records])


def asking(event: Event[str], state: AgentState) -> Effects:
    """Withdraw, then ask; every second event changes the state as well."""
    if event.record == "with state":
        state.put("seen", b"1")
    said = Output(CONSENT_EVENTS, 0, b"k", b"withdrawn")
    return Effects([said], then=[Output(SMS_REQUESTED, 0, b"k", b"asked")])


def written(outbox: Recording, *values: str) -> tuple[list[list[str]], list[int]]:
    """Run a lane over these values; return what was acknowledged together, and offsets done."""
    done: list[int] = []
    agent = Agent("asking", {SMS_INBOUND: text_of}, each(asking))
    names = TopicNames("", {})

    async def run() -> None:
        hands = Hands(
            names=names,
            group_id="g",
            outbox=outbox,  # type: ignore[arg-type]
            telemetry=Telemetry(),
            done=lambda _topic, _partition, offset: done.append(offset),
            hold=lambda *_: None,
            now_ms=lambda: 0,
            executor=None,
        )
        lane = Lane(agent, 0, hands)
        for offset, value in enumerate(values):
            lane.take(Message(names.of(SMS_INBOUND), 0, offset, 0, b"k", value.encode(), (), 1))
        running = asyncio.ensure_future(lane.run(Restored()))
        while not done:
            await asyncio.sleep(0)
        lane.close()
        await running

    asyncio.run(asyncio.wait_for(run(), 20))
    return outbox.acknowledged, done


def test_a_batch_s_requests_follow_all_its_events() -> None:
    acknowledged, done = written(Recording(), "a", "b")

    assert acknowledged == [["consent.events"] * 2, ["sms.requested"] * 2]
    assert done == [2]


def test_with_a_state_the_mark_comes_last() -> None:
    acknowledged, _ = written(Recording(), "with state")

    assert acknowledged == [["consent.events", "worker.state"], ["sms.requested"], ["worker.state"]]


def test_while_the_first_is_not_acknowledged_nothing_follows_it() -> None:
    acknowledged, _ = written(Recording(refuse_first=2), "a")

    assert acknowledged == [["consent.events"], ["sms.requested"]]
