"""The sets that an analysis works with are what trying every tuple gives."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.policy.analysis.outcomes import Analysis, Stretch
from streams.policy.analysis.space import FactSpace, Region
from streams.policy.facts import Facts, assess, nothing_known
from streams.policy.policy import Policy, load_policy, load_policy_files
from streams.policy.rules import Rule, Then
from streams.policy.verdicts import Allow, Drop
from streams.policy.vocabulary import Jurisdiction
from streams.records import events
from streams.records.events import Origin, Source
from streams.records.requests import SmsRequested
from streams.records.subject import Membership, SubjectState
from tests.policy import mistakes_table
from tests.policy.analysis.brute import (
    PURPOSES,
    facts_of,
    matches,
    policies,
    slice_of,
    tuples,
    unhurried,
)
from tests.policy.messages import (
    NOW,
    CampaignTable,
    NameTable,
    grant,
    plain_policy,
    request,
    small,
    subject,
    trace,
    withdrawal,
)
from tests.policy.test_properties import FRIEND, facts, messages, states


@unhurried
@given(policies())
def test_a_rule_matches_what_its_condition_says_of_each_tuple(policy: Policy) -> None:
    analysis = Analysis(policy)
    tried = slice_of(analysis.space)
    for rule in policy.rules:
        by_trying = [each for each in tuples() if matches(policy, rule, each)]
        region = analysis.matches(rule) & tried
        assert analysis.space.count(region) == len(by_trying)
        assert all(analysis.space.holds(analysis.space.point(each) & region) for each in by_trying)


@unhurried
@given(policies(dated=True))
def test_every_tuple_ends_as_the_policy_decides_it_on_each_stretch_of_days(policy: Policy) -> None:
    analysis = Analysis(policy)
    tried = slice_of(analysis.space)
    for stretch in analysis.stretches:
        counted = {"allowed": 0, "held": 0, "dropped": 0, "baseless": 0, "undeclared": 0}
        for each in tuples():
            verdict = policy.verdict(facts_of(each), _within(stretch))
            if isinstance(verdict, Allow):
                counted["allowed"] += 1
            elif not isinstance(verdict, Drop):
                counted["held"] += 1
            else:
                baseless = verdict.reasons[0].value == "NO_BASIS"
                counted["baseless" if baseless else "dropped"] += 1
        outcomes = analysis.outcomes(stretch)
        assert counted == {
            name: analysis.space.count(getattr(outcomes, name) & tried) for name in counted
        }


@unhurried
@given(policies(dated=True))
def test_one_more_objection_never_allows_anything(policy: Policy) -> None:
    analysis = Analysis(policy)
    for rule in policy.rules:
        if rule.then is Then.ALLOW:
            continue
        without = Analysis(_without(policy, rule), analysis.space)
        for stretch in analysis.stretches:
            allowed = analysis.outcomes(stretch).allowed
            assert not analysis.space.holds(allowed & ~without.outcomes(stretch).allowed)


def _without(policy: Policy, rule: Rule) -> Policy:
    return Policy(
        name=policy.name,
        edition=policy.edition,
        version=policy.version,
        files=policy.files,
        purposes=policy.purposes,
        rules=tuple(each for each in policy.rules if each is not rule),
        registers=policy.registers,
        language=policy.language,
    )


def _within(stretch: Stretch) -> int:
    day = stretch.first or date(2026, 1, 1)
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 1000


@settings(deadline=None, max_examples=400)
@given(messages(), states())
def test_no_message_has_facts_that_the_space_leaves_out(
    message: SmsRequested, state: SubjectState
) -> None:
    about_this = replace(
        state, grants=tuple(replace(said, purpose=message.purpose) for said in state.grants)
    )
    for known in (None, state, about_this):
        assessed = assess(message, known, NameTable(FRIEND), CampaignTable("paused"), NOW)
        assert SPACE.holds(SPACE.point(assessed.facts.as_map()))


BODIES = ("", "Shop: sale. Reply STOP", "t.cn/1 and shop.example", "https://shop.example/join A")
CN = load_policy(Path(__file__).parents[3] / "policies" / "cn")


@settings(deadline=None)
@given(messages(), st.none() | states(), st.sampled_from(BODIES), st.integers(0, 23))
def test_no_message_that_is_read_by_registers_has_facts_that_the_space_leaves_out(
    message: SmsRequested, state: SubjectState | None, body: str, hour: int
) -> None:
    message, at = replace(message, body=body, template_id="none"), NOW + hour * 3_600_000
    assessed = assess(message, state, NameTable(FRIEND), CampaignTable(), at, CN.registers)
    assert SPACE.holds(SPACE.point(assessed.facts.as_map()))


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("basis", events.Basis)
@pytest.mark.parametrize("origin", [None, *Origin])
@pytest.mark.parametrize("purpose", ["marketing", "transactional", "otp"])
def test_every_way_to_taint_is_in_the_space(
    source: Source, basis: events.Basis, origin: Origin | None, purpose: str
) -> None:
    for uploads in ((), (trace(),)):
        for membership in (None, Membership(NOW - 9, 1, "registered")):
            for grants in ((), (grant(purpose, source=source, basis=basis),)):
                state = subject(
                    origin=origin,
                    origin_at=NOW - 9,
                    uploads=uploads,
                    membership=membership,
                    grants=grants,
                )
                message = request(purpose=purpose)
                assessed = assess(message, state, NameTable(), CampaignTable(), NOW)
                assert SPACE.holds(SPACE.point(assessed.facts.as_map()))


RAN_OUT = grant(offset=30, counts_from=NOW - 1, expires_at=NOW)
FORMER = grant(offset=30, counts_from=NOW - 4)
ODD_STATES = {
    "a newer consent ran out": subject(grants=(RAN_OUT,), withdrawals=(withdrawal(),)),
    "a newer consent ran out, all was stopped": subject(
        grants=(RAN_OUT,), withdrawals=(withdrawal(None),)
    ),
    "a newer consent was the former holder's": subject(
        grants=(FORMER,), withdrawals=(withdrawal(),), reassigned_at=NOW - 2
    ),
    "both were withdrawn": subject(withdrawals=(withdrawal(), withdrawal(None))),
    "erased, and stopped before": subject(erased_at=NOW - 1, withdrawals=(withdrawal(None),)),
    "erased, and a member again": subject(
        erased_at=NOW - 9, membership=Membership(NOW - 1, 5, "again")
    ),
    "given away, with a new member": subject(
        reassigned_at=NOW - 2, grants=(FORMER,), membership=Membership(NOW - 1, 5, "new")
    ),
    "bought, and in an address book": subject(origin=Origin.PURCHASED, uploads=(trace(),)),
    "a customer in an address book": subject(
        origin=Origin.CUSTOMER, origin_at=NOW - 9, uploads=(trace(),)
    ),
}


@pytest.mark.parametrize("name", ODD_STATES)
def test_no_odd_state_is_left_out(name: str) -> None:
    assessed = assess(request(), ODD_STATES[name], NameTable(), CampaignTable(), NOW)
    assert SPACE.holds(SPACE.point(assessed.facts.as_map()))


SPACE = FactSpace(("invite", "marketing", "transactional", "otp", "service_reply"))


@given(st.sampled_from(tuples()), st.sampled_from(tuples()))
def test_the_nearest_tuple_is_the_one_with_the_fewest_other_facts(
    one: dict[str, str], other: dict[str, str]
) -> None:
    region = SPACE.point(one) | SPACE.point(other)

    found = SPACE.nearest(region, one)

    assert found == one
    away = SPACE.nearest(SPACE.point(other), one)
    assert away == other
    assert SPACE.nearest(region & ~region, one) is None


def test_the_smallest_example_says_the_least() -> None:
    said = SPACE.where("consent", ["GRANTED"]) | SPACE.where("campaign", ["PAUSED"])
    example = SPACE.smallest(said)
    assert example is not None
    assert (example["campaign"], example["consent"]) == ("PAUSED", "NONE")


def test_the_smallest_example_is_not_the_first_that_comes() -> None:
    one_fact = SPACE.where("member", ["YES"])
    two_facts = SPACE.where("campaign", ["PAUSED"]) & SPACE.where("validity", ["EXPIRED"])
    example = SPACE.smallest(one_fact | two_facts)
    assert example is not None
    assert (example["member"], example["campaign"]) == ("YES", "NONE")


def test_asking_about_message_after_message_does_not_fill_the_diagrams() -> None:
    space = FactSpace(("marketing",))
    chances = Random(1)
    for _ in range(800):
        facts = {fact: chances.choice(values) for fact, values in space.facts.items()}
        assert space.nearest(space.everything, facts) is not None


def test_a_state_that_cannot_be_read_and_an_undeclared_purpose_never_reach_the_rules() -> None:
    policy = small("state == State.UNDECODABLE => drop ERASED")
    analysis = Analysis(policy, FactSpace(("marketing", "otp")))
    assert analysis.space.count(analysis.matches(policy.rules[0])) == 0
    outcomes = analysis.outcomes(analysis.stretches[0])
    assert analysis.space.facts["purpose"] == PURPOSES
    undeclared = analysis.space.smallest(outcomes.undeclared)
    assert undeclared is not None
    assert undeclared["purpose"] == "otp"


def test_one_folder_may_be_the_pack_of_several_laws() -> None:
    files = {
        "policy.yaml": mistakes_table.WHOLE,
        "../own/policy.yaml": mistakes_table.PACK,
        "../own/rules.yaml": mistakes_table.PACK_RULES,
    }
    analysis = Analysis(load_policy_files(files, "here"))
    regions = [analysis.matches(rule) for rule in analysis.policy.rules]
    assert len(regions) == len(Jurisdiction)
    for place, law in enumerate(("CN", "US", "EU", "CA", "OTHER")):
        here = analysis.space.where("jurisdiction", [law])
        assert [analysis.space.holds(region & here) for region in regions].index(True) == place
        assert sum(analysis.space.holds(region & here) for region in regions) == 1


def test_comments_brackets_and_choices_are_taken_apart_as_cel_reads_them() -> None:
    policy = small(
        ">-\n      consent == Consent.NONE ? basis == Basis.NONE : (names == Names.CONSENTED"
        " || !(claims == Claims.NONE)) && true => drop ERASED",
        "|\n      (  // never || always\n        consent == Consent.GRANTED)\n"
        "      && purpose == Purpose.MARKETING => drop ERASED",
    )
    analysis = Analysis(policy)
    for rule in policy.rules:
        for each in tuples():
            if each["purpose"] == "marketing":
                region = analysis.space.point(each) & analysis.matches(rule)
                assert analysis.space.holds(region) == matches(policy, rule, each)


def test_the_policy_that_ships_allows_nothing_without_anything_that_speaks_for_it() -> None:
    policy = plain_policy()
    analysis = Analysis(policy)
    space = analysis.space
    allowed = analysis.outcomes(analysis.stretches[0]).allowed
    silent = (
        space.where("consent", ["NONE", "WITHDRAWN", "EXPIRED"])
        & space.where("member", ["NO"])
        & space.where("number", ["UNKNOWN", "UPLOADED", "PURCHASED", "PUBLIC"])
        & space.where("occasion", ["NONE", "PRESENT"])
    )
    assert not space.holds(allowed & silent)
    needs_consent = space.where("purpose", ["invite", "marketing"])
    assert not space.holds(allowed & needs_consent & ~space.where("consent", ["GRANTED"]))
    assert not space.holds(allowed & space.where("purpose", ["invite"]) & _by_nobody(space))


def _by_nobody(space: FactSpace) -> Region:
    return space.where("initiator", ["PLATFORM", "CONTRADICTORY"])


SPEAKING_FOR = [
    {"occasion": "PRESENT"},
    {"occasion": "ASKED"},
    {"occasion": "INBOUND"},
    {"member": "YES"},
    {"number": "CUSTOMER"},
    {"consent": "GRANTED", "basis": "EXPRESS", "freedom": "FREE"},
    {"consent": "GRANTED", "basis": "IMPLIED", "freedom": "CONDITIONAL"},
    {"initiator": "USER"},
]


@settings(deadline=None)
@given(facts(), st.sampled_from(SPEAKING_FOR))
def test_the_absence_of_what_speaks_for_a_message_never_allows_it(
    any_facts: Facts, known: dict[str, str]
) -> None:
    analysis = shipped_analysis()
    space = analysis.space
    allowed = analysis.outcomes(analysis.stretches[0]).allowed
    absent = nothing_known("").as_map()
    without = allowed
    for fact in known:
        without &= space.where(fact, [absent[fact]])

    # The message nearest to any at all that is allowed although this is not known of it.
    found = space.nearest(without, any_facts.as_map())

    assert found is not None
    more = space.point(found | known)
    assert not space.holds(more) or space.holds(more & allowed)


@cache
def shipped_analysis() -> Analysis:
    return Analysis(plain_policy())
