"""Data keys: opened by the right ring for the right subject, and by nothing else."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import KeyMissing, ProofBroken, SecretsError
from streams.sealing.data_keys import DataKeys, Sealer
from streams.sealing.key_encryption import NONCE_BYTES
from streams.sealing.keyring import KeyRing, open_keyring
from streams.sealing.secrets_folder import add_key_encryption_key, init_secrets
from tests.sealing.test_secrets_folder import later

SUBJECT, OTHER = bytes(16), bytes([1]) * 16
NOW = 1_520_640_000_000
DECISION = b"sms.requested-3-12345-0"


def test_what_was_sealed_opens_again_after_a_restart(secrets_dir: Path) -> None:
    keys = open_keyring(secrets_dir).data_keys()
    key = keys.new_key(SUBJECT, NOW)
    sealed = keys.sealer(key).seal(b"a request", DECISION)

    restarted = open_keyring(secrets_dir).data_keys()

    assert restarted.sealer(key).unseal(sealed, DECISION) == b"a request"
    assert (key.subject_id, key.created_at) == (SUBJECT, NOW)


def test_sealing_twice_gives_different_bytes(ring: KeyRing) -> None:
    keys = ring.data_keys()
    sealer = keys.sealer(keys.new_key(SUBJECT, NOW))

    assert sealer.seal(b"a request", DECISION) != sealer.seal(b"a request", DECISION)
    assert b"a request" not in sealer.seal(b"a request", DECISION)


SEALER = Sealer("0", bytes(32))
SEALED = SEALER.seal(b"a request", DECISION)


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_any_changed_byte_is_noticed(at: int, flip: int) -> None:
    tampered = bytearray(SEALED)
    tampered[at] ^= flip

    with pytest.raises(ProofBroken):
        SEALER.unseal(bytes(tampered), DECISION)


@given(st.integers(0, len(SEALED) - 1))
def test_a_truncated_seal_is_noticed(length: int) -> None:
    with pytest.raises(ProofBroken):
        SEALER.unseal(SEALED[:length], DECISION)


def test_it_opens_for_its_own_record_only() -> None:
    with pytest.raises(ProofBroken, match="data key 0"):
        SEALER.unseal(SEALED, b"sms.requested-3-12346-0")


def test_it_opens_under_its_own_key_only() -> None:
    with pytest.raises(ProofBroken):
        Sealer("1", bytes([1]) * 32).unseal(SEALED, DECISION)


@pytest.mark.parametrize(
    "change",
    [{"subject_id": OTHER}, {"key_id": "0000000000000000"}, {"wrapped": bytes(60)}],
    ids=["another subject's", "another id", "other bytes"],
)
def test_a_wrapped_key_opens_as_what_it_was_made_only(
    ring: KeyRing, change: dict[str, Any]
) -> None:
    key = ring.data_keys().new_key(SUBJECT, NOW)

    with pytest.raises(SecretsError, match=r"does not open a data key|changed or filed"):
        ring.data_keys().sealer(replace(key, **change))


def test_another_installation_cannot_open_it(ring: KeyRing, tmp_path: Path) -> None:
    init_secrets(tmp_path / "other")
    key = ring.data_keys().new_key(SUBJECT, NOW)

    with pytest.raises(SecretsError, match=key.kek_id):
        open_keyring(tmp_path / "other").data_keys().sealer(key)


def test_a_key_wrapped_after_a_rotation_opens_in_a_gate_that_was_not_restarted(
    ring: KeyRing, secrets_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch)
    rotated = add_key_encryption_key(secrets_dir)
    keys = open_keyring(secrets_dir).data_keys()
    key = keys.new_key(SUBJECT, NOW)
    sealed = keys.sealer(key).seal(b"a request", DECISION)

    assert key.kek_id == rotated
    assert ring.data_keys().sealer(key).unseal(sealed, DECISION) == b"a request"


def test_keys_wrapped_before_a_rotation_still_open(
    ring: KeyRing, secrets_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ring.data_keys()
    key = keys.new_key(SUBJECT, NOW)
    sealed = keys.sealer(key).seal(b"a request", DECISION)
    later(monkeypatch)
    add_key_encryption_key(secrets_dir)

    rotated = open_keyring(secrets_dir).data_keys()

    assert rotated.sealer(key).unseal(sealed, DECISION) == b"a request"


def test_no_random_byte_of_a_key_is_used_twice(
    ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "urandom", lambda size: bytes(range(size)))  # all bytes differ
    key = ring.data_keys().new_key(SUBJECT, NOW)
    nonce, key_id = key.wrapped[:NONCE_BYTES], bytes.fromhex(key.key_id)
    data_key = ring.key_encryption_keys.unwrap(
        key.kek_id, key.wrapped, key.subject_id + key.key_id.encode()
    )

    assert (len(data_key), len(key_id), len(nonce)) == (32, 8, 12)
    assert sorted(data_key + key_id + nonce) == list(range(52))


def test_a_subject_that_got_a_new_key_is_not_sealed_under_the_old_one(ring: KeyRing) -> None:
    keys = ring.data_keys()
    old = keys.new_key(SUBJECT, NOW)
    new = keys.new_key(SUBJECT, NOW + 1)

    assert keys.sealer(new).key_id == new.key_id != old.key_id
    with pytest.raises(ProofBroken):
        keys.sealer(old).unseal(keys.sealer(new).seal(b"a request", DECISION), DECISION)


def test_a_forgotten_key_is_not_in_memory_any_more(ring: KeyRing) -> None:
    keys = ring.data_keys()
    key = keys.new_key(SUBJECT, NOW)
    keys.forget(SUBJECT)
    keys.forget(OTHER)

    with pytest.raises(SecretsError):  # it was let go of: the wrapped form is needed again
        keys.sealer(replace(key, wrapped=bytes(60)))


def test_only_so_many_keys_are_kept_open(ring: KeyRing) -> None:
    keys = DataKeys(ring.key_encryption_keys, ciphers_kept=2)
    made = [keys.new_key(bytes([n]) * 16, NOW) for n in range(3)]

    with pytest.raises(SecretsError):
        keys.sealer(replace(made[0], wrapped=bytes(60)))
    assert keys.sealer(replace(made[2], wrapped=bytes(60))).key_id == made[2].key_id


def test_a_key_that_is_put_back_opens_without_a_restart(
    ring: KeyRing, secrets_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch)
    kek = secrets_dir / "encryption" / f"{add_key_encryption_key(secrets_dir)}.key"
    key = open_keyring(secrets_dir).data_keys().new_key(SUBJECT, NOW)
    content = kek.read_bytes()
    kek.write_bytes(b"00" * 32)
    keys = open_keyring(secrets_dir).data_keys()

    with pytest.raises(KeyMissing, match=key.kek_id):
        keys.sealer(key)
    kek.write_bytes(content)
    kek.chmod(0o644)
    with pytest.raises(KeyMissing, match="chmod 600"):
        keys.sealer(key)
    kek.chmod(0o600)
    assert keys.sealer(key).key_id == key.key_id


def test_a_damaged_data_key_does_not_cost_the_others_theirs(
    ring: KeyRing, secrets_dir: Path
) -> None:
    keys = ring.data_keys()
    damaged, sound = keys.new_key(SUBJECT, NOW), keys.new_key(OTHER, NOW)
    (kek,) = (secrets_dir / "encryption").glob("*.key")
    kek.write_bytes(b"00" * 32)  # the ring in memory still has the right one
    keys.forget_all()

    with pytest.raises(KeyMissing) as missing:
        keys.sealer(replace(damaged, wrapped=bytes(60)))
    assert missing.value.subject_id == SUBJECT
    assert keys.sealer(sound).key_id == sound.key_id
