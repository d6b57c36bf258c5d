"""`consent-gate config show`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli.main import app
from streams.config import Settings


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONSENT_GATE_PARTITIONS", "8")
    path = tmp_path / "gate.yaml"
    path.write_text("http_host: 10.0.0.1\nkafka:\n  sasl.password: hush\n")
    return path


def test_every_setting_is_shown_with_its_value_and_source(config: Path) -> None:
    result = CliRunner().invoke(app, ["--config", str(config), "config", "show", "--json"])

    shown = json.loads(result.stdout)
    assert set(shown) == set(Settings.model_fields)
    assert shown["partitions"] == {"value": 8, "source": "environment CONSENT_GATE_PARTITIONS"}
    assert shown["http_host"] == {"value": "10.0.0.1", "source": f"file {config}"}
    assert shown["idle_tick_ms"] == {"value": 1000, "source": "default"}
    assert shown["kafka"]["value"] == {"sasl.password": "***"}


def test_people_get_a_table_without_secrets(config: Path) -> None:
    result = CliRunner().invoke(app, ["--config", str(config), "config", "show"])

    assert result.exit_code == 0
    assert "hush" not in result.stdout
    assert any(line.split()[:2] == ["http_host", "10.0.0.1"] for line in result.stdout.splitlines())
