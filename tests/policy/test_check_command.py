"""``consent-gate policy check``: what a compliance officer sees."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli.policy import policy_app
from streams.policy.policy import load_policy
from tests.policy.messages import DEFAULT


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The shipped policy with two mistakes in it."""
    folder = tmp_path / "broken"
    shutil.copytree(DEFAULT, folder)
    rules = folder / "person.yaml"
    text = rules.read_text("utf-8")
    text = text.replace("Erasure.ERASED", "Erasure.ERASD").replace("then: drop", "then: drip", 1)
    rules.write_text(text, "utf-8")
    return folder


def test_a_sound_policy_is_summed_up() -> None:
    result = CliRunner().invoke(policy_app, ["check", str(DEFAULT)])
    assert result.exit_code == 0
    loaded = load_policy(DEFAULT)
    assert loaded.version in result.stdout
    assert f"rules     {len(loaded.rules)}" in result.stdout
    assert "purpose, state, consent" in result.stdout


def test_every_mistake_is_printed_and_the_exit_status_says_so(broken: Path) -> None:
    result = CliRunner().invoke(policy_app, ["check", str(broken)])
    assert result.exit_code == 3
    heading, *mistakes = result.stderr.splitlines()
    assert heading.endswith("cannot be used: 2 mistakes")
    assert mistakes[0].startswith(f"{broken}/person.yaml:5:")
    assert mistakes[0].endswith("did you mean Erasure.ERASED?")
    assert mistakes[1].endswith("then cannot be 'drip'; did you mean drop?")


def test_programs_read_json(broken: Path) -> None:
    sound = json.loads(CliRunner().invoke(policy_app, ["check", "--json", str(DEFAULT)]).stdout)
    assert (sound["valid"], sound["policy"]) == (True, "default")

    result = CliRunner().invoke(policy_app, ["check", "--json", str(broken)])
    unsound = json.loads(result.stdout)
    assert result.exit_code == 3
    assert unsound["valid"] is False
    assert len(unsound["mistakes"]) == 2
