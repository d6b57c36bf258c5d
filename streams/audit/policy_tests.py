"""
A policy's own tests: cases with what is expected of them, and which rules they show.

A rule is shown in both directions by a case that it matches, and by one that it just misses: in
which it does not match, but would if a single fact that it looks at were another. So a test suite
that never touches the edge of a rule does not count as covering it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from streams.audit.trying import Tried
from streams.policy.analysis.outcomes import Analysis
from streams.policy.rules import Rule


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was expected, in the words of the file."""

    what: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Covered:
    """The ids of cases that show one rule; empty: nothing shows it in that direction."""

    rule: Rule
    matched_by: tuple[str, ...]
    missed_by: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether it is shown in both directions."""
        return bool(self.matched_by and self.missed_by)


def differences(tried: Tried) -> list[Difference]:
    """List what came otherwise than the case expects; a case that expects nothing has none."""
    expect = tried.case.expect
    if expect is None:
        return []
    facts = tried.assessment.facts.as_map()
    compared: list[tuple[str, object, object]] = [
        ("verdict", expect.verdict.value, tried.outcome.value)
    ]
    if expect.reasons is not None:
        codes = [reason.value for reason in tried.reasons]
        compared.append(("reasons", _listed(expect.reasons), _listed(codes)))
    if expect.basis is not None:
        compared.append(("basis", expect.basis, tried.basis))
    if expect.hold_until is not None:
        compared.append(("hold_until", expect.hold_until, tried.hold_until))
    if expect.releasable is not None:
        compared.append(("releasable", expect.releasable, tried.releasable))
    compared += [(f"facts.{fact}", value, facts[fact]) for fact, value in expect.facts.items()]
    return [
        Difference(what, _written(wanted), _written(found))
        for what, wanted, found in compared
        if wanted != found
    ]


def coverage(analysis: Analysis, tried: Iterable[Tried]) -> list[Covered]:
    """Say for each rule of the policy, in file order, which cases show it."""
    cases = list(tried)
    return [_covered(analysis, rule, cases) for rule in analysis.policy.rules]


def _covered(analysis: Analysis, rule: Rule, cases: Sequence[Tried]) -> Covered:
    matched, missed = [], []
    region = analysis.matches(rule)
    for case in cases:
        stretch = analysis.at(case.assessment.assessed_at)
        facts = case.assessment.facts.as_map()
        if not rule.in_force(stretch.first) or facts["purpose"] not in analysis.policy.purposes:
            continue
        if analysis.space.holds(analysis.space.point(facts) & region):
            matched.append(case.case.id)
        elif _just_missed(rule, analysis, facts):
            missed.append(case.case.id)
    return Covered(rule, tuple(matched), tuple(missed))


def _just_missed(rule: Rule, analysis: Analysis, facts: dict[str, str]) -> bool:
    """
    Whether it would match if one fact that it looks at were another, whatever the others are.

    Facts that it does not look at are left open: some values exclude each other.
    """
    region = analysis.matches(rule)
    looked_at = sorted(rule.condition.facts)
    for other in looked_at:
        same = analysis.space.tuples(
            [fact for fact in looked_at if fact != other],
            [tuple(facts[fact] for fact in looked_at if fact != other)],
        )
        if analysis.space.holds(region & same):
            return True
    return False


def _listed(codes: Iterable[str]) -> str:
    return f"[{', '.join(codes)}]"


def _written(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def uncovered(covered: Iterable[Covered]) -> list[Covered]:
    """Those rules that are not shown in both directions."""
    return [each for each in covered if not each.whole]
