"""Chains made up for tests: as the gate writes them, then as somebody leaves them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from streams.audit.chain import Link, Unreadable
from streams.audit.heads import Head
from streams.audit.verify import Chain
from streams.sealing.signatures import Signer, Verifier

TOPIC, PARTITION = "sms.decisions", 3
NOW = 1_767_268_800_000
A_YEAR_MS = 365 * 86_400_000

_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = Signer("20260101T000000-00000000", _KEY)
VERIFIER = Verifier({SIGNER.key_id: _KEY.public_key()})


def hashed(sequence: int, previous: bytes, content: str = "") -> bytes:
    return hashlib.sha256(f"{sequence} {content} ".encode() + previous).digest()


def link(
    offset: int, sequence: int, previous: bytes, content: str = "", signed: bool = False
) -> Link:
    """Make a record whose hash covers its sequence, its previous and its content."""
    own = hashed(sequence, previous, content)
    return Link(
        offset=offset,
        appended_at=NOW - A_YEAR_MS + offset * 1000,
        sequence=sequence,
        previous=previous,
        hash=own,
        signature=SIGNER.sign(own) if signed else None,
    )


def a_chain(transactions: Sequence[int], first_offset: int = 0) -> list[Link]:
    """Make a chain: so many records in each transaction, then its marker, which takes an offset."""
    links: list[Link] = []
    offset = first_offset
    for size in transactions:
        for place in range(size):
            previous = links[-1].hash if links else b""
            links.append(link(offset, len(links), previous, signed=place == size - 1))
            offset += 1
        offset += 1
    return links


def rewritten(original: Link, **changes: object) -> Link:
    """Change a record and leave its signature as it was: nobody else has the key."""
    changed = replace(original, **changes)  # type: ignore[arg-type]
    return replace(changed, hash=hashed(changed.sequence, changed.previous, "rewritten"))


def placed_anew(links: Sequence[Link]) -> list[Link]:
    """Write records to a topic in this order: offsets go up."""
    return [replace(record, offset=offset) for offset, record in enumerate(links)]


def the_chain(log_start_offset: int = 0, whole: bool = True, filed: Sequence[Head] = ()) -> Chain:
    return Chain(
        topic=TOPIC,
        partition=PARTITION,
        log_start_offset=log_start_offset,
        signed_by=VERIFIER.signed_by,
        retention_ms=3 * A_YEAR_MS,
        now=NOW,
        whole=whole,
        filed=filed,
    )


def head_of(record: Link, **changes: object) -> Head:
    head = Head(
        topic=TOPIC,
        partition=PARTITION,
        sequence=record.sequence,
        hash=record.hash.hex(),
        signed_by=SIGNER.key_id,
        appended_at=record.appended_at,
    )
    return replace(head, **changes)  # type: ignore[arg-type]


def unreadable(offset: int) -> Unreadable:
    return Unreadable(offset)
