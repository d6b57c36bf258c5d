"""Work that takes long gives way to other partitions, and counts whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from streams.codec.codec import open_codecs
from streams.config import Settings
from streams.errors import NotE164
from streams.processors.agent import Agent, Effects, Event, GivingWay, Output, Place, Tools, each
from streams.processors.lane import Hands, Lane
from streams.processors.message import Message
from streams.processors.outbox import Written
from streams.processors.state import AgentState
from streams.processors.state_log import Restored
from streams.processors.uploads import uploads
from streams.records.contacts import UploadedContact
from streams.sealing.keyring import open_keyring
from streams.sealing.secrets_folder import init_secrets
from streams.telemetry.telemetry import Telemetry
from streams.testing.records import a_number, an_upload
from streams.topology import (
    CONTACTS_UPLOADED,
    DEAD_LETTERS,
    SMS_INBOUND,
    UPLOADS_COMPLETED,
    UPLOADS_SPLIT,
    WORKER_STATE,
    TopicNames,
)
from tests.processors.counting import text_of

SECONDS: Final = 60
NAMES: Final = TopicNames("", {})


class Bench:
    """Lanes of one agent that share its thread, and what they wrote, in that order."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.delivered: list[Sequence[Written]] = []
        self.done: list[tuple[int, int]] = []
        """Partition and next offset of what was acknowledged, in that order."""
        self.hands = Hands(
            names=NAMES,
            group_id="g",
            outbox=self,  # type: ignore[arg-type]
            telemetry=Telemetry(),
            done=lambda _topic, partition, offset: self.done.append((partition, offset)),
            hold=lambda *_: None,
            now_ms=lambda: 0,
            executor=executor,
        )

    async def deliver(self, records: Sequence[Written]) -> None:
        """Take records as an outbox does."""
        if records:
            self.delivered.append(records)

    def written(self, topic: str) -> list[Written]:
        """What went to a topic."""
        return [each for records in self.delivered for each in records if each.topic == topic]

    def play(self, agent: Agent, *messages: Message, until: Callable[[], object]) -> None:
        """Let a lane for each partition take these, in this order, until it is so."""

        async def run() -> None:
            lanes = {m.partition: Lane(agent, m.partition, self.hands) for m in messages}
            for message in messages:
                lanes[message.partition].take(message)
            running = [asyncio.ensure_future(each.run(Restored())) for each in lanes.values()]
            await _so(until)
            for lane in lanes.values():
                lane.close()
            await asyncio.gather(*running)

        asyncio.run(asyncio.wait_for(run(), SECONDS))


async def _so(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with ThreadPoolExecutor(1) as executor:
        yield Bench(executor)


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    init_secrets(tmp_path / "secrets")
    settings = Settings.model_validate({"state_dir": tmp_path})
    return Tools(settings, open_codecs(), open_keyring(tmp_path / "secrets"), 2)


def uploaded(tools: Tools, upload_id: str, partition: int, contacts: int) -> Message:
    """An upload of so many contacts, as the first record of a partition."""
    numbers = [f"+1212{n:07d}" for n in range(2_000_000, 2_000_000 + contacts)]
    upload = an_upload(
        upload_id=upload_id,
        uploader=a_number(partition),
        contacts=tuple(map(UploadedContact, numbers)),
    )
    topic, key = NAMES.of(CONTACTS_UPLOADED), upload.uploader.encode()
    return Message(topic, partition, 0, 0, key, tools.codecs.uploads.encode(upload), (), 1)


def test_a_small_upload_does_not_wait_for_a_large_one_of_another_partition(
    bench: Bench, tools: Tools
) -> None:
    bench.play(
        uploads(tools),
        uploaded(tools, "large", 0, 20_000),
        uploaded(tools, "small", 1, 3),
        until=lambda: len(bench.done) == 2,
    )

    assert bench.done == [(1, 1), (0, 1)]
    split = [tools.codecs.splits.decode(each.value) for each in bench.written(UPLOADS_SPLIT.name)]
    assert [(each.upload_id, each.entries) for each in split] == [("small", 3), ("large", 20_000)]


def test_of_one_partition_they_are_handled_in_their_order(bench: Bench, tools: Tools) -> None:
    large, small = uploaded(tools, "large", 0, 5_000), uploaded(tools, "small", 0, 3)
    second = Message(small.topic, 0, 1, 0, small.key, small.value, (), 1)

    bench.play(uploads(tools), large, second, until=lambda: (0, 2) in bench.done)

    split = [tools.codecs.splits.decode(each.value) for each in bench.written(UPLOADS_SPLIT.name)]
    assert [each.upload_id for each in split] == ["large", "small"]


def text(offset: int, value: str, partition: int = 0) -> Message:
    return Message(NAMES.of(SMS_INBOUND), partition, offset, 0, b"k", value.encode(), (), 1)


def passed_on(event: Event[str]) -> Effects:
    return Effects([Output(UPLOADS_COMPLETED, event.partition, b"k", event.record.encode())])


def slowly(event: Event[str], state: AgentState) -> GivingWay:
    """Change the state, give way again and again, and refuse what is called bad after that."""
    state.put(event.record, b"1")
    for _ in range(100):
        yield
    if event.record == "bad":
        raise NotE164("told after a while")
    return passed_on(event)


@pytest.mark.parametrize("place", Place)
def test_an_event_that_is_refused_after_a_while_takes_nothing_with_it(
    bench: Bench, place: Place
) -> None:
    agent = Agent("slow", {SMS_INBOUND: text_of}, each(slowly), place=place)

    bench.play(agent, text(0, "a"), text(1, "bad"), text(2, "b"), until=lambda: bench.done)

    assert [each.value for each in bench.written(UPLOADS_COMPLETED.name)] == [b"a", b"b"]
    assert [each.value for each in bench.written(DEAD_LETTERS.name)] == [b"bad"]
    kept = {each.key for each in bench.written(WORKER_STATE.name)}
    assert kept == {b"slow:a", b"slow:b", b"slow:"}


def test_a_lane_that_is_cancelled_between_two_slices_has_written_nothing(bench: Bench) -> None:
    begun: list[int] = []

    def endless(event: Event[str], state: AgentState) -> GivingWay:
        state.put("touched", b"1")
        while True:
            begun.append(event.offset)
            yield

    agent = Agent("endless", {SMS_INBOUND: text_of}, each(endless), place=Place.THREAD)

    async def run() -> None:
        lane = Lane(agent, 0, bench.hands)
        lane.take(text(0, "a"))
        running = asyncio.ensure_future(lane.run(Restored()))
        await _so(lambda: begun)
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(asyncio.wait_for(run(), SECONDS))
    assert (bench.delivered, bench.done) == ([], [])
