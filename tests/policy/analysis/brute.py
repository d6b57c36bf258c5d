"""Small random policies, and what they come to by trying every tuple of a few facts."""

from __future__ import annotations

from functools import cache
from itertools import product

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from streams.policy.analysis.possible import DEPENDENCIES
from streams.policy.analysis.space import FactSpace, FactTuple, Region
from streams.policy.facts import Facts, nothing_known
from streams.policy.policy import Policy
from streams.policy.rules import Rule
from streams.policy.vocabulary import Basis, Consent, Freedom, Holder, Suppression, Withdrawal
from tests.policy.messages import small

PURPOSES = ("marketing", "otp")
TRIED = {
    "purpose": PURPOSES,
    # Pending is only what a policy wants confirmed, and these want nothing.
    "consent": tuple(value for value in Consent.__members__ if value != "PENDING"),
    "basis": tuple(Basis.__members__),
    "freedom": tuple(Freedom.__members__),
    "holder": tuple(Holder.__members__),
    "withdrawal": tuple(Withdrawal.__members__),
    "suppression": tuple(Suppression.__members__),
}
"""The facts that random rules look at. What depends on each other is all among them."""

unhurried = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
"""To draw a policy is to compile it, and a shared machine may stop a test for any time."""

_TYPES = {fact: fact.capitalize() for fact in TRIED}


@cache
def tuples() -> list[FactTuple]:
    """Every tuple of these facts that a message can have, all other facts as where none is."""
    absent = nothing_known("").as_map()
    made = [absent | dict(zip(TRIED, values, strict=True)) for values in product(*TRIED.values())]
    return [
        each
        for each in made
        if all(one.holds(*(each[fact] for fact in one.facts)) for one in DEPENDENCIES)
    ]


def slice_of(space: FactSpace) -> Region:
    """The set of those tuples."""
    region = space.everything
    for fact, value in nothing_known("").as_map().items():
        if fact not in TRIED:
            region &= space.where(fact, [value])
    return region


def facts_of(each: FactTuple) -> Facts:
    facts = Facts.from_map(each)
    assert facts is not None
    return facts


def matches(policy: Policy, rule: Rule, each: FactTuple) -> bool:
    """What CEL says of the whole condition."""
    return rule.condition.holds(policy.language.activation(facts_of(each))) is True


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    fact = draw(st.sampled_from(sorted(TRIED)))
    values = [f"{_TYPES[fact]}.{value.upper()}" for value in TRIED[fact]]
    if draw(st.booleans()):
        listed = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True))
        return f"{fact} in [{', '.join(listed)}]"
    return f"{fact} {draw(st.sampled_from(['==', '!=']))} {draw(st.sampled_from(values))}"


def conditions() -> st.SearchStrategy[str]:
    """Any condition: comparisons joined by all that joins them."""
    return st.recursive(
        comparisons(),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(" ".join),
            inner.map("!({})".format),
            inner.map("({})".format),
            st.tuples(inner, inner, inner).map(lambda three: "({}) ? ({}) : {}".format(*three)),
        ),
        max_leaves=5,
    )


REASONS = (
    "drop NO_CONSENT",
    "drop SUPPRESSED",
    "quarantine CAMPAIGN_PAUSED",
    "drop CAMPAIGN_PAUSED",
    "quarantine OCCASION_MISSING",
    "drop OCCASION_MISSING",
)
DAYS = ("", " from=2027-01-01", " until=2027-01-01", " until=2028-01-01")


@st.composite
def policies(draw: st.DrawFn, most: int = 5, *, dated: bool = False) -> Policy:
    """Small policies, none of which allows somebody of whom nothing is known."""
    days = st.sampled_from(DAYS if dated else DAYS[:1])
    lines = []
    said: set[tuple[str, str]] = set()
    for number in range(draw(st.integers(1, most))):
        if draw(st.integers(0, 2)) == 0:
            known = "purpose in [Purpose.MARKETING, Purpose.OTP] && consent != Consent.NONE"
            condition, then = f"{known} && ({draw(conditions())})", f"allow basis-{number}"
        else:
            condition, then = draw(conditions()), draw(st.sampled_from(REASONS))
        line = f"'{condition}' => {then}{draw(days)}"
        # Versions of one rule with overlapping days are no policy.
        says = condition.strip("()"), "allow" if then.startswith("allow") else then.split()[1]
        if not dated or says not in said:
            said.add(says)
            lines.append(line)
    return small(*lines, purposes="  marketing: Advertising.\n  otp: Passwords.")
