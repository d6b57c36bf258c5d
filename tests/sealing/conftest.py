"""A secrets folder as `consent-gate init` makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.sealing.keyring import KeyRing, open_keyring
from streams.sealing.secrets_folder import init_secrets


@pytest.fixture
def secrets_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    init_secrets(folder)
    return folder


@pytest.fixture
def ring(secrets_dir: Path) -> KeyRing:
    return open_keyring(secrets_dir)
