"""
Headers whose names are not UTF-8.

Kafka allows them and clients in C and Go write them, but not confluent-kafka: so librdkafka's own
functions are called, those of the library that confluent-kafka brings.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import confluent_kafka

from tests.gate.bed import Bed


class _Bytes(ctypes.Structure):
    _fields_ = [("start", ctypes.c_char_p), ("size", ctypes.c_size_t)]


class _Value(ctypes.Union):
    _fields_ = [
        ("text", ctypes.c_char_p),
        ("number", ctypes.c_int32),
        ("bytes", _Bytes),
        ("pointer", ctypes.c_void_p),
        ("room", ctypes.c_char * 64),
    ]


class _Told(ctypes.Structure):
    """``rd_kafka_vu_t``: one argument of ``rd_kafka_produceva``."""

    _fields_ = [("kind", ctypes.c_int), ("value", _Value)]


def write_with_unreadable_headers(
    bed: Bed, topic: str, partition: int, key: bytes, value: bytes
) -> bool:
    """Write a record with such a header; false where librdkafka does not lie beside its package."""
    package = Path(confluent_kafka.__file__).parent
    found = sorted(package.parent.glob("confluent_kafka.libs/librdkafka*"))
    if not found:
        return False
    library = ctypes.CDLL(str(found[0]))
    pointer, size = ctypes.c_void_p, ctypes.c_ssize_t
    for name, result, arguments in (
        ("conf_new", pointer, []),
        ("conf_set", ctypes.c_int, [pointer, ctypes.c_char_p, ctypes.c_char_p, pointer, size]),
        ("new", pointer, [ctypes.c_int, pointer, ctypes.c_char_p, size]),
        ("headers_new", pointer, [size]),
        ("header_add", ctypes.c_int, [pointer, ctypes.c_char_p, size, ctypes.c_char_p, size]),
        ("produceva", pointer, [pointer, pointer, size]),
        ("flush", ctypes.c_int, [pointer, ctypes.c_int]),
        ("destroy", None, [pointer]),
    ):
        function = getattr(library, f"rd_kafka_{name}")
        function.restype, function.argtypes = result, arguments
    conf = library.rd_kafka_conf_new()
    servers = bed.settings.bootstrap_servers.encode()
    assert library.rd_kafka_conf_set(conf, b"bootstrap.servers", servers, None, 0) == 0
    client = library.rd_kafka_new(0, conf, None, 0)
    headers = library.rd_kafka_headers_new(1)
    assert library.rd_kafka_header_add(headers, b"\xff\xfe", 2, b"said", 4) == 0
    # rd_kafka_vtype_t, in the order of rdkafka.h: topic, partition, value, key, copy, headers.
    told = (_Told * 6)()
    told[0].kind, told[0].value.text = 1, topic.encode()
    told[1].kind, told[1].value.number = 3, partition
    told[2].kind, told[2].value.bytes.start, told[2].value.bytes.size = 4, value, len(value)
    told[3].kind, told[3].value.bytes.start, told[3].value.bytes.size = 5, key, len(key)
    told[4].kind, told[4].value.number = 7, 2
    told[5].kind, told[5].value.pointer = 10, headers
    assert library.rd_kafka_produceva(client, told, 6) is None
    assert library.rd_kafka_flush(client, 10_000) == 0
    library.rd_kafka_destroy(client)
    return True
