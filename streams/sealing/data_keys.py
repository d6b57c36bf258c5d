"""
Data keys: what is kept of one person's content is sealed under a key of that person's own.

AES-256-GCM (NIST SP 800-38D) throughout, with 12 random bytes as nonce in front of the ciphertext.
A data key is stored only wrapped, under a key-encryption key of the ring; tombstoning the wrapped
key shreds everything sealed under it. Random nonces are safe up to 2^32 uses of a key: far more
than one person's messages, and the number of new data keys after which to rotate the key-encryption
key.
"""

from __future__ import annotations

import os
from collections import OrderedDict

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from streams.errors import KeyMissing, ProofBroken, SecretsError
from streams.records.drafts import making
from streams.records.subject import SubjectKey
from streams.sealing.key_encryption import NONCE_BYTES, KeyEncryptionKeys

_DATA_KEY_BYTES = 32
_KEY_ID_BYTES = 8

CIPHERS_KEPT = 10_000
"""2.6 KB each. Fewer means unwrapping again (2.8 µs); more holds more keys in memory."""


_subject_key = making(SubjectKey)


class Sealer:
    """Seals and opens content under one subject's data key."""

    __slots__ = ("_cipher", "key_id")

    key_id: str

    def __init__(self, key_id: str, data_key: bytes) -> None:
        self.key_id = key_id
        self._cipher = AESGCM(data_key)

    def seal(self, plaintext: bytes, associated_data: bytes) -> bytes:
        """
        Encrypt; only who names the same ``associated_data`` (a record's id) opens it.

        Returns nonce (12 bytes), ciphertext and tag (16): 28 bytes more than came in.
        """
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, associated_data)

    def unseal(self, sealed: bytes, associated_data: bytes) -> bytes:
        """
        Decrypt what :meth:`seal` made.

        :raises ProofBroken: it was changed, or sealed under another key or for another record.
        """
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated_data)
        except (InvalidTag, ValueError) as error:
            raise ProofBroken(
                f"Sealed content does not open with data key {self.key_id}: it was changed after "
                "it was sealed, or belongs to another record or key."
            ) from error


class DataKeys:
    """
    Makes data keys and opens them, keeping the last ones open.

    For one thread. What is open stays in memory until :meth:`forget`, or until others push it out.
    """

    def __init__(self, keys: KeyEncryptionKeys, ciphers_kept: int = CIPHERS_KEPT) -> None:
        self._keys = keys
        self._ciphers_kept = ciphers_kept
        self._open: OrderedDict[bytes, Sealer] = OrderedDict()

    def new_key(self, subject_id: bytes, now_ms: int) -> SubjectKey:
        """
        Make a data key for a subject, wrapped by the current key-encryption key.

        The caller stores it before anything sealed under it can be seen.
        """
        # Asked of the system at once: three questions cost more than the encryption.
        random = os.urandom(_DATA_KEY_BYTES + _KEY_ID_BYTES + NONCE_BYTES)
        data_key, nonce = random[:_DATA_KEY_BYTES], random[-NONCE_BYTES:]
        key_id = random[_DATA_KEY_BYTES:-NONCE_BYTES].hex()
        kek_id, wrapped = self._keys.wrap(data_key, _bound_to(subject_id, key_id), nonce)
        self._keep(subject_id, Sealer(key_id, data_key))
        return _subject_key(
            subject_id=subject_id, key_id=key_id, kek_id=kek_id, wrapped=wrapped, created_at=now_ms
        )

    def sealer(self, key: SubjectKey) -> Sealer:
        """
        Open a data key.

        :raises KeyMissing: its key-encryption key is not in the folder, or does not fit, or cannot
            be read. It may be there the next time: nothing of a failure is remembered.
        """
        sealer = self._open.get(key.subject_id)
        if sealer is not None and sealer.key_id == key.key_id:
            self._open.move_to_end(key.subject_id)
            return sealer
        try:
            bound = _bound_to(key.subject_id, key.key_id)
            data_key = self._keys.unwrap(key.kek_id, key.wrapped, bound)
        except SecretsError as error:
            raise KeyMissing(f"A data key cannot be opened. {error}", key.subject_id) from error
        if len(data_key) != _DATA_KEY_BYTES:
            raise KeyMissing(
                f"Data key {key.key_id} has {len(data_key)} bytes, not {_DATA_KEY_BYTES}",
                key.subject_id,
            )
        sealer = Sealer(key.key_id, data_key)
        self._keep(key.subject_id, sealer)
        return sealer

    def forget(self, subject_id: bytes) -> None:
        """Let go of a subject's open key: part of shredding it. Unknown subjects are no error."""
        self._open.pop(subject_id, None)

    def forget_all(self) -> None:
        """Let go of every open key: its subject may belong to another gate from now on."""
        self._open.clear()

    def _keep(self, subject_id: bytes, sealer: Sealer) -> None:
        self._open[subject_id] = sealer
        self._open.move_to_end(subject_id)
        if len(self._open) > self._ciphers_kept:
            self._open.popitem(last=False)


def _bound_to(subject_id: bytes, key_id: str) -> bytes:
    """Bind a wrapped key to its owner: it cannot be filed under another subject or id."""
    return subject_id + key_id.encode()
