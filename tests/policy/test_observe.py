"""A rule to observe is checked and recorded, and has no part in any verdict."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from streams.audit.case_words import case_in_words
from streams.audit.trying import try_case
from streams.cli.policy import policy_app
from streams.policy.analysis.findings import findings
from streams.policy.analysis.outcomes import Analysis
from streams.policy.cases.cases import read_cases
from streams.policy.facts import Facts, nothing_known
from streams.policy.policy import Policy, load_policy, load_policy_files
from streams.policy.rules import Rule
from streams.policy.vocabulary import State
from tests.policy.messages import NOW, PLAIN, plain_policy
from tests.policy.test_mistakes import MANIFEST, mistakes_of, rule
from tests.policy.test_properties import facts, shipped, unhurried

WATCHED = """
  - id: no-mornings
    text: Advertising is to stop before it is agreed to twice.
    when: purpose == Purpose.MARKETING
    then: drop
    reason: NO_CONSENT
    cites: A plan
    observe: true
"""


def with_rules(rules: tuple[Rule, ...]) -> Policy:
    policy = shipped()
    return Policy(
        name=policy.name,
        edition=policy.edition,
        version=policy.version,
        files=policy.files,
        purposes=policy.purposes,
        rules=rules,
        registers=policy.registers,
        language=policy.language,
    )


def watched(folder: Path, more: str = WATCHED) -> Path:
    """The plain policy with one more rule, to observe."""
    shutil.copytree(PLAIN, folder, dirs_exist_ok=True)
    with (folder / "person.yaml").open("a", encoding="utf-8") as rules:
        rules.write(more)
    return folder


@unhurried
@given(facts(), st.sets(st.integers(0, 40)))
def test_rules_to_observe_change_no_verdict_and_record_what_they_would_have_done(
    any_facts: Facts, some: set[int]
) -> None:
    """Each of them stands beside an enforced rule that allows or objects, and is its copy."""
    rules = shipped().rules
    copies = tuple(
        replace(each, id=f"{each.id}-again", observe=True)
        for number, each in enumerate(rules)
        if number in some
    )
    beside, alone = with_rules(rules + copies), shipped()
    assert beside.verdict(any_facts, NOW) == alone.verdict(any_facts, NOW)
    assert beside.objections(any_facts, NOW) == alone.objections(any_facts, NOW)
    matching = {each.id for each in beside.matching(beside.observing(NOW), any_facts)}
    objecting = {each.id for each in alone.objections(any_facts, NOW)}
    today = datetime.fromtimestamp(NOW / 1000, UTC).date()
    for copy in copies:
        if copy.reason is not None and copy.in_force(today):
            original = copy.id.removesuffix("-again")
            assert (copy.id in matching) == (original in objecting)


@settings(unhurried, max_examples=30)
@given(facts(), st.integers(0, 40))
def test_a_rule_set_to_observe_is_as_good_as_taken_out(any_facts: Facts, number: int) -> None:
    rules = list(shipped().rules)
    place = number % len(rules)
    out = with_rules((*rules[:place], *rules[place + 1 :]))
    rules[place] = replace(rules[place], observe=True)
    assert with_rules(tuple(rules)).verdict(any_facts, NOW) == out.verdict(any_facts, NOW)


def test_nothing_is_observed_where_no_rule_is_asked(tmp_path: Path) -> None:
    policy = load_policy(watched(tmp_path))
    observing = policy.observing(NOW)
    assert policy.matching(observing, nothing_known("marketing")) == policy.observed
    assert policy.matching(observing, nothing_known("unheard_of")) == ()
    unreadable = nothing_known("marketing")._replace(state=State.UNDECODABLE)
    assert policy.matching(observing, unreadable) == ()


def test_one_that_does_not_answer_counts(tmp_path: Path) -> None:
    class GivesNoAnswer:
        def holds(self, activation: object) -> None:
            return None

    policy = load_policy(watched(tmp_path))
    silent = replace(policy.observed[0], condition=GivesNoAnswer())  # type: ignore[arg-type]
    assert policy.matching((silent,), nothing_known("marketing")) == (silent,)
    assert policy.verdict(nothing_known("otp"), NOW) == plain_policy().verdict(
        nothing_known("otp"), NOW
    )


def test_its_days_bound_what_is_recorded_and_part_no_memory() -> None:
    dated = rule(from_="2027-01-01", until="2027-02-01", observe="true")
    policy = load_policy_files({"policy.yaml": MANIFEST, "rules.yaml": dated}, "pack")
    [watched] = policy.observed
    assert watched.from_day == date(2027, 1, 1)
    for day, expected in (
        (datetime(2026, 12, 31, tzinfo=UTC), ()),
        (datetime(2027, 1, 1, tzinfo=UTC), (watched,)),
        (datetime(2027, 2, 1, tzinfo=UTC), ()),
    ):
        assert policy.observing(int(day.timestamp() * 1000)) == expected
    assert len(policy._periods) == 1


@pytest.mark.parametrize("written", ["maybe", "1", "'true'", "[true]", "{}", ""])
def test_observe_is_true_or_false(written: str) -> None:
    [mistake] = mistakes_of(rule(observe=written))
    assert mistake.startswith("pack/rules.yaml:8:")
    assert mistake.endswith("write true or false")


def test_false_enforces_it() -> None:
    files = {"policy.yaml": MANIFEST, "rules.yaml": rule(observe="false")}
    policy = load_policy_files(files, "pack")
    assert ([each.id for each in policy.rules], policy.observed) == (["stop"], ())


def test_an_analysis_does_not_see_it_and_the_check_lists_it(tmp_path: Path) -> None:
    folder = watched(tmp_path)
    seen = [replace(each, example=None) for each in findings(Analysis(load_policy(folder)))]
    assert seen == [replace(each, example=None) for each in findings(Analysis(plain_policy()))]

    told = CliRunner().invoke(policy_app, ["check", str(folder)])
    assert told.exit_code == 0
    assert "observed  no-mornings" in told.stdout
    assert f"rules     {len(plain_policy().rules)}" in told.stdout
    sound = json.loads(CliRunner().invoke(policy_app, ["check", "--json", str(folder)]).stdout)
    assert sound["observed"] == ["no-mornings"]
    assert "observed" not in CliRunner().invoke(policy_app, ["check", str(PLAIN)]).stdout


def test_a_case_that_is_tried_shows_what_was_observed(tmp_path: Path) -> None:
    policy = load_policy(watched(tmp_path))
    request = "{purpose: marketing, body: Hello, recipient: '+8613800000001'}"
    text = f"{{id: one, at: 2026-05-01, request: {request}}}"
    [case] = read_cases("cases.yaml", text, "here")
    tried = try_case(case, policy, 30)
    assert tried.as_json()["observed"] == ["no-mornings"]
    words = " ".join(case_in_words(tried, Analysis(policy)).split())
    assert "Observed, not enforced: Rule no-mornings (person.yaml:" in words
    assert "Source: A plan" in words
