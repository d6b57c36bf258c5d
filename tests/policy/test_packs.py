"""The packs: each can be analysed without a mistake, and shows each of its rules both ways."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from streams.audit.policy_tests import coverage, differences, uncovered
from streams.audit.trying import Tried, try_case
from streams.policy.analysis.findings import findings
from streams.policy.analysis.outcomes import Analysis
from streams.policy.cases.cases import read_cases
from streams.policy.manifest import TESTS
from streams.policy.policy import Policy, load_policy
from streams.records.decisions import Outcome

POLICIES = Path(__file__).parents[2] / "policies"
PACKS = sorted(folder.name for folder in POLICIES.iterdir() if folder.name != "default")


@cache
def pack(name: str) -> Policy:
    return load_policy(POLICIES / name)


@cache
def tried(name: str) -> dict[str, Tried]:
    cases = read_cases(TESTS, (POLICIES / name / TESTS).read_text("utf-8"), name)
    return {case.id: try_case(case, pack(name), 30) for case in cases}


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_decides_its_cases_and_shows_each_rule_both_ways(name: str) -> None:
    assert {case: found for case, each in tried(name).items() if (found := differences(each))} == {}
    shown = coverage(Analysis(pack(name)), list(tried(name).values()))
    assert [covered.rule.id for covered in uncovered(shown)] == []


@pytest.mark.parametrize("name", PACKS)
def test_an_analysis_finds_no_mistake_in_a_pack(name: str) -> None:
    assert [found for found in findings(Analysis(pack(name))) if found.kind.mistake] == []


@pytest.mark.parametrize("name", PACKS)
def test_the_case_is_dropped_under_every_law(name: str) -> None:
    case = tried(name)["the-case"]
    assert case.outcome is Outcome.DROPPED
    assert not case.releasable


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_cites_a_source_for_every_rule(name: str) -> None:
    assert all(rule.cites and all(rule.cites) for rule in pack(name).rules)
