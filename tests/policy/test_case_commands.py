"""``consent-gate policy try``, ``test`` and ``diff``: what a compliance officer sees."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streams.cli.policy import policy_app
from streams.errors import PolicyInvalid
from streams.policy.policy import load_policy
from tests.policy.messages import PLAIN

CASES = """\
id: a-stop
at: 2026-05-01T10:00:00Z
recipient: "+8613800000001"
history:
  - consent_event: {kind: GRANTED, purpose: marketing, basis: EXPRESS}
  - consent_event: {kind: WITHDRAWN}
request: {purpose: marketing}
expect: {verdict: DROPPED}
---
id: a-yes
at: 2026-05-01T10:00:00Z
recipient: "+8613800000001"
history:
  - consent_event: {kind: GRANTED, purpose: marketing, basis: EXPRESS}
request: {purpose: marketing, body: 拒收请回复R}
expect: {verdict: DROPPED, reasons: [NO_CONSENT]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The plain policy, to be changed."""
    copy = tmp_path / "policy"
    shutil.copytree(PLAIN, copy)
    return copy


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(policy_app, list(map(str, arguments)))


def test_cases_are_decided_for_programs_by_their_ids(tmp_path: Path) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text(CASES, "utf-8")
    told = json.loads(run("try", file, "--policy", PLAIN, "--json").stdout)
    assert {name: each["verdict"] for name, each in told.items()} == {
        "a-stop": "DROPPED",
        "a-yes": "ALLOWED",
    }
    assert told["a-stop"]["reasons"] == ["SUPPRESSED"]
    assert told["a-yes"]["basis"] == "consent-to-marketing"


def test_cases_are_decided_for_people(tmp_path: Path) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text(CASES, "utf-8")
    result = run("try", file)
    assert result.exit_code == 0
    assert "a-stop: DROPPED" in result.stdout
    assert "a-yes: ALLOWED" in result.stdout
    assert "+86" not in result.stdout


def test_a_file_of_cases_that_cannot_be_read_is_a_mistake_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text(CASES.replace("purpose: marketing}", "purpose: }", 1), "utf-8")
    result = run("try", file, "--policy", PLAIN)
    assert isinstance(result.exception, PolicyInvalid)
    assert str(result.exception).startswith(f"{file}:7:")
    for content in (b"id: \xff", None):
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        assert isinstance(run("try", file).exception, PolicyInvalid)


def test_the_policy_that_ships_passes_its_tests_and_they_show_every_rule() -> None:
    result = run("test", PLAIN, "--coverage")
    assert result.exit_code == 0, result.stdout
    rules = len(load_policy(PLAIN).rules)
    assert f", 0 not; {rules} of {rules} rules shown" in result.stdout


def test_a_case_that_is_not_as_expected_fails_and_is_shown(folder: Path) -> None:
    (folder / "tests.yaml").write_text(CASES, "utf-8")
    result = run("test", folder)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{folder}/tests.yaml:10:1: a-yes is not as expected",
        "    verdict",
        "      - DROPPED",
        "      + ALLOWED",
        "    reasons",
        "      - [NO_CONSENT]",
        "      + []",
        "2 cases: 1 as expected, 1 not",
    ]
    told = json.loads(run("test", folder, "--json").stdout)["cases"]
    assert (told["a-stop"]["passed"], told["a-yes"]["passed"]) == (True, False)
    assert told["a-yes"]["differences"][0] == {
        "what": "verdict",
        "expected": "DROPPED",
        "found": "ALLOWED",
    }


def test_a_rule_that_no_case_shows_fails_with_coverage(folder: Path) -> None:
    (folder / "tests.yaml").write_text(CASES.replace("DROPPED, reasons: [NO_CONSENT]", "ALLOWED"))
    assert run("test", folder).exit_code == 0
    result = run("test", folder, "--coverage")
    assert result.exit_code == 1
    assert f"{folder}/person.yaml:3:1: erased: NO CASE matches" in result.stdout
    line = line_of("suppressed")
    assert f"{folder}/person.yaml:{line}:1: suppressed: 1 match, 1 just miss" in result.stdout
    told = json.loads(run("test", folder, "--coverage", "--json").stdout)["coverage"]
    assert told["suppressed"]["matched_by"] == ["a-stop"]


def line_of(rule_id: str) -> int:
    """Where a rule of the plain policy begins in ``person.yaml``."""
    lines = (PLAIN / "person.yaml").read_text("utf-8").splitlines()
    return lines.index(f"  - id: {rule_id}") + 1


def test_a_policy_without_tests_is_told_what_to_do(folder: Path) -> None:
    (folder / "tests.yaml").unlink()
    assert isinstance(run("test", folder).exception, PolicyInvalid)


def test_tests_are_no_part_of_the_policy(folder: Path) -> None:
    before = load_policy(folder)
    (folder / "tests.yaml").write_text("no tests: [at all\n", "utf-8")
    after = load_policy(folder)
    assert after.version == before.version == load_policy(PLAIN).version
    assert "tests.yaml" not in after.files


def test_a_diff_tells_what_flips_and_which_rule_does_it(folder: Path) -> None:
    rules = folder / "person.yaml"
    text = rules.read_text("utf-8")
    rules.write_text(text.replace("&& basis in [Basis.IMPLIED,", "&& basis in ["), "utf-8")
    result = run("diff", PLAIN, folder)
    assert result.exit_code == 0
    assert "DROPPED -> ALLOWED" not in result.stdout
    bases = folder / "bases.yaml"
    bases.write_text(bases.read_text("utf-8").replace("&& basis == Basis.EXPRESS ", ""), "utf-8")

    result = run("diff", PLAIN, folder)

    assert "  DROPPED -> ALLOWED: " in result.stdout
    line = line_of("consent-not-express")
    objects_no_more = f"rule consent-not-express of A (person.yaml:{line}) objects no more: "
    assert objects_no_more in result.stdout
    told = json.loads(run("diff", PLAIN, folder, "--json").stdout)
    (period,) = told["periods"]
    flips = {(flip["from"], flip["to"]): flip for flip in period["flips"]}
    flip = flips["DROPPED", "ALLOWED"]
    assert flip["example"]["basis"] == "IMPLIED"
    assert flip["count"] > 0
    assert {cause["rule"] for cause in flip["causes"]} == {"consent-not-express", "news-by-consent"}
    same = run("diff", folder, folder).stdout
    assert "fact tuples ends otherwise." in same


def test_a_diff_with_a_policy_that_cannot_be_used_says_which(folder: Path) -> None:
    (folder / "person.yaml").write_text("rules: []\n", "utf-8")
    result = run("diff", PLAIN, folder)
    assert result.exit_code == 3
    assert f"{folder} cannot be used: one mistake" in result.stderr
