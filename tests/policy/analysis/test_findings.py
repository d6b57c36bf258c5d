"""What an analysis finds: rules that cannot matter or contradict, facts that nobody speaks of."""

from __future__ import annotations

from collections.abc import Iterable
from time import process_time

from hypothesis import given

from streams.policy.analysis.findings import Finding, FindingKind, findings
from streams.policy.analysis.outcomes import Analysis
from streams.policy.policy import Policy, load_policy_files
from streams.policy.rules import Rule, Then
from tests.policy.analysis.brute import matches, policies, slice_of, tuples, unhurried
from tests.policy.messages import plain_policy, small

ALLOWS = "purpose == Purpose.MARKETING && consent == Consent.GRANTED => allow by-consent"


def found(policy: Policy, kind: FindingKind) -> list[Finding]:
    return [each for each in findings(Analysis(policy)) if each.kind is kind]


def ids(found_here: Iterable[Finding]) -> list[str]:
    return [each.rules[0] for each in found_here]


# --- rules that can never match ------------------------------------------------------------------


def test_a_rule_that_contradicts_itself_can_never_match() -> None:
    policy = small(ALLOWS, "consent == Consent.NONE && consent == Consent.GRANTED => drop ERASED")
    (finding,) = found(policy, FindingKind.NEVER_MATCHES)
    assert (finding.rules, finding.file, finding.line) == (("rule-1",), "rules.yaml", 8)
    assert finding.kind.mistake


def test_a_rule_that_asks_what_no_message_has_can_never_match() -> None:
    policy = small(
        "consent == Consent.GRANTED && basis == Basis.NONE => drop ERASED",
        "state == State.UNDECODABLE => drop ERASED",
        "number == Number.UPLOADED && upload == Upload.NOT_UPLOADED => drop ERASED",
    )
    assert ids(found(policy, FindingKind.NEVER_MATCHES)) == ["rule-0", "rule-1", "rule-2"]


# --- superfluous rules ---------------------------------------------------------------------------


def test_a_rule_within_another_that_says_the_same_is_superfluous() -> None:
    policy = small(
        "consent == Consent.NONE => drop NO_CONSENT",
        "consent == Consent.NONE && member == Member.NO => drop NO_CONSENT",
        "consent == Consent.NONE && member == Member.NO => drop ERASED",
    )
    (finding,) = found(policy, FindingKind.SUPERFLUOUS)
    assert finding.rules == ("rule-1", "rule-0")
    assert "wherever it matches, rule-0 (rules.yaml:2) gives NO_CONSENT too" in finding.what
    assert not finding.kind.mistake


def test_rules_that_only_together_cover_another_are_named() -> None:
    policy = small(
        "member == Member.NO && claims != Claims.NONE => drop NO_CONSENT",
        "member == Member.YES && claims != Claims.NONE => drop NO_CONSENT",
        "claims == Claims.UNSUPPORTED => drop NO_CONSENT",
    )
    (finding,) = found(policy, FindingKind.SUPERFLUOUS)
    assert finding.rules == ("rule-2", "rule-0", "rule-1")


def test_a_drop_is_not_made_superfluous_by_a_hold() -> None:
    policy = small(
        "campaign == Campaign.PAUSED => quarantine CAMPAIGN_PAUSED",
        "campaign == Campaign.PAUSED && member == Member.NO => drop CAMPAIGN_PAUSED",
    )
    assert found(policy, FindingKind.SUPERFLUOUS) == []


def test_an_allowing_rule_is_superfluous_behind_one_that_allows_more() -> None:
    policy = small(
        ALLOWS,
        "purpose == Purpose.MARKETING && consent == Consent.GRANTED && member == Member.YES"
        " => allow as-member",
    )
    (finding,) = found(policy, FindingKind.SUPERFLUOUS)
    assert finding.rules == ("rule-1", "rule-0")


def test_an_allowing_rule_is_superfluous_where_others_object_to_all_it_allows() -> None:
    policy = small(ALLOWS, "consent == Consent.GRANTED => drop NO_CONSENT")
    (finding,) = found(policy, FindingKind.SUPERFLUOUS)
    assert finding.rules == ("rule-0", "rule-1")


def test_an_allowing_rule_carries_what_a_reviewer_releases() -> None:
    policy = small(ALLOWS, "consent == Consent.GRANTED => quarantine OCCASION_MISSING")
    assert found(policy, FindingKind.SUPERFLUOUS) == []


# --- days ----------------------------------------------------------------------------------------


def test_rules_whose_days_overlap_are_superfluous_only_then() -> None:
    policy = small(
        "consent == Consent.NONE => drop NO_CONSENT until=2027-02-01",
        "consent in [Consent.NONE] => drop NO_CONSENT from=2027-01-01",
    )
    (finding,) = found(policy, FindingKind.SUPERFLUOUS)
    assert (str(finding.first), str(finding.end)) == ("2027-01-01", "2027-02-01")


def test_rules_whose_days_adjoin_are_not() -> None:
    policy = small(
        "consent == Consent.NONE => drop NO_CONSENT until=2027-02-01",
        "consent == Consent.NONE => drop NO_CONSENT from=2027-02-01",
    )
    assert found(policy, FindingKind.SUPERFLUOUS) == []


def test_what_is_so_on_adjoining_stretches_is_said_once() -> None:
    twice = "consent == Consent.NONE => drop NO_CONSENT"
    policy = small(twice, twice, "erasure == Erasure.ERASED => drop ERASED from=2027-01-01")
    (finding,) = found(policy, FindingKind.SUPERFLUOUS)
    assert (finding.first, finding.end) == (None, None)


