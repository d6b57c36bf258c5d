"""What is wrong with a policy that can be loaded, and what is at least odd: with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum
from itertools import combinations

from streams.policy.analysis.outcomes import Analysis, Stretch, final
from streams.policy.analysis.space import FactTuple, Region
from streams.policy.analysis.unlisted import unlisted
from streams.policy.documents import Document
from streams.policy.manifest import MANIFEST, Manifest
from streams.policy.mistakes import Mistakes
from streams.policy.rules import Rule, Then


class FindingKind(Enum):
    """What was found. The first two are mistakes, the others only warn."""

    NEVER_MATCHES = "never-matches"
    CONTRADICTORY_HOLDS = "contradictory-holds"
    SUPERFLUOUS = "superfluous"
    GAP = "gap"
    UNLISTED = "unlisted"

    @property
    def mistake(self) -> bool:
        """Whether the policy certainly does not say what was meant."""
        return self in (FindingKind.NEVER_MATCHES, FindingKind.CONTRADICTORY_HOLDS)


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing found, on the UTC days from ``first`` on and before ``end``; null: no limit.

    ``rules`` are the ids that it is about, the one at ``file`` and ``line`` first; none for a gap.
    ``count`` is the number of fact tuples concerned and ``example`` the one that says least; 0 and
    null where no message can have one, and for what is not listed, which is about all messages.
    """

    kind: FindingKind
    file: str
    line: int
    rules: tuple[str, ...]
    what: str
    remedy: str
    count: int = 0
    example: FactTuple | None = None
    first: date | None = None
    end: date | None = None


def findings(analysis: Analysis) -> list[Finding]:
    """
    Analyse a policy: exact. Mistakes first, then in the order of their places.

    What is so on several adjoining stretches of days is said once.
    """
    found = [*_never_match(analysis), *_unlisted(analysis)]
    for stretch in analysis.stretches:
        rules = [
            rule
            for rule in analysis.in_force(stretch)
            if analysis.space.holds(analysis.matches(rule))
        ]
        here = [
            *_contradictory(analysis, rules),
            *_superfluous(analysis, rules),
            *_gaps(analysis, stretch),
        ]
        found = _joined(found, here, stretch)
    order = [rule.file for rule in analysis.policy.rules]
    return sorted(
        found,
        key=lambda each: (
            not each.kind.mistake,
            order.index(each.file) if each.file in order else -1,
            each.line,
            each.first or date.min,
        ),
    )


def _joined(before: list[Finding], here: list[Finding], stretch: Stretch) -> list[Finding]:
    """Add what was found on ``stretch``, prolonging what was the same on the days before it."""
    joined = list(before)
    for finding in here:
        earlier = replace(finding, end=stretch.first)
        for place, other in enumerate(joined):
            if stretch.first is not None and replace(other, first=None) == earlier:
                joined[place] = replace(other, end=stretch.end)
                break
        else:
            joined.append(replace(finding, first=stretch.first, end=stretch.end))
    return joined


def _never_match(analysis: Analysis) -> Iterator[Finding]:
    for rule in analysis.policy.rules:
        if not analysis.space.holds(analysis.matches(rule)):
            yield Finding(
                FindingKind.NEVER_MATCHES,
                rule.file,
                rule.line,
                (rule.id,),
                f"{rule.id} can never match: no message has such facts",
                "mend its condition, or take the rule out",
            )


def _unlisted(analysis: Analysis) -> Iterator[Finding]:
    for each in unlisted(analysis):
        first, *more = each.rules
        others = f" and {len(more)} more rule{'s' * (len(more) > 1)} look" if more else " looks"
        where = "" if each.laws is None else f" under {' and '.join(law.name for law in each.laws)}"
        yield Finding(
            FindingKind.UNLISTED,
            first.file,
            first.line,
            tuple(rule.id for rule in each.rules),
            f"{first.id}{others} at {each.fact}, but{where} {each.what}",
            f"{each.remedy}, or leave it at that",
        )


def _contradictory(analysis: Analysis, rules: list[Rule]) -> Iterator[Finding]:
    objecting = [rule for rule in rules if rule.then is not Then.ALLOW]
    for one, other in combinations(objecting, 2):
        if one.reason is not other.reason or one.then is other.then:
            continue
        both = analysis.matches(one) & analysis.matches(other)
        count = analysis.space.count(both)
        if count:
            yield Finding(
                FindingKind.CONTRADICTORY_HOLDS,
                other.file,
                other.line,
                (other.id, one.id),
                f"{other.id} would {other.then.value} for {_code(other)} what {one.id} "
                f"({one.file}:{one.line}) would {one.then.value} for it",
                "let both do the same, or let their conditions exclude each other",
                count,
                analysis.space.smallest(both),
            )


