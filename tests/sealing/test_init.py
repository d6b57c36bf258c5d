"""``consent-gate init``: what it makes, what it says, and that it never overwrites."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from streams.cli.init import configuration_text, init
from streams.config import Settings, load_settings
from streams.errors import ConfigError, SecretsError
from streams.sealing.keyring import open_keyring
from tests.sealing.test_secrets_folder import contents, later

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    app = typer.Typer()
    app.command()(init)

    def invoke(*options: str) -> Result:
        result = CliRunner().invoke(app, ["--dir", str(tmp_path), *options])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0
        return result

    return invoke


def test_it_makes_keys_and_a_configuration_that_finds_them(run: Run, tmp_path: Path) -> None:
    run()

    settings = load_settings(tmp_path / "consent-gate.yaml", {})

    assert settings.secrets_dir == tmp_path / "secrets"
    open_keyring(settings.secrets_dir)
    assert stat.S_IMODE((tmp_path / "consent-gate.yaml").stat().st_mode) == 0o600


def test_it_says_plainly_what_losing_the_keys_means(run: Run) -> None:
    said = " ".join(run().output.split())

    assert "cannot be rotated" in said
    assert "every suppression is lost" in said
    assert "Back it up now" in said
    assert "never together with it" in said


def test_no_key_is_printed(run: Run, tmp_path: Path) -> None:
    said = run().output

    for path in (tmp_path / "secrets").rglob("*.key"):
        for line in path.read_text().splitlines():
            assert line not in said


def test_a_second_run_changes_nothing_and_fails(run: Run, tmp_path: Path) -> None:
    run()
    before = contents(tmp_path)

    with pytest.raises(ConfigError, match="nothing was changed"):
        run()
    (tmp_path / "consent-gate.yaml").rename(tmp_path / "elsewhere.yaml")
    with pytest.raises(SecretsError, match="nothing was changed"):
        run()

    assert set(contents(tmp_path).values()) == set(before.values())
    assert not (tmp_path / "consent-gate.yaml").exists()


def test_if_missing_makes_what_is_not_there_and_fails_at_nothing(run: Run, tmp_path: Path) -> None:
    run("--if-missing")
    before = contents(tmp_path)
    (tmp_path / "consent-gate.yaml").unlink()

    run("--if-missing")
    run("--if-missing")

    assert contents(tmp_path) == before


def test_if_missing_never_completes_a_broken_folder(run: Run, tmp_path: Path) -> None:
    run()
    (tmp_path / "secrets" / "subject-id.key").unlink()

    with pytest.raises(SecretsError, match=r"subject-id\.key is missing"):
        run("--if-missing")


@pytest.mark.parametrize("kind", ["encryption", "signing"])
def test_a_key_can_be_rotated(
    run: Run, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    before = contents(tmp_path)
    later(monkeypatch)

    said = run("--new-key", kind).output

    after = contents(tmp_path)
    assert before.items() <= after.items()
    added = {path.stem for path in after.keys() - before.keys()}
    assert len(added) == 1
    assert added.pop() in said


def test_there_is_nothing_to_rotate_before_there_are_keys(run: Run) -> None:
    with pytest.raises(SecretsError, match="consent-gate init"):
        run("--new-key", "signing")


def test_the_configuration_names_every_setting_with_its_default_and_what_it_means(
    tmp_path: Path,
) -> None:
    text = configuration_text({})
    uncommented = re.sub(r"^#(?=[a-z_]+:)", "", text, flags=re.MULTILINE)
    (tmp_path / "all.yaml").write_text(uncommented)

    assert load_settings(tmp_path / "all.yaml", {}) == Settings.model_validate({})
    words = " ".join(text.replace("\n# ", " ").split())
    for name, field in Settings.model_fields.items():
        assert re.search(rf"^#{name}:", text, re.MULTILINE), name
        assert field.description is not None
        assert " ".join(field.description.split()) in words
    assert max(map(len, text.splitlines())) < 200
