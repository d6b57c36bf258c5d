"""
The secrets folder: where the keys of an installation lie, and who may read them.

::

    subject-id.key        32 bytes in hex. One, for ever: see below
    encryption/ID.key     32 bytes in hex each: key-encryption keys, the last ID is the current one
    signing/ID.key        Ed25519 private keys (PEM, PKCS 8), the last ID is the current one
    signing/ID.pub        their public keys (PEM): kept when a private key is taken away

An ID is the time a key was made (UTC) and 4 random bytes: ``20250131T120000-1f2e3d4c``. So the
order of names is the order of time, and a key is rotated by adding one. The subject-id key cannot
be rotated: every suppression is filed under ids that it made.

The folder is 0700 and each key 0600. Keys that others can read are refused, not repaired: whoever
could read them may have.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from streams.errors import SecretsError
from streams.sealing.subject_ids import SUBJECT_ID_KEY_BYTES

SUBJECT_ID_FILE = "subject-id.key"
ENCRYPTION_FOLDER = "encryption"
SIGNING_FOLDER = "signing"

_KEY_ENCRYPTION_KEY_BYTES = 32
_KEY_ID = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}")
_SET_UP = "`consent-gate init` sets up a new installation; an existing one needs its backup back."


def init_secrets(secrets_dir: Path) -> None:
    """
    Make the folder and one key of each kind; overwrite nothing.

    All or nothing: what was made is taken away again when a later step fails. On return the keys
    are on the disk, not only in its cache.

    :raises SecretsError: there are keys already, or the folder cannot be written.
    """
    present = [path for path in _key_paths(secrets_dir) if path.exists()]
    if present:
        raise SecretsError(
            f"{present[0]} is there already: nothing was changed. A new subject-id key would lose "
            "every suppression filed under the old one, so it is never replaced."
        )
    made: list[Path] = []
    try:
        for folder in (secrets_dir, secrets_dir / ENCRYPTION_FOLDER, secrets_dir / SIGNING_FOLDER):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        # First: of two that run at the same moment, only one can make this file.
        _write_new(secrets_dir / SUBJECT_ID_FILE, _random_hex(SUBJECT_ID_KEY_BYTES), made)
        _add_key_encryption_key(secrets_dir, made)
        _add_signing_key(secrets_dir, made)
    except OSError as error:
        for path in made:
            with suppress(OSError):
                path.unlink()
        raise SecretsError(
            f"The secrets folder {secrets_dir} cannot be written ({error.strerror}): nothing was "
            "kept. Choose a folder that this user may write."
        ) from error


def has_keys(secrets_dir: Path) -> bool:
    """Whether there is any key in the folder already."""
    return any(path.exists() for path in _key_paths(secrets_dir))


def add_key_encryption_key(secrets_dir: Path) -> str:
    """
    Add a key-encryption key, which becomes the current one, and return its id.

    Data keys wrapped before stay readable with the older keys, which are kept. Gates read a key
    they do not know when they first need it; so give the file to every gate, then restart them.

    :raises SecretsError: the folder cannot be written, or this clock is behind the newest key.
    """
    try:
        return _add_key_encryption_key(secrets_dir, [])
    except OSError as error:
        raise _unwritable(secrets_dir, error) from error


def add_signing_key(secrets_dir: Path) -> str:
    """Add a signing key in the same way; public keys of the older ones stay for verification."""
    try:
        return _add_signing_key(secrets_dir, [])
    except OSError as error:
        raise _unwritable(secrets_dir, error) from error


def refuse_open_folders(secrets_dir: Path) -> None:
    """
    Refuse folders in which others could put keys of theirs.

    A mount that is read-only for everyone is accepted: container platforms mount secrets so, with
    a mode that looks open.

    :raises SecretsError: the folder or one in it may be written by the group or others.
    """
    for folder in (secrets_dir, secrets_dir / ENCRYPTION_FOLDER, secrets_dir / SIGNING_FOLDER):
        try:
            mode = stat.S_IMODE(folder.stat().st_mode)
            if os.name != "posix" or not mode & 0o022:
                continue
            if os.statvfs(folder).f_flag & os.ST_RDONLY:
                continue
        except OSError:
            continue  # what is missing or unreadable is told where its keys are read
        raise SecretsError(
            f"Other users can put keys into {folder} (mode {mode:03o}): run `chmod 700 {folder}`, "
            "and make sure that every key in it is yours."
        )


def read_subject_id_key(secrets_dir: Path) -> bytes:
    """
    Read the subject-id key.

    :raises SecretsError: missing, readable by others, or not a key.
    """
    return _read_hex(secrets_dir / SUBJECT_ID_FILE, SUBJECT_ID_KEY_BYTES)


def read_key_encryption_keys(secrets_dir: Path) -> dict[str, bytes]:
    """
    Read all key-encryption keys by id, oldest first; at least one.

    :raises SecretsError: none, or one of them is readable by others or not a key.
    """
    folder = secrets_dir / ENCRYPTION_FOLDER
    keys = {
        path.stem: _read_hex(path, _KEY_ENCRYPTION_KEY_BYTES) for path in _by_age(folder, ".key")
    }
    if not keys:
        raise SecretsError(f"There is no key-encryption key in {folder}. {_SET_UP}")
    return keys


def read_signing_key(secrets_dir: Path) -> tuple[str, Ed25519PrivateKey]:
    """
    Read the current private signing key and its id.

    :raises SecretsError: none, readable by others, or not an Ed25519 key.
    """
    folder = secrets_dir / SIGNING_FOLDER
    paths = _by_age(folder, ".key")
    if not paths:
        raise SecretsError(f"There is no private signing key in {folder}. {_SET_UP}")
    current = paths[-1]
    try:
        key = load_pem_private_key(_read_private(current), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SecretsError(
            f"{current} is no PEM private key: restore it from its backup"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SecretsError(f"{current} is not an Ed25519 key: restore it from its backup")
    return current.stem, key


def read_verification_keys(secrets_dir: Path) -> dict[str, Ed25519PublicKey]:
    """
    Read all public signing keys by id, oldest first; may be empty.

    :raises SecretsError: one can be written by others, or is no Ed25519 key.
    """
    keys: dict[str, Ed25519PublicKey] = {}
    for path in _by_age(secrets_dir / SIGNING_FOLDER, ".pub"):
        try:
            key = load_pem_public_key(_read(path, forbidden=0o022, remedy="chmod 644"))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise SecretsError(f"{path} is no PEM public key: restore it") from error
        if not isinstance(key, Ed25519PublicKey):
            raise SecretsError(f"{path} is not an Ed25519 key: restore it")
        keys[path.stem] = key
    return keys


def _key_paths(secrets_dir: Path) -> list[Path]:
    encryption, signing = secrets_dir / ENCRYPTION_FOLDER, secrets_dir / SIGNING_FOLDER
    return [secrets_dir / SUBJECT_ID_FILE, *_by_age(encryption, ".key"), *_by_age(signing, ".key")]


def _by_age(folder: Path, suffix: str) -> list[Path]:
    """List the keys of a folder by id, which is by age; other files in it are none of ours."""
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix == suffix and _KEY_ID.fullmatch(path.stem)
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SecretsError(f"{folder} cannot be read ({error.strerror})") from error


def _add_key_encryption_key(secrets_dir: Path, made: list[Path]) -> str:
    folder = secrets_dir / ENCRYPTION_FOLDER
    key_id = _new_key_id(folder)
    _write_new(folder / f"{key_id}.key", _random_hex(_KEY_ENCRYPTION_KEY_BYTES), made)
    return key_id


def _add_signing_key(secrets_dir: Path, made: list[Path]) -> str:
    folder = secrets_dir / SIGNING_FOLDER
    key_id = _new_key_id(folder)
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # The public key first: a gate never signs with a key that nobody can verify.
    _write_new(folder / f"{key_id}.pub", public, made)
    _write_new(folder / f"{key_id}.key", private, made)
    return key_id


def _new_key_id(folder: Path) -> str:
    key_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.urandom(4).hex()}"
    keys = _by_age(folder, ".key")
    if keys and keys[-1].stem >= key_id:
        raise SecretsError(
            f"The clock of this machine is not past the newest key ({keys[-1]}): a key made now "
            "would not become the current one. Set the clock, or wait a second."
        )
    return key_id


def _random_hex(size: int) -> bytes:
    return os.urandom(size).hex().encode() + b"\n"


def _write_new(path: Path, content: bytes, made: list[Path]) -> None:
    """Write a file that must not be there, 0600 from its first moment, through to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    made.append(path)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_hex(path: Path, size: int) -> bytes:
    text = _read_private(path).strip()
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != size:
        raise SecretsError(
            f"{path} is not a key: it must hold {size * 2} hex digits. Restore it from its backup."
        )
    return key


def _read_private(path: Path) -> bytes:
    return _read(path, forbidden=0o077, remedy="chmod 600")


def _read(path: Path, *, forbidden: int, remedy: str) -> bytes:
    """Read a key file, refusing one with any of the ``forbidden`` mode bits."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        # Elsewhere than on POSIX the mode says nothing about who may read.
        if os.name == "posix" and mode & forbidden:
            raise SecretsError(
                f"{path} is open to other users (mode {mode:03o}): run `{remedy} {path}`. "
                "If they could read it before, treat the key as known to them."
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SecretsError(f"{path} is missing. {_SET_UP}") from error
    except OSError as error:
        raise SecretsError(f"{path} cannot be read ({error.strerror})") from error


def _unwritable(secrets_dir: Path, error: OSError) -> SecretsError:
    return SecretsError(f"No key could be added to {secrets_dir} ({error.strerror}). {_SET_UP}")
