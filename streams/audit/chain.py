"""
The chain: what the bytes of a decision or a ledger record are hashed and signed over.

Each record carries the hash of its partition's previous one, and the last of each transaction a
signature over its own hash. A signature therefore covers everything before it: whoever changes,
removes or adds a record must forge every later signature too, or be found.

The hash is SHA-256 over the Avro body (without framing) in which ``signature`` is null. That field
is the last of both records, a union of null and bytes, so that a signature is put in and taken out
at the end of the body without encoding anything again. Avro 1.12 specification, "Binary encoding":
a union is its branch as a zig-zag varint, bytes are a zig-zag varint of their length, then
themselves.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from streams.errors import ProofBroken
from streams.sealing.signatures import SIGNATURE_BYTES

FIRST_PREVIOUS = b""
"""What the first record of a partition carries as the hash of the one before."""

_NULL = b"\x00"  # branch 0
_BYTES_64 = b"\x02\x80\x01"  # branch 1, then 64 as a zig-zag varint


def body_hash(unsigned_body: bytes) -> bytes:
    """
    Hash a record's Avro body in which ``signature`` is null; 32 bytes.

    The caller knows that it is null, because it has just encoded or decoded it so.
    """
    return hashlib.sha256(unsigned_body).digest()


def with_signature(unsigned_body: bytes, signature: bytes) -> bytes:
    """Put a signature in place of the null one. The rest of the body is untouched."""
    if len(signature) != SIGNATURE_BYTES:
        raise ValueError(f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}")
    if not unsigned_body.endswith(_NULL):
        raise ValueError("the body does not end with a null signature")
    return unsigned_body[:-1] + _BYTES_64 + signature


def unsigned(body: bytes, signature: bytes | None) -> bytes:
    """
    Put null in place of the signature that decoding ``body`` gave: the inverse of the above.

    Bytes alone do not tell whether a body is signed, since anything may stand in front of its last
    byte; that is why the decoded signature is asked for.

    :raises ProofBroken: the body does not end with that signature, written the only proper way.
    """
    tail = _NULL if signature is None else _BYTES_64 + signature
    if (signature is not None and len(signature) != SIGNATURE_BYTES) or not body.endswith(tail):
        raise ProofBroken("A record does not end with its signature as the gate writes it.")
    return body[: len(body) - len(tail)] + _NULL


@dataclass(frozen=True, slots=True)
class Link:
    """One record of a chain as it was read: where it stands and what the chain needs of it."""

    offset: int
    appended_at: int
    sequence: int
    previous: bytes
    hash: bytes
    signature: bytes | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is none of ours, or not any more: it cannot be decoded."""

    offset: int