def _superfluous(analysis: Analysis, rules: list[Rule]) -> Iterator[Finding]:
    """
    Find rules without which no verdict would be another, reasons and basis included.

    Looked at from the last to the first, each against those that stay: all that are found could be
    taken out together.
    """
    staying = list(rules)
    for rule in reversed(rules):
        others = [other for other in staying if other is not rule]
        covering = (
            _allowed_before(analysis, rule, others)
            if rule.then is Then.ALLOW
            else _said_by_others(analysis, rule, others)
        )
        if covering is None:
            continue
        staying = others
        by, how = covering
        yield Finding(
            FindingKind.SUPERFLUOUS,
            rule.file,
            rule.line,
            (rule.id, *(other.id for other in by)),
            f"{rule.id} is superfluous: {how}",
            "take it out, or make it say what the others do not",
            analysis.space.count(analysis.matches(rule)),
            analysis.space.smallest(analysis.matches(rule)),
        )


_Covering = tuple[list[Rule], str]


def _said_by_others(analysis: Analysis, rule: Rule, others: list[Rule]) -> _Covering | None:
    """Whether others give its reason wherever it does, and drop wherever it drops."""
    mine = analysis.matches(rule)
    same = [other for other in others if other.reason is rule.reason]
    dropping = [other for other in others if other.then is Then.DROP]
    for other in same:
        enough = rule.then is Then.QUARANTINE or other.then is Then.DROP
        if enough and _within(analysis, mine, analysis.matches(other)):
            return [other], f"wherever it matches, {_named(other)} gives {_code(rule)} too"
    if not _within(analysis, mine, analysis.union(same)):
        return None
    if rule.then is Then.DROP and not _within(analysis, mine, analysis.union(dropping)):
        return None
    by = _needed(analysis, mine, same)
    return by, f"wherever it matches, one of {_names(by)} gives {_code(rule)} too"


def _allowed_before(analysis: Analysis, rule: Rule, others: list[Rule]) -> _Covering | None:
    """Whether what it allows is allowed by a rule before it, or finally objected to."""
    mine = analysis.matches(rule)
    all_rules = analysis.policy.rules
    place = all_rules.index(rule)
    before = [
        other for other in others if other.then is Then.ALLOW and all_rules.index(other) < place
    ]
    objecting = [other for other in others if final(other)]
    for other in before:
        if _within(analysis, mine, analysis.matches(other)):
            return [other], f"{_named(other)} stands before it and allows whatever it allows"
    if _within(analysis, mine, analysis.union(objecting)):
        by = _needed(analysis, mine, objecting)
        return by, f"whatever it allows, {_names(by)} object{'s' * (len(by) == 1)} to"
    if _within(analysis, mine, analysis.union([*before, *objecting])):
        by = _needed(analysis, mine, [*before, *objecting])
        return by, f"{_names(by)} allow before it or object to whatever it allows"
    return None


def _gaps(analysis: Analysis, stretch: Stretch) -> Iterator[Finding]:
    baseless = analysis.outcomes(stretch).baseless
    lines = _lines_of_purposes(analysis)
    for purpose in analysis.space.facts["purpose"]:
        here = baseless & analysis.space.where("purpose", [purpose])
        count = analysis.space.count(here)
        if count:
            of_all = analysis.space.count(
                analysis.judged & analysis.space.where("purpose", [purpose])
            )
            yield Finding(
                FindingKind.GAP,
                MANIFEST,
                lines[purpose],
                (),
                f"no rule speaks of {count:,} of the {of_all:,} fact tuples of {purpose}: they are "
                "dropped for NO_BASIS",
                "let a rule object to them, or leave it at that",
                count,
                analysis.space.smallest(here),
            )


def _lines_of_purposes(analysis: Analysis) -> dict[str, int]:
    files, unused = analysis.policy.files, Mistakes("")
    return Manifest(Document(MANIFEST, files[MANIFEST], unused), files, unused).purpose_lines


def _within(analysis: Analysis, region: Region, other: Region) -> bool:
    return not analysis.space.holds(region & ~other)


def _needed(analysis: Analysis, region: Region, rules: Iterable[Rule]) -> list[Rule]:
    """Some of ``rules`` that cover ``region``, none of which can be spared; in their order."""
    needed = list(rules)
    for rule in list(needed):
        rest = [other for other in needed if other is not rule]
        if _within(analysis, region, analysis.union(rest)):
            needed = rest
    return needed


def _code(rule: Rule) -> str:
    return rule.reason.value if rule.reason else ""


def _named(rule: Rule) -> str:
    return f"{rule.id} ({rule.file}:{rule.line})"


def _names(rules: list[Rule]) -> str:
    return " and ".join(map(_named, rules))