# --- contradictory holds and gaps ----------------------------------------------------------------


def test_one_reason_cannot_both_hold_and_drop_the_same_message() -> None:
    policy = small(
        "campaign == Campaign.PAUSED => quarantine CAMPAIGN_PAUSED",
        "campaign == Campaign.PAUSED && member == Member.NO => drop CAMPAIGN_PAUSED",
        "campaign == Campaign.PAUSED && member == Member.YES => drop EXPIRED",
    )
    (finding,) = found(policy, FindingKind.CONTRADICTORY_HOLDS)
    assert finding.rules == ("rule-1", "rule-0")
    assert finding.line == 8
    assert finding.example is not None
    assert finding.example["campaign"] == "PAUSED"


def test_what_no_rule_speaks_of_is_counted_with_the_example_that_says_least() -> None:
    policy = small(ALLOWS, "consent in [Consent.NONE, Consent.WITHDRAWN] => drop NO_CONSENT")
    (finding,) = found(policy, FindingKind.GAP)
    assert (finding.file, finding.line) == ("policy.yaml", 4)
    assert finding.example is not None
    assert finding.example["consent"] == "EXPIRED"
    analysis = Analysis(policy)
    expired = analysis.judged & analysis.space.where("consent", ["EXPIRED"])
    assert finding.count == analysis.space.count(expired)


# --- against trying every tuple ------------------------------------------------------------------


def said(policy: Policy, rules: Iterable[Rule]) -> list[object]:
    """The verdict on every tuple by these rules, reasons and basis included."""
    verdicts: list[object] = []
    for each in tuples():
        matching = [rule for rule in rules if matches(policy, rule, each)]
        objecting = [rule for rule in matching if rule.then is not Then.ALLOW]
        allowing = [rule.basis for rule in matching if rule.then is Then.ALLOW]
        if objecting:
            dropped = any(rule.then is Then.DROP for rule in objecting)
            verdicts.append((dropped, frozenset(rule.reason for rule in objecting)))
        else:
            verdicts.append(allowing[:1])
    return verdicts


@unhurried
@given(policies())
def test_findings_agree_with_trying_every_tuple(policy: Policy) -> None:
    analysis = Analysis(policy)
    all_found = findings(analysis)
    never = {each.rules[0] for each in all_found if each.kind is FindingKind.NEVER_MATCHES}
    superfluous = {each.rules[0] for each in all_found if each.kind is FindingKind.SUPERFLUOUS}
    baseless = analysis.outcomes(analysis.stretches[0]).baseless
    gaps = analysis.space.count(baseless & slice_of(analysis.space))

    by_trying = said(policy, policy.rules)

    assert never == {
        rule.id
        for rule in policy.rules
        if not any(matches(policy, rule, each) for each in tuples())
    }
    assert gaps == by_trying.count([])
    assert not gaps or any(each.kind is FindingKind.GAP for each in all_found)
    # All that is superfluous can be taken out together, and nothing changes.
    staying = [rule for rule in policy.rules if rule.id not in superfluous]
    assert said(policy, staying) == by_trying
    # Whatever else is taken out does change something, if only what a release would let pass.
    for rule in staying:
        if rule.id not in never and rule.then is not Then.ALLOW:
            assert said(policy, [each for each in staying if each is not rule]) != by_trying
    contradictions = {
        frozenset(each.rules) for each in all_found if each.kind is FindingKind.CONTRADICTORY_HOLDS
    }
    assert contradictions == {
        frozenset((one.id, other.id))
        for one in policy.rules
        for other in policy.rules
        if one.reason is other.reason
        and (one.then, other.then) == (Then.DROP, Then.QUARANTINE)
        and any(matches(policy, one, each) and matches(policy, other, each) for each in tuples())
    }


# --- the policy that ships -----------------------------------------------------------------------


def test_the_policy_that_ships_has_no_mistake_and_no_rule_too_many() -> None:
    kinds = {each.kind for each in findings(Analysis(plain_policy()))}
    assert kinds <= {FindingKind.GAP, FindingKind.UNLISTED}


def test_a_policy_ten_times_as_large_is_analysed_in_seconds() -> None:
    shipped = plain_policy()
    files = dict(shipped.files)
    names = [name for name in files if name != "policy.yaml"]
    for copy in range(1, 10):
        for name in names:
            text = files[name]
            for rule in shipped.rules:
                text = text.replace(f"id: {rule.id}\n", f"id: {rule.id}-{copy}\n")
                if rule.basis:
                    text = text.replace(f"basis: {rule.basis}\n", f"basis: {rule.basis}-{copy}\n")
            # Each copy looks at something of its own besides.
            text = text.replace("when: >-\n", f"when: >-\n      {WITH[copy]} &&\n")
            files[f"{copy}-{name}"] = text
    listed = "".join(f"  - {name}\n" for name in sorted(files.keys() - {"policy.yaml", *names}))
    files["policy.yaml"] += listed
    large = load_policy_files(files, "large")
    assert len(large.rules) == 10 * len(shipped.rules)

    began = process_time()
    all_found = findings(Analysis(large))

    assert process_time() - began < 20
    assert len([each for each in all_found if each.kind is FindingKind.SUPERFLUOUS]) > 100


WITH = [
    "",
    "member == Member.NO",
    "voice == Voice.USER",
    "claims != Claims.NONE",
    "occasion != Occasion.NONE",
    "names in [Names.NONE, Names.CONSENTED]",
    "number != Number.PUBLIC",
    "campaign != Campaign.NONE",
    "marks == Marks.INVITATION",
    "validity == Validity.LIVE",
]
