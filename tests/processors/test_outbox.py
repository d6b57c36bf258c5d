"""A delivery ends when all of it is on the brokers, or says that it may not be."""

from __future__ import annotations

import asyncio

import pytest

from streams.config import Settings
from streams.errors import KafkaUnavailable
from streams.kafka.clients import producer_config
from streams.processors.outbox import Outbox, Written
from streams.topology import UPLOADS_COMPLETED
from tests.gate.bed import Bed

NOBODY_LISTENS = "127.0.0.1:1"


def test_what_nobody_acknowledges_is_unavailable_and_stops_no_second_try() -> None:
    settings = Settings(bootstrap_servers=NOBODY_LISTENS)
    config = {
        **producer_config(settings),
        "message.timeout.ms": 500,
        "topic.metadata.refresh.interval.ms": -1,
    }

    async def twice() -> None:
        outbox = Outbox(config)
        try:
            for _ in range(2):
                with pytest.raises(KafkaUnavailable):
                    await outbox.deliver([Written("anywhere", 0, b"key", b"secret")])
        finally:
            await asyncio.to_thread(outbox.close)

    asyncio.run(twice())


@pytest.mark.kafka
def test_thousands_are_there_once_it_returns_in_their_order(bed: Bed) -> None:
    topic = bed.settings.names.of(UPLOADS_COMPLETED)
    records = [Written(topic, n % 2, b"%d" % n, b"value", [("h", b"1")]) for n in range(5_000)]

    async def deliver() -> None:
        outbox = Outbox(producer_config(bed.settings))
        try:
            await outbox.deliver(records)
            found = bed.read(topic)
        finally:
            await asyncio.to_thread(outbox.close)
        for partition in (0, 1):
            keys = [int(m.key() or b"") for m in found if m.partition() == partition]
            assert keys == list(range(partition, 5_000, 2))

    asyncio.run(deliver())


def test_no_content_is_shown() -> None:
    assert "secret" not in repr(Written("topic", 0, b"secret", b"secret"))
