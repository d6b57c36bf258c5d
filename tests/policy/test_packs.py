"""The packs: each can be analysed without a mistake, and shows each of its rules both ways."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from streams.audit.policy_tests import coverage, differences, uncovered
from streams.audit.trying import Tried, try_case
from streams.errors import PolicyInvalid
from streams.policy.analysis.findings import findings
from streams.policy.analysis.outcomes import Analysis
from streams.policy.cases.cases import read_cases
from streams.policy.manifest import TESTS
from streams.policy.policy import Policy, load_policy, load_policy_files
from streams.policy.vocabulary import Jurisdiction
from streams.records.decisions import Outcome

POLICIES = Path(__file__).parents[2] / "policies"
CHOOSING, PLAIN = "default", "plain"
PACKS = sorted(folder.name for folder in POLICIES.iterdir() if folder.name not in (CHOOSING, PLAIN))


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


@pytest.mark.parametrize("name", [*PACKS, CHOOSING])
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


NO_LAW = ("Case", "consent-gate's own rule")
YEAR = re.compile(r"\b(19|20)\d\d\b")
ADDRESS = re.compile(r"https?://\S+")


@pytest.mark.parametrize("name", [*PACKS, PLAIN])
def test_every_source_but_the_case_and_our_own_rules_has_a_date(name: str) -> None:
    cited = {cite for rule in pack(name).rules for cite in rule.cites}
    if name != PLAIN:
        registers = yaml.safe_load((POLICIES / name / "registers.yaml").read_text("utf-8"))
        cited |= {window["cites"] for window in registers.get("hours", [])}
    laws = {cite for cite in cited if not cite.startswith(NO_LAW)}
    assert laws
    assert {cite for cite in laws if not YEAR.search(ADDRESS.sub("", cite))} == set()


def test_the_policy_of_all_packs_decides_its_cases() -> None:
    cases = tried(CHOOSING)
    assert {case: found for case, each in cases.items() if (found := differences(each))} == {}
    for law in PACKS:
        assert cases[f"the-case-{law}"].outcome is Outcome.DROPPED


UNDER = {
    "cn": ("+8613800000001", "拒收请回复R"),
    "us": ("+12125550101", "Reply STOP to end."),
    "eu": ("+4915100000001", "Reply STOP to end."),
    "ca": ("+14165550101", "Reply STOP to end."),
    "elsewhere": ("+447900000001", "Reply STOP to end."),
}
"""A number of each law, and what a text there says so as to be stopped."""


@pytest.mark.parametrize("law", UNDER)
def test_an_unknown_link_is_held_by_default_under_every_law_and_consent(law: str) -> None:
    number, stops = UNDER[law]
    case = f"""\
at: 2026-05-05T11:30:00Z
recipient: "{number}"
history:
  - consent_event: {{kind: GRANTED, purpose: marketing, basis: EXPRESS, time_zone: UTC}}
"""
    linked, plain = (
        f"id: {name}\n{case}request: {{purpose: marketing, body: '{text} {stops}'}}\n"
        for name, text in (("linked", "News: https://news.example/1"), ("plain", "News."))
    )
    cases = read_cases(TESTS, f"{linked}---\n{plain}", law)
    held, passed = (try_case(each, pack(CHOOSING), 30) for each in cases)
    assert (held.outcome, held.releasable) == (Outcome.QUARANTINED, True)
    assert [reason.value for reason in held.reasons] == ["LINK_UNKNOWN"]
    assert (passed.outcome, passed.basis) == (Outcome.ALLOWED, f"{law}/consent-to-marketing")


@pytest.mark.parametrize("law", UNDER)
def test_a_case_that_says_nothing_of_its_text_is_not_held_for_its_text(law: str) -> None:
    case = f"""\
id: bare
at: 2026-05-05T11:30:00Z
recipient: "{UNDER[law][0]}"
history:
  - consent_event: {{kind: GRANTED, purpose: marketing, basis: EXPRESS, time_zone: UTC}}
