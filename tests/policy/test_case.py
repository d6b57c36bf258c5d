"""The case, decided by the policy that ships, and that policy's own tests."""

from __future__ import annotations

import pytest

from streams.audit.policy_tests import coverage, differences, uncovered
from streams.audit.trying import Tried, try_case
from streams.policy.analysis.outcomes import Analysis
from streams.policy.cases.cases import read_cases
from streams.policy.manifest import TESTS
from streams.policy.policy import Policy
from streams.records.decisions import Outcome
from tests.policy.messages import PLAIN, plain_policy


@pytest.fixture(scope="module")
def policy() -> Policy:
    return plain_policy()


@pytest.fixture(scope="module")
def tried(policy: Policy) -> dict[str, Tried]:
    cases = read_cases(TESTS, (PLAIN / TESTS).read_text("utf-8"), str(PLAIN))
    return {case.id: try_case(case, policy, 30) for case in cases}


def test_the_policy_that_ships_decides_as_the_court_did(tried: dict[str, Tried]) -> None:
    assert tried["the-case"].outcome is Outcome.DROPPED
    assert tried["the-counter-example"].outcome is Outcome.ALLOWED
    passed_off = ("the-case-called-a-password", "the-case-called-news")
    assert all(tried[each].outcome is not Outcome.ALLOWED for each in passed_off)


def test_each_reason_of_the_case_can_be_explained(policy: Policy, tried: dict[str, Tried]) -> None:
    case = tried["the-case"]

    objecting = policy.objections(case.assessment.facts, case.case.at)

    assert tuple(rule.reason for rule in objecting) == case.reasons
    assert all(rule.text and any("Case:" in source for source in rule.cites) for rule in objecting)


def test_every_case_of_the_policy_comes_out_as_it_expects(tried: dict[str, Tried]) -> None:
    assert {name: differences(each) for name, each in tried.items() if differences(each)} == {}
    assert all(each.case.expect is not None for each in tried.values())


def test_every_rule_that_ships_is_matched_by_a_case_and_just_missed_by_another(
    policy: Policy, tried: dict[str, Tried]
) -> None:
    covered = coverage(Analysis(policy), tried.values())

    assert [each.rule.id for each in uncovered(covered)] == []
    assert len(covered) == len(policy.rules)
