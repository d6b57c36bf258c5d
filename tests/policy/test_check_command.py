"""``consent-gate policy check``: what a compliance officer sees."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli.policy import policy_app
from streams.policy.policy import load_policy
from tests.policy.messages import PLAIN


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The plain policy with two mistakes in it."""
    folder = tmp_path / "broken"
    shutil.copytree(PLAIN, folder)
    rules = folder / "person.yaml"
    text = rules.read_text("utf-8")
    text = text.replace("Erasure.ERASED", "Erasure.ERASD").replace("then: drop", "then: drip", 1)
    rules.write_text(text, "utf-8")
    return folder


def test_a_sound_policy_is_summed_up() -> None:
    result = CliRunner().invoke(policy_app, ["check", str(PLAIN)])
    assert result.exit_code == 0
    loaded = load_policy(PLAIN)
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
    sound = json.loads(CliRunner().invoke(policy_app, ["check", "--json", str(PLAIN)]).stdout)
    assert (sound["valid"], sound["policy"]) == (True, "plain")

    result = CliRunner().invoke(policy_app, ["check", "--json", str(broken)])
    unsound = json.loads(result.stdout)
    assert result.exit_code == 3
    assert unsound["valid"] is False
    assert len(unsound["mistakes"]) == 2


DEAD = """
  - id: never
    text: Never.
    when: consent == Consent.NONE && consent == Consent.GRANTED
    then: drop
    reason: ERASED
    cites: Case
"""

TWICE = """
  - id: again
    text: Again.
    when: erasure == Erasure.ERASED && member == Member.NO
    then: drop
    reason: ERASED
    cites: Case
"""


def changed(folder: Path, more: str) -> Path:
    shutil.copytree(PLAIN, folder, dirs_exist_ok=True)
    with (folder / "person.yaml").open("a", encoding="utf-8") as rules:
        rules.write(more)
    return folder


def test_a_rule_that_can_never_match_is_a_mistake_with_its_place(tmp_path: Path) -> None:
    folder = changed(tmp_path, DEAD)
    line = (folder / "person.yaml").read_text("utf-8").splitlines().index("  - id: never") + 1
    result = CliRunner().invoke(policy_app, ["check", str(folder)])
    assert result.exit_code == 1
    assert f"{folder}/person.yaml:{line}:1: mistake: never can never match" in result.stdout


def test_a_warning_fails_only_where_that_is_asked_for(tmp_path: Path) -> None:
    folder = changed(tmp_path, TWICE)
    result = CliRunner().invoke(policy_app, ["check", str(folder)])
    assert result.exit_code == 0
    assert "warning: again is superfluous: wherever it matches, erased (person.yaml:3)" in (
        result.stdout
    )
    assert CliRunner().invoke(policy_app, ["check", "--strict", str(folder)]).exit_code == 1


def test_programs_read_what_was_found(tmp_path: Path) -> None:
    folder = changed(tmp_path, DEAD + TWICE)
    result = CliRunner().invoke(policy_app, ["check", "--json", str(folder)])
    told = json.loads(result.stdout)
    assert told["valid"] is True
    kinds = {each["kind"]: each for each in told["findings"]}
    assert told["findings"][0] is kinds["never-matches"]
    assert [each["severity"] for each in told["findings"]].count("mistake") == 1
    gap, again = kinds["gap"], kinds["superfluous"]
    assert (gap["kind"], gap["file"]) == ("gap", "policy.yaml")
    assert gap["example"]["purpose"] == "transactional"
    assert (again["kind"], again["rules"]) == ("superfluous", ["again", "erased"])
