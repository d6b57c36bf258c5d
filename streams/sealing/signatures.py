"""
Signatures: that one of our gates wrote something, and that nobody changed it since.

Two things are signed, both with Ed25519 (RFC 8032): hashes of chained records (32 bytes, as they
are, so that anyone with a public key can check them with ordinary tools), and statements in record
headers. A statement is signed with its context in front, which makes it longer than 32 bytes: the
signature of one can never pass for the other, nor a statement of one context for another's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from enum import Enum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_BYTES = 64
HASH_BYTES = 32

_WHEN_BYTES = 8


class Statement(Enum):
    """What a signed header states about the record that carries it, at a time."""

    FIRST_APPENDED = b"consent-gate/first-appended/v1"
    """A misplaced consent event was first appended then, before the gate re-sent it."""
    RESOLVED = b"consent-gate/resolved/v1"
    """A person looked at a subject's undecodable events and let it go on."""


class Signer:
    """
    Signs with the current private key.

    30 µs a signature: once a transaction and partition, not once a record.
    """

    __slots__ = ("_key", "key_id")

    key_id: str

    def __init__(self, key_id: str, key: Ed25519PrivateKey) -> None:
        self.key_id = key_id
        self._key = key

    def sign(self, hash32: bytes) -> bytes:
        """Sign the hash of a chained record; 64 bytes."""
        if len(hash32) != HASH_BYTES:
            raise ValueError(f"a hash has {HASH_BYTES} bytes, not {len(hash32)}")
        return self._key.sign(hash32)

    def sign_header(self, statement: Statement, value: bytes, when_ms: int) -> bytes:
        """
        State something about ``value`` at ``when_ms``; the result goes into a record header.

        ``value`` is what ties the header to its record: take the record's own bytes, else the
        header could be moved to another one. Returns 72 bytes: the time, then the signature.
        """
        when = when_ms.to_bytes(_WHEN_BYTES, "big")
        return when + self._key.sign(_stated(statement, value, when))


class Verifier:
    """
    Checks signatures against all public keys that were ever in use.

    A record does not say which key signed it, so keys are tried, the last successful one first:
    100 µs a signature. ``reload`` is called when none fits, in case a key was added since.
    """

    __slots__ = ("_keys", "_last", "_reload")

    def __init__(
        self,
        keys: Mapping[str, Ed25519PublicKey],
        reload: Callable[[], Mapping[str, Ed25519PublicKey]] | None = None,
    ) -> None:
        self._keys = dict(keys)
        self._last: str | None = next(reversed(self._keys), None)
        self._reload = reload

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of the public keys known now, oldest first."""
        return tuple(self._keys)

    def signed_by(self, hash32: bytes, signature: bytes) -> str | None:
        """Give the id of the key that signed this hash; None if none of ours did."""
        return self._signed_by(hash32, signature)

    def verify_header(self, statement: Statement, value: bytes, header: bytes) -> int | None:
        """
        Give the time that a header states about ``value``; None if it is not ours or was changed.

        None is for the caller to treat as if there were no header, never as an error: anyone who
        may write to the topic can put one there.
        """
        when, signature = header[:_WHEN_BYTES], header[_WHEN_BYTES:]
        if len(signature) != SIGNATURE_BYTES:
            return None
        if self._signed_by(_stated(statement, value, when), signature) is None:
            return None
        return int.from_bytes(when, "big")

    def _signed_by(self, message: bytes, signature: bytes) -> str | None:
        key_id = self._tried(message, signature)
        if key_id is None and self._reload is not None:
            known = set(self._keys)
            self._keys.update(self._reload())
            if set(self._keys) != known:
                key_id = self._tried(message, signature)
        return key_id

    def _tried(self, message: bytes, signature: bytes) -> str | None:
        # Stable: the key that fitted last comes first, the others in their order.
        for key_id in sorted(self._keys, key=lambda known: known != self._last):
            try:
                self._keys[key_id].verify(signature, message)
            except InvalidSignature:
                continue
            self._last = key_id
            return key_id
        return None


def _stated(statement: Statement, value: bytes, when: bytes) -> bytes:
    return statement.value + b"\x00" + when + hashlib.sha256(value).digest()
