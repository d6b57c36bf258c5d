"""
In which partition a key lies: Kafka's murmur2, the one partitioner of this system.

A STOP and the request that it forbids meet only if both were placed by the same rule. Kafka's Java
producer hashes keys with murmur2 (``Utils.murmur2`` and ``BuiltInPartitioner.partitionForKey``);
librdkafka does so with ``partitioner=murmur2_random``, not by default: its ``consistent_random``
uses CRC-32.
"""

from __future__ import annotations

from struct import Struct
from zlib import crc32

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF
_SEED = 0x9747B28C

_THREE_WORDS = Struct("<3I").unpack_from
_TWO_WORDS = Struct("<2I").unpack_from


def partition_of(key: bytes, partitions: int) -> int:
    """
    Return the partition of a key among ``partitions``, as Kafka's default partitioner has it.

    The empty key has a partition like any other. A missing key has none: do not ask for it.
    Pure; under 2.5 µs for keys of 8 to 16 bytes, since the gate checks every record's place.
    """
    # Unrolled for the words of an E.164 number: h ^ k runs over 32-bit little-endian words.
    length = len(key)
    h = _SEED ^ length
    if 12 <= length < 16:
        a, b, c = _THREE_WORDS(key)
        a = a * _M & _MASK
        b = b * _M & _MASK
        c = c * _M & _MASK
        h = (h * _M ^ (a ^ a >> 24) * _M) & _MASK
        h = (h * _M ^ (b ^ b >> 24) * _M) & _MASK
        h = (h * _M ^ (c ^ c >> 24) * _M) & _MASK
        at = 12
    elif 8 <= length < 12:
        a, b = _TWO_WORDS(key)
        a = a * _M & _MASK
        b = b * _M & _MASK
        h = (h * _M ^ (a ^ a >> 24) * _M) & _MASK
        h = (h * _M ^ (b ^ b >> 24) * _M) & _MASK
        at = 8
    else:
        at = length & ~3
        for start in range(0, at, 4):
            k = int.from_bytes(key[start : start + 4], "little") * _M & _MASK
            h = (h * _M ^ (k ^ k >> 24) * _M) & _MASK
    if at < length:
        h = (h ^ int.from_bytes(key[at:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions


def fnv1a_partition_of(key: bytes, partitions: int) -> int:
    """
    Return where Sarama's default partitioner puts a key: to tell a producer that uses it.

    ``NewHashPartitioner`` of IBM/sarama's ``partitioner.go``: 32-bit FNV-1a, taken as a signed
    number; Go's remainder has its sign, which is dropped. kafka-go's ``kafka.Hash`` does the same.
    """
    h = _fnv1a(key)
    return (h if h < 1 << 31 else (1 << 32) - h) % partitions


def fnv1a_reference_partition_of(key: bytes, partitions: int) -> int:
    """
    Return where Sarama's ``NewReferenceHashPartitioner`` puts a key.

    The same hash. "Reference" is only how it drops the sign, which is Java's way.
    """
    return (_fnv1a(key) & 0x7FFFFFFF) % partitions


def _fnv1a(key: bytes) -> int:
    h = 0x811C9DC5
    for byte in key:
        h = (h ^ byte) * 0x01000193 & _MASK
    return h


def crc32_partition_of(key: bytes, partitions: int) -> int:
    """Return where librdkafka's default partitioner puts a key: to tell a producer that uses it."""
    return crc32(key) % partitions
