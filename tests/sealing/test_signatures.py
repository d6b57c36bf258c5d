"""Signatures: by our keys, over exactly this, for exactly this use."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from streams.sealing.keyring import KeyRing, open_keyring, open_verifier
from streams.sealing.secrets_folder import add_signing_key
from streams.sealing.signatures import Signer, Statement
from tests.sealing.test_secrets_folder import later

HASH = bytes(range(32))
EVENT = b"the key and the value of a consent event"
WHEN = 1_520_640_000_000


def test_a_signature_names_the_key_it_was_made_with(ring: KeyRing) -> None:
    signature = ring.signer.sign(HASH)

    assert len(signature) == 64
    assert ring.verifier.signed_by(HASH, signature) == ring.signer.key_id
    assert ring.verifier.signed_by(HASH[::-1], signature) is None
    assert ring.verifier.signed_by(HASH, signature[::-1]) is None
    assert ring.verifier.signed_by(HASH, b"") is None


def test_a_stranger_s_signature_is_nobody_s(ring: KeyRing) -> None:
    stranger = Signer("stranger", Ed25519PrivateKey.generate())

    assert ring.verifier.signed_by(HASH, stranger.sign(HASH)) is None


def test_public_keys_are_enough_to_verify(ring: KeyRing, secrets_dir: Path, tmp_path: Path) -> None:
    auditor = tmp_path / "auditor" / "signing"
    auditor.mkdir(parents=True)
    for public in (secrets_dir / "signing").glob("*.pub"):
        (auditor / public.name).write_bytes(public.read_bytes())

    verifier = open_verifier(auditor.parent)

    assert verifier.signed_by(HASH, ring.signer.sign(HASH)) == ring.signer.key_id


def test_old_signatures_hold_after_a_rotation_without_the_old_private_key(
    ring: KeyRing, secrets_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = ring.signer.sign(HASH)
    later(monkeypatch)
    new_id = add_signing_key(secrets_dir)
    (secrets_dir / "signing" / f"{ring.signer.key_id}.key").unlink()

    rotated = open_keyring(secrets_dir)

    assert rotated.verifier.signed_by(HASH, old) == ring.signer.key_id
    assert rotated.verifier.signed_by(HASH, rotated.signer.sign(HASH)) == new_id
    # And a process that was not restarted finds the new public key by itself.
    assert ring.verifier.signed_by(HASH, rotated.signer.sign(HASH)) == new_id


def test_a_header_states_a_time_about_one_record(ring: KeyRing) -> None:
    header = ring.signer.sign_header(Statement.FIRST_APPENDED, EVENT, WHEN)

    assert ring.verifier.verify_header(Statement.FIRST_APPENDED, EVENT, header) == WHEN
    assert ring.verifier.verify_header(Statement.FIRST_APPENDED, EVENT + b".", header) is None


def test_a_header_of_one_kind_is_none_of_another(ring: KeyRing) -> None:
    header = ring.signer.sign_header(Statement.FIRST_APPENDED, EVENT, WHEN)

    assert ring.verifier.verify_header(Statement.RESOLVED, EVENT, header) is None


@pytest.mark.parametrize("at", [0, 7, 8, 71])
def test_a_changed_header_states_nothing(ring: KeyRing, at: int) -> None:
    header = bytearray(ring.signer.sign_header(Statement.FIRST_APPENDED, EVENT, WHEN))
    header[at] ^= 1

    assert ring.verifier.verify_header(Statement.FIRST_APPENDED, EVENT, bytes(header)) is None


@pytest.mark.parametrize("header", [b"", b"\x00", bytes(71), bytes(72), bytes(73)])
def test_garbage_in_a_header_states_nothing(ring: KeyRing, header: bytes) -> None:
    assert ring.verifier.verify_header(Statement.FIRST_APPENDED, EVENT, header) is None


def test_only_hashes_are_signed_as_they_are(ring: KeyRing) -> None:
    # Else a statement could be passed off as the hash of a decision.
    with pytest.raises(ValueError, match="32 bytes"):
        ring.signer.sign(Statement.RESOLVED.value)
