"""The key ring: the keys of an installation, loaded once and used for the life of a process."""

from __future__ import annotations

from pathlib import Path

from streams.errors import SecretsError
from streams.sealing.data_keys import DataKeys
from streams.sealing.key_encryption import KeyEncryptionKeys
from streams.sealing.secrets_folder import (
    read_key_encryption_keys,
    read_signing_key,
    read_subject_id_key,
    read_verification_keys,
    refuse_open_folders,
)
from streams.sealing.signatures import Signer, Verifier
from streams.sealing.subject_ids import SubjectIds


class KeyRing:
    """
    All keys of an installation.

    ``repr`` shows no key. A process opens one ring at its start and keeps it.
    """

    __slots__ = ("key_encryption_keys", "signer", "subject_ids", "verifier")

    def __init__(
        self,
        subject_ids: SubjectIds,
        key_encryption_keys: KeyEncryptionKeys,
        signer: Signer,
        verifier: Verifier,
    ) -> None:
        self.subject_ids = subject_ids
        self.key_encryption_keys = key_encryption_keys
        self.signer = signer
        self.verifier = verifier

    def data_keys(self) -> DataKeys:
        """Make a set of data keys with a memory of its own, for one thread."""
        return DataKeys(self.key_encryption_keys)


def open_keyring(secrets_dir: Path) -> KeyRing:
    """
    Load the keys of a secrets folder.

    :raises SecretsError: a key is missing, readable by other users, or not a key; the text names
        the file and the remedy.
    """
    refuse_open_folders(secrets_dir)
    subject_ids = SubjectIds(read_subject_id_key(secrets_dir))
    key_encryption_keys = KeyEncryptionKeys(lambda: read_key_encryption_keys(secrets_dir))
    key_id, private = read_signing_key(secrets_dir)
    # The current public key comes from the private one: a gate can always verify itself.
    verification_keys = read_verification_keys(secrets_dir) | {key_id: private.public_key()}
    verifier = Verifier(verification_keys, lambda: read_verification_keys(secrets_dir))
    return KeyRing(subject_ids, key_encryption_keys, Signer(key_id, private), verifier)


def open_verifier(secrets_dir: Path) -> Verifier:
    """
    Load only the public signing keys: enough for an audit, on a machine without secrets.

    :raises SecretsError: there is none, or one can be written by others.
    """
    refuse_open_folders(secrets_dir)
    keys = read_verification_keys(secrets_dir)
    if not keys:
        raise SecretsError(
            f"There is no public signing key (signing/*.pub) in {secrets_dir}: copy them there "
            "from a gate's secrets folder."
        )
    return Verifier(keys, lambda: read_verification_keys(secrets_dir))


def open_subject_ids(secrets_dir: Path) -> SubjectIds:
    """
    Load only the subject-id key.

    :raises SecretsError: it is missing, readable by other users, or not a key.
    """
    refuse_open_folders(secrets_dir)
    return SubjectIds(read_subject_id_key(secrets_dir))
