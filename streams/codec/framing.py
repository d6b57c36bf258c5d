"""
Framing: the few bytes before an Avro body that say which schema wrote it.

Two kinds are in use, and readers take both:

- Avro's single-object encoding: ``C3 01``, then the schema's CRC-64-AVRO fingerprint,
  little-endian (Avro 1.12 specification, "Single-object encoding"). Needs no registry.
- Confluent's: ``00``, then the id that the schema has in the registry, big-endian
  (docs.confluent.io, "Wire format").
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.errors import Undecodable

SINGLE_OBJECT_MARKER = b"\xc3\x01"
SINGLE_OBJECT_BYTES = 10
CONFLUENT_MAGIC = b"\x00"
CONFLUENT_BYTES = 5


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A schema by its fingerprint: 8 bytes, in the order of the wire."""

    value: bytes


@dataclass(frozen=True, slots=True)
class RegistryId:
    """A schema by its id in the registry, 0 to 2**31 - 1."""

    value: int


SchemaRef = Fingerprint | RegistryId


def header(schema: SchemaRef) -> bytes:
    """Give the bytes that stand before every body written with this schema."""
    match schema:
        case Fingerprint(value):
            return SINGLE_OBJECT_MARKER + value
        case RegistryId(value):
            return CONFLUENT_MAGIC + value.to_bytes(4, "big")


def frame(body: bytes, schema: SchemaRef) -> bytes:
    """Put a schema's header before a body."""
    return header(schema) + body


def unframe(raw: bytes) -> tuple[SchemaRef, int]:
    """
    Tell which schema wrote these bytes, and where the body begins.

    Raises :class:`Undecodable` when they begin with neither header.
    """
    if raw.startswith(SINGLE_OBJECT_MARKER) and len(raw) >= SINGLE_OBJECT_BYTES:
        return Fingerprint(raw[2:SINGLE_OBJECT_BYTES]), SINGLE_OBJECT_BYTES
    if raw.startswith(CONFLUENT_MAGIC) and len(raw) >= CONFLUENT_BYTES:
        return RegistryId(int.from_bytes(raw[1:CONFLUENT_BYTES], "big")), CONFLUENT_BYTES
    raise Undecodable("the value begins with neither an Avro single-object nor a registry header")
