"""Key-encryption keys: what wraps the data keys of all subjects, and can be rotated."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from streams.errors import SecretsError

NONCE_BYTES = 12
"""A random nonce stands in front of every ciphertext (NIST SP 800-38D, 8.2.2)."""


class KeyEncryptionKeys:
    """
    Wraps data keys under the newest key and unwraps them with whichever was used.

    A key that is not known, or that does not fit, is looked for once more in the folder: when keys
    are rotated, one gate wraps with the new one before the others were restarted, and they take
    over its partitions; and a file that was lost may have been put back.
    """

    def __init__(self, read_keys: Callable[[], dict[str, bytes]]) -> None:
        self._read_keys = read_keys
        keys = read_keys()
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current_id = max(keys)

    def wrap(self, data_key: bytes, associated_data: bytes, nonce: bytes) -> tuple[str, bytes]:
        """
        Encrypt a data key; returns the id of the key used, and nonce, ciphertext and tag.

        ``nonce`` is :data:`NONCE_BYTES` random bytes that are used for nothing else.
        """
        cipher = self._ciphers[self.current_id]
        return self.current_id, nonce + cipher.encrypt(nonce, data_key, associated_data)

    def unwrap(self, kek_id: str, wrapped: bytes, associated_data: bytes) -> bytes:
        """
        Decrypt a data key. Reads the folder when ``kek_id`` is not known yet or does not open it.

        :raises SecretsError: no key has that id, or the key under it is not the one it was, or the
            folder cannot be read now.
        """
        known = self._ciphers.get(kek_id)
        data_key = None if known is None else _opened(known, wrapped, associated_data)
        if data_key is not None:
            return data_key
        found = self._read_keys().get(kek_id)
        if found is None:
            raise SecretsError(
                f"Data keys are wrapped by the key-encryption key {kek_id}, which is not in the "
                "secrets folder. Put its file back: without it what is sealed cannot be opened."
            )
        cipher = AESGCM(found)
        data_key = _opened(cipher, wrapped, associated_data)
        if data_key is None:
            raise SecretsError(
                f"The key-encryption key {kek_id} does not open a data key that names it: the file "
                "is not the one it was, or the stored data key was changed or filed under another "
                "subject."
            )
        # Only what has opened something takes the place of a key that was there.
        self._ciphers[kek_id] = cipher
        return data_key


def _opened(cipher: AESGCM, wrapped: bytes, associated_data: bytes) -> bytes | None:
    try:
        return cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], associated_data)
    except (InvalidTag, ValueError):
        return None
