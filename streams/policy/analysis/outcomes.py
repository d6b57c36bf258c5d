"""
What a policy makes of every fact tuple, on each of its stretches of days.

This is the verdict of :meth:`streams.policy.policy.Policy.verdict` for all facts at once, by the
same rules of combining; that the two agree is held by a property test.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import NamedTuple

from streams.policy.analysis.space import FactSpace, Region
from streams.policy.analysis.tables import Tables
from streams.policy.policy import Policy
from streams.policy.reasons import Reason
from streams.policy.rules import Rule, Then


class Stretch(NamedTuple):
    """UTC days on which the same rules are in force: from ``first`` on and before ``end``."""

    first: date | None
    end: date | None

    def words(self) -> str:
        """Say it in words, to put behind a sentence; nothing where it is all days."""
        begin = f" from {self.first}" if self.first else ""
        return begin + (f" until {self.end}" if self.end else "")


def stretches(rules: Iterable[Rule]) -> list[Stretch]:
    """Cut all days where a rule of these begins or ends, in order."""
    days = sorted({day for rule in rules for day in (rule.from_day, rule.until_day) if day})
    return [Stretch(*pair) for pair in zip([None, *days], [*days, None], strict=True)]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """
    One stretch's verdicts: sets of tuples that have nothing in common and together are all.

    All but those whose state could not be read, which every policy holds.
    """

    allowed: Region
    held: Region
    """By rules."""
    dropped: Region
    """By rules."""
    baseless: Region
    """Dropped since no rule says anything of them: NO_BASIS."""
    undeclared: Region
    """Held before any rule: PURPOSE_UNKNOWN."""


class Analysis:
    """One policy in one space: what each rule matches, and what follows."""

    def __init__(self, policy: Policy, space: FactSpace | None = None) -> None:
        """
        Tabulate every rule of ``policy``; ``space`` has at least its purposes, default just those.

        Raises :class:`streams.errors.PolicyInvalid` where a rule cannot be analysed.
        """
        self.policy = policy
        self.space = space_of(policy) if space is None else space
        self.judged: Region = (
            self.space.everything
            & self.space.where("state", ["READABLE"])
            & self.space.where("purpose", sorted(policy.purposes))
        )
        """The tuples that reach the rules."""
        tables = Tables(policy, self.space)
        # Not by id: packs of several laws may be one folder.
        self._matches = {rule: tables.region(rule) & self.judged for rule in policy.rules}

    def matches(self, rule: Rule) -> Region:
        """The tuples that reach the rules and that ``rule`` matches."""
        return self._matches[rule]

    def union(self, rules: Iterable[Rule]) -> Region:
        """The tuples that any of these rules matches."""
        region = self.space.nothing
        for rule in rules:
            region |= self._matches[rule]
        return region

    @cached_property
    def stretches(self) -> list[Stretch]:
        """The stretches of days on which different rules of the policy are in force."""
        return stretches(self.policy.rules)

    def in_force(self, stretch: Stretch) -> list[Rule]:
        """The rules in force on ``stretch``, which cuts no rule's days in two; in file order."""
        return [rule for rule in self.policy.rules if rule.in_force(stretch.first)]

    def outcomes(self, stretch: Stretch) -> Outcomes:
        """Give the verdicts on the days of ``stretch``."""
        rules = self.in_force(stretch)
        dropped = self.union(rule for rule in rules if rule.then is Then.DROP)
        held = self.union(rule for rule in rules if rule.then is Then.QUARANTINE) & ~dropped
        allowed = self.union(rule for rule in rules if rule.then is Then.ALLOW) & ~dropped & ~held
        readable = self.space.everything & self.space.where("state", ["READABLE"])
        return Outcomes(
            allowed=allowed,
            held=held,
            dropped=dropped,
            baseless=self.judged & ~allowed & ~held & ~dropped,
            undeclared=readable & ~self.judged,
        )

    def at(self, now_ms: int) -> Stretch:
        """Find the stretch in which ``now_ms`` lies."""
        day = datetime.fromtimestamp(now_ms / 1000, UTC).date()
        return next(
            stretch
            for stretch in reversed(self.stretches)
            if stretch.first is None or stretch.first <= day
        )


def space_of(*policies: Policy) -> FactSpace:
    """Lay out what a message can be under any of these policies."""
    return FactSpace(
        frozenset().union(*(policy.purposes for policy in policies)),
        frozenset().union(
            *(policy.confirming.purposes for policy in policies if policy.confirming is not None)
        ),
    )


def final(rule: Rule) -> bool:
    """Whether what ``rule`` objects to cannot pass by a reviewer's release alone."""
    return rule.then is not Then.ALLOW and not (
        rule.then is Then.QUARANTINE and _releasable(rule.reason)
    )


def _releasable(reason: Reason | None) -> bool:
    return reason is not None and reason.releasable
