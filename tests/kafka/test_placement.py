"""Where keys lie: Kafka's murmur2, compared with known values and with librdkafka itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

from streams.config import Settings
from streams.kafka.clients import opened, producer_config
from streams.kafka.placement import (
    crc32_partition_of,
    fnv1a_partition_of,
    fnv1a_reference_partition_of,
    partition_of,
)

# From Kafka's own test, `UtilsTest.testMurmur2` (signed 32-bit values).
KNOWN = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "murmur2"), KNOWN.items())
def test_a_key_lies_where_kafka_puts_it(key: bytes, murmur2: int) -> None:
    assert partition_of(key, 2**31) == murmur2 & 0x7FFFFFFF
    assert partition_of(key, 12) == (murmur2 & 0x7FFFFFFF) % 12


@given(st.binary(max_size=40))
def test_the_unrolled_hash_is_the_plain_one(key: bytes) -> None:
    assert partition_of(key, 2**31) == plain_murmur2(key) & 0x7FFFFFFF


def plain_murmur2(key: bytes) -> int:
    """`Utils.murmur2` as it reads, word by word, nothing unrolled."""
    multiplier, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for start in range(0, whole, 4):
        word = int.from_bytes(key[start : start + 4], "little")
        word = (word * multiplier) & mask
        word = word ^ (word >> 24)
        word = (word * multiplier) & mask
        value = (value * multiplier) & mask
        value = value ^ word
    rest = key[whole:]
    if rest:
        value = value ^ int.from_bytes(rest, "little")
        value = (value * multiplier) & mask
    value = value ^ (value >> 13)
    value = (value * multiplier) & mask
    return value ^ (value >> 15)


def numbers() -> Iterator[bytes]:
    """E.164 numbers of every length, from 2 to 15 digits."""
    for digits in range(2, 16):
        for step in range(12):
            yield b"+" + str(10 ** (digits - 1) + step * 7919 % 10 ** (digits - 1)).encode()


def placed(config: dict[str, Any]) -> dict[bytes, int]:
    """Send every number to librdkafka's mock broker and return where each went."""
    producer = opened(Producer, config)
    places: dict[bytes, int] = {}

    def note(error: object, message: Any) -> None:
        assert error is None
        places[message.key()] = message.partition()

    for key in numbers():
        producer.produce("placed", key=key, value=b"", on_delivery=note)
    assert producer.flush(60) == 0
    return places


def test_our_producer_places_every_number_as_partition_of_says() -> None:
    places = placed(producer_config(Settings(kafka={"test.mock.num.brokers": "1"})))

    partitions = max(places.values()) + 1
    assert len(places) == len(set(numbers()))
    assert places == {key: partition_of(key, partitions) for key in numbers()}


def test_librdkafka_by_default_places_numbers_by_crc32() -> None:
    places = placed({"test.mock.num.brokers": 1})

    partitions = max(places.values()) + 1
    assert places == {key: crc32_partition_of(key, partitions) for key in numbers()}
    assert places != {key: partition_of(key, partitions) for key in numbers()}


def test_sarama_s_default_is_what_librdkafka_has_for_it() -> None:
    """librdkafka's ``fnv1a_random`` was made to place keys as Sarama's NewHashPartitioner does."""
    places = placed({"test.mock.num.brokers": 1, "partitioner": "fnv1a_random"})

    partitions = max(places.values()) + 1
    assert places == {key: fnv1a_partition_of(key, partitions) for key in numbers()}


# From draft-eastlake-fnv, the test vectors of 32-bit FNV-1a.
FNV_1A = {b"": 0x811C9DC5, b"a": 0xE40C292C, b"foobar": 0xBF9CF968}


@pytest.mark.parametrize(("key", "fnv1a"), FNV_1A.items())
def test_the_two_of_sarama_differ_in_what_they_make_of_a_negative_hash(
    key: bytes, fnv1a: int
) -> None:
    assert fnv1a_reference_partition_of(key, 2**31) == fnv1a & 0x7FFFFFFF
    assert fnv1a_partition_of(key, 12) == (2**32 - fnv1a) % 12, "all of these are negative"
