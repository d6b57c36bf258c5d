"""The secrets folder: made once, private, never overwritten, and clear about what is wrong."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from streams.errors import SecretsError
from streams.sealing import secrets_folder
from streams.sealing.keyring import open_keyring, open_subject_ids, open_verifier
from streams.sealing.secrets_folder import (
    add_key_encryption_key,
    add_signing_key,
    init_secrets,
    read_verification_keys,
)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def the(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def test_what_init_makes_is_for_the_owner_alone(secrets_dir: Path) -> None:
    folders = [secrets_dir, *(path for path in secrets_dir.rglob("*") if path.is_dir())]

    assert len(folders) == 3
    assert {mode(folder) for folder in folders} == {0o700}
    assert {mode(path) for path in contents(secrets_dir)} == {0o600}
    open_keyring(secrets_dir)


def test_two_installations_share_no_key(tmp_path: Path) -> None:
    init_secrets(tmp_path / "one")
    init_secrets(tmp_path / "two")

    one, two = (set(contents(tmp_path / name).values()) for name in ("one", "two"))
    assert not one & two


def test_a_second_init_changes_nothing_and_says_so(secrets_dir: Path) -> None:
    before = contents(secrets_dir)

    with pytest.raises(SecretsError, match=r"subject-id\.key is there already: nothing was change"):
        init_secrets(secrets_dir)

    assert contents(secrets_dir) == before


def test_init_fills_an_empty_folder_that_is_there(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    init_secrets(tmp_path)

    assert mode(tmp_path) == 0o700
    open_keyring(tmp_path)


def test_an_init_that_fails_half_way_leaves_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(secrets_dir: Path, made: list[Path]) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(secrets_folder, "_add_signing_key", full)

    with pytest.raises(SecretsError, match="No space left on device"):
        init_secrets(tmp_path / "secrets")

    assert contents(tmp_path) == {}


@pytest.mark.parametrize("pattern", ["subject-id.key", "encryption/*.key", "signing/*.key"])
@pytest.mark.parametrize("open_mode", [0o640, 0o604, 0o620, 0o602])
def test_a_key_that_others_can_reach_is_refused(
    secrets_dir: Path, pattern: str, open_mode: int
) -> None:
    key = the(secrets_dir, pattern)
    key.chmod(open_mode)

    with pytest.raises(SecretsError) as refused:
        open_keyring(secrets_dir)

    assert str(key) in str(refused.value)
    assert f"chmod 600 {key}" in str(refused.value)


def test_a_public_key_may_be_read_by_others_but_not_written(secrets_dir: Path) -> None:
    public = the(secrets_dir, "signing/*.pub")
    public.chmod(0o644)
    open_keyring(secrets_dir)

    public.chmod(0o666)
    with pytest.raises(SecretsError, match=r"chmod 644 .*\.pub"):
        open_keyring(secrets_dir)


@pytest.mark.parametrize("name", [".", "encryption", "signing"])
def test_a_folder_in_which_others_can_put_keys_is_refused(secrets_dir: Path, name: str) -> None:
    (secrets_dir / name).chmod(0o777)

    with pytest.raises(SecretsError, match="run `chmod 700"):
        open_keyring(secrets_dir)


@pytest.mark.parametrize("pattern", ["subject-id.key", "encryption/*.key", "signing/*.key"])
def test_a_missing_key_says_where_it_belongs_and_what_makes_it(
    secrets_dir: Path, pattern: str
) -> None:
    key = the(secrets_dir, pattern)
    key.unlink()

    with pytest.raises(SecretsError, match="consent-gate init") as missing:
        open_keyring(secrets_dir)

    assert str(key.parent) in str(missing.value)


def test_a_folder_that_is_not_there_asks_for_init(tmp_path: Path) -> None:
    for open_keys in (open_keyring, open_subject_ids):
        with pytest.raises(SecretsError, match="consent-gate init"):
            open_keys(tmp_path / "none")
    with pytest.raises(SecretsError, match="public signing key"):
        open_verifier(tmp_path / "none")


@pytest.mark.parametrize("pattern", ["subject-id.key", "encryption/*.key", "signing/*.key"])
def test_a_damaged_key_is_named_without_being_shown(secrets_dir: Path, pattern: str) -> None:
    key = the(secrets_dir, pattern)
    key.write_bytes(key.read_bytes()[:40])
    shown = key.read_text()[:20]

    with pytest.raises(SecretsError) as damaged:
        open_keyring(secrets_dir)

    assert str(key) in str(damaged.value)
    assert shown not in str(damaged.value)


def test_a_rotated_key_becomes_the_current_one_and_the_old_one_stays(
    secrets_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = open_keyring(secrets_dir)
    later(monkeypatch)

    encryption, signing = add_key_encryption_key(secrets_dir), add_signing_key(secrets_dir)

    new = open_keyring(secrets_dir)
    assert new.key_encryption_keys.current_id == encryption
    assert new.signer.key_id == signing
    assert set(read_verification_keys(secrets_dir)) == {old.signer.key_id, signing}
    assert new.subject_ids.check_value == old.subject_ids.check_value


def test_a_clock_behind_the_newest_key_makes_no_key(secrets_dir: Path) -> None:
    folder = secrets_dir / "signing"
    for path in list(folder.iterdir()):
        path.rename(folder / f"29990101T000000-00000000{path.suffix}")

    with pytest.raises(SecretsError, match="Set the clock"):
        add_signing_key(secrets_dir)

    assert len(list(folder.iterdir())) == 2


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock that key ids are made from well ahead."""
    from datetime import datetime, timedelta, tzinfo

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Later:
            return super().now(tz) + timedelta(days=90)

    monkeypatch.setattr(secrets_folder, "datetime", Later)