request: {{purpose: marketing}}
"""
    [bare] = read_cases(TESTS, case, law)
    assert try_case(bare, pack(CHOOSING), 30).outcome is Outcome.ALLOWED


def test_each_rule_of_a_pack_counts_under_its_law_only() -> None:
    whole = pack(CHOOSING)
    for name in PACKS:
        rules = {rule.id: rule for rule in whole.rules if rule.id.startswith(f"{name}/")}
        assert rules.keys() == {f"{name}/{rule.id}" for rule in pack(name).rules}
        assert all("jurisdiction" in rule.condition.facts for rule in rules.values())


@pytest.mark.parametrize("name", PACKS)
def test_a_message_is_decided_by_its_laws_pack_as_by_that_pack_alone(name: str) -> None:
    whole = pack(CHOOSING)
    law = Jurisdiction.__members__.get(name.upper(), Jurisdiction.OTHER)
    for each in tried(name).values():
        facts = each.assessment.facts._replace(jurisdiction=law)
        alone = pack(name).verdict(facts, each.case.at)
        together = whole.verdict(facts, each.case.at)
        assert getattr(together, "reasons", None) == getattr(alone, "reasons", None)
        basis = getattr(alone, "basis", None)
        assert getattr(together, "basis", None) == (basis and f"{name}/{basis}")


def test_the_files_of_the_packs_are_part_of_the_version_and_archived() -> None:
    whole = pack(CHOOSING)
    again = load_policy_files(whole.files, "archived")
    assert again.version == whole.version
    assert len(again.rules) == len(whole.rules)
    changed = {**whole.files, "../cn/message.yaml": whole.files["../cn/message.yaml"] + "# more\n"}
    assert load_policy_files(changed, "archived").version != whole.version


def changed(file: str, old: str, new: str) -> list[str]:
    """What is wrong with the policy of all packs after this change."""
    files = dict(pack(CHOOSING).files)
    assert old in files[file]
    files[file] = files[file].replace(old, new, 1)
    with pytest.raises(PolicyInvalid) as invalid:
        load_policy_files(files, "here")
    return str(invalid.value).splitlines()


@pytest.mark.parametrize(
    ("file", "old", "new", "mistake"),
    [
        ("policy.yaml", "  CN: cn", "  CN: china", "there is no pack china beside this folder; "),
        ("policy.yaml", "  CN: cn", "  CN: ../../cn", "'../../cn' cannot be a pack; "),
        ("policy.yaml", "  CN: cn\n", "", "packs lacks CN; "),
        ("policy.yaml", "  CN: cn", "  CHINA: cn", "packs has no CHINA; use one of"),
        ("policy.yaml", "packs:", "rules: [rules.yaml]\npacks:", "policy.yaml has no rules; "),
        (
            "../cn/person.yaml",
            "Erasure.ERASED",
            "Erasure.ERASD",
            "there is no Erasure.ERASD; did you",
        ),
        ("../cn/policy.yaml", "  - person.yaml\n", "", "policy.yaml does not list the file; "),
        ("../cn/policy.yaml", "  otp:", "  code:", "the pack declares other purposes than "),
        (
            "../cn/registers.yaml",
            'to: "21:00"',
            'to: "07:00"',
            "the window ends before it begins; ",
        ),
    ],
)
def test_a_mistake_in_a_policy_of_packs_is_named_with_its_place(
    file: str, old: str, new: str, mistake: str
) -> None:
    found = changed(file, old, new)
    assert any(mistake in each for each in found), found
    if "list the file" not in mistake:
        assert any(each.startswith(f"here/{file}:") and mistake in each for each in found), found


def test_no_pack_may_allow_somebody_of_whom_nothing_but_the_law_is_known() -> None:
    files = dict(pack(CHOOSING).files)
    for name in ("bases", "message"):
        file = f"../cn/{name}.yaml"
        files[file] = files[file].replace("Occasion.ASKED", "Occasion.NONE")
    with pytest.raises(
        PolicyInvalid, match=r"cn/password-asked-for allows otp to somebody of whom"
    ):
        load_policy_files(files, "here")
