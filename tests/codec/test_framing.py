"""The bytes before a body, and the fingerprints in them."""

import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form

from streams.codec import framing
from streams.codec.framing import Fingerprint, RegistryId
from streams.errors import Undecodable

# From the Avro project's own cross-language test data (share/test/data/schema-tests.txt).
VECTORS = [
    ("null", 7195948357588979594),
    ("boolean", -6970731678124411036),
    ("long", -3434872931120570953),
    ("bytes", 5746618253357095269),
    ("string", -8142146995180207161),
    (["int"], -5232228896498058493),
    (["int", {"type": "boolean"}], 5392556393470105090),
    ({"fields": [], "type": "record", "name": "foo", "namespace": "x.y"}, 5916914534497305771),
    (
        {"fields": [], "type": "record", "name": "foo", "doc": "foo", "aliases": ["foo", "bar"]},
        -4824392279771201922,
    ),
    (
        {
            "fields": [
                {"type": "boolean", "aliases": [], "name": "f1"},
                {"order": "descending", "name": "f2", "doc": "Hello", "type": "int"},
            ],
            "type": "record",
            "name": "foo",
        },
        -4860222112080293046,
    ),
    (
        {"namespace": "x.y.z", "type": "enum", "name": "foo", "symbols": ["A1", "A2"]},
        -4448647247586288245,
    ),
    ({"values": "string", "type": "map"}, -8732877298790414990),
]


@pytest.mark.parametrize(("schema", "value"), VECTORS)
def test_fingerprints_are_those_of_the_avro_project(schema, value):
    found = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")

    assert bytes.fromhex(found) == (value % 2**64).to_bytes(8, "little")


def test_a_single_object_header_is_marker_and_little_endian_fingerprint():
    null = Fingerprint((7195948357588979594).to_bytes(8, "little"))

    assert framing.frame(b"body", null) == bytes.fromhex("c3018a8f25cce724dd63") + b"body"
    assert framing.unframe(framing.frame(b"body", null)) == (null, 10)


def test_a_registry_header_is_zero_and_big_endian_id():
    assert framing.frame(b"body", RegistryId(258)) == b"\0\0\0\x01\x02body"
    assert framing.unframe(b"\0\0\0\x01\x02body") == (RegistryId(258), 5)


@pytest.mark.parametrize(
    "raw", [b"", b"\0", b"\0\0\0\1", b"\xc3\x01", b"\xc3\x01" + b"f" * 7, b"{}"]
)
def test_what_begins_with_neither_header_is_undecodable(raw):
    with pytest.raises(Undecodable):
        framing.unframe(raw)
