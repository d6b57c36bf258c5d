"""Key-encryption keys: what wraps the data keys of all subjects, and can be rotated."""

from __future__ import annotations

import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from streams.errors import SecretsError

NONCE_BYTES = 12
"""A random nonce stands in front of every ciphertext (NIST SP 800-38D, 8.2.2)."""


class KeyEncryptionKeys:
    """
    Wraps data keys under the newest key and unwraps them with whichever was used.

    A key that is not known is looked for once more in the folder: when keys are rotated, one gate
    wraps with the new one before the others were restarted, and they take over its partitions.
    """

    def __init__(self, read_keys: Callable[[], dict[str, bytes]]) -> None:
        self._read_keys = read_keys
        keys = read_keys()
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current_id = max(keys)

    def wrap(self, data_key: bytes, associated_data: bytes) -> tuple[str, bytes]:
        """Encrypt a data key; returns the id of the key used, and nonce, ciphertext and tag."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self.current_id]
        return self.current_id, nonce + cipher.encrypt(nonce, data_key, associated_data)

    def unwrap(self, kek_id: str, wrapped: bytes, associated_data: bytes) -> bytes:
        """
        Decrypt a data key. Reads the folder when ``kek_id`` is not known yet.

        :raises SecretsError: no key has that id, or the key under it is not the one it was.
        """
        cipher = self._ciphers.get(kek_id)
        if cipher is None:
            for key_id, key in self._read_keys().items():
                self._ciphers.setdefault(key_id, AESGCM(key))
            cipher = self._ciphers.get(kek_id)
        if cipher is None:
            raise SecretsError(
                f"Data keys are wrapped by the key-encryption key {kek_id}, which is not in the "
                "secrets folder. Put its file back: without it what is sealed cannot be opened."
            )
        try:
            return cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], associated_data)
        except (InvalidTag, ValueError) as error:
            raise SecretsError(
                f"The key-encryption key {kek_id} does not open a data key that names it: the file "
                "is not the one it was, or the stored data key was changed or filed under another "
                "subject."
            ) from error
