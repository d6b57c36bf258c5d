"""
What one policy decides otherwise than another: how many fact tuples flip, and which rules did it.

Exact, over every tuple that a message can have. Rules of the two are the same if they have the same
id. A purpose that only one policy declares is compared as what it is under the other: held, as
PURPOSE_UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import product

from streams.policy.analysis.outcomes import Analysis, Outcomes, Stretch, space_of, stretches
from streams.policy.analysis.space import FactTuple, Region
from streams.policy.manifest import MANIFEST
from streams.policy.policy import Policy
from streams.policy.rules import Rule, Then
from streams.records.decisions import Outcome


class Side(Enum):
    """Which of the two policies: the one that is, or the one that would be."""

    BEFORE = "before"
    AFTER = "after"


class How(Enum):
    """What a rule does to a flip."""

    OBJECTS_NOW = "objects now"
    OBJECTS_NO_MORE = "objects no more"
    ALLOWS_NOW = "allows now"
    ALLOWS_NO_MORE = "allows no more"
    DECLARES = "declares the purpose"


@dataclass(frozen=True, slots=True)
class Cause:
    """
    A rule that has a part in ``count`` tuples of a flip, at its place in the policy of ``side``.

    ``rule`` is null for a policy that alone declares the purpose. Several rules may have a part in
    the same tuple. ``example`` is the tuple that says least.
    """

    side: Side
    how: How
    rule: str | None
    file: str
    line: int
    count: int
    example: FactTuple


@dataclass(frozen=True, slots=True)
class Flip:
    """The ``count`` tuples that end as ``before`` under one policy, ``after`` under the other."""

    before: Outcome
    after: Outcome
    count: int
    example: FactTuple
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """The flips on one stretch of days; ``tuples`` is how many tuples were compared."""

    stretch: Stretch
    tuples: int
    flips: tuple[Flip, ...]


@dataclass(frozen=True, slots=True)
class Diff:
    """
    Two policies compared.

    ``purposes`` are those that both declare, the others those that only one does. Each flip of each
    stage has at least one cause. ``confirm_otherwise``: they want other consents confirmed,
    or let others lapse, so that the same message has other facts under each; what that flips is
    not counted.
    """

    purposes: tuple[str, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    stages: tuple[Stage, ...]
    confirm_otherwise: bool


def diff(before: Policy, after: Policy) -> Diff:
    """
    Compare two policies. Stretches on which the same flips come about are told as one.

    Raises :class:`streams.errors.PolicyInvalid` where a rule of either cannot be analysed.
    """
    space = space_of(before, after)
    comparing = _Comparing(Analysis(before, space), Analysis(after, space))
    stages: list[Stage] = []
    for stretch in stretches((*before.rules, *after.rules)):
        stage = comparing.stage(stretch)
        if stages and stages[-1].flips == stage.flips:
            stages[-1] = replace(stages[-1], stretch=Stretch(stages[-1].stretch.first, stretch.end))
        else:
            stages.append(stage)
    return Diff(
        tuple(sorted(before.purposes & after.purposes)),
        tuple(sorted(before.purposes - after.purposes)),
        tuple(sorted(after.purposes - before.purposes)),
        tuple(stages),
        before.confirming != after.confirming or before.lapses != after.lapses,
    )


class _Comparing:
    def __init__(self, before: Analysis, after: Analysis) -> None:
        self._before = before
        self._after = after
        self._space = before.space

    def stage(self, stretch: Stretch) -> Stage:
        one, other = self._before.outcomes(stretch), self._after.outcomes(stretch)
        flips = []
        for was, is_ in product(Outcome, repeat=2):
            flipped = _ending(one, was) & _ending(other, is_)
            example = self._space.smallest(flipped)
            if was is is_ or example is None:
                continue
            causes = sorted(
                self._causes(stretch, one, other, flipped, was, is_),
                key=lambda cause: (-cause.count, cause.rule or "", cause.side.value),
            )
            flips.append(Flip(was, is_, self._space.count(flipped), example, tuple(causes)))
        readable = self._space.where("state", ["READABLE"])
        return Stage(stretch, self._space.count(readable), tuple(flips))

    def _causes(
        self,
        stretch: Stretch,
        one: Outcomes,
        other: Outcomes,
        flipped: Region,
        was: Outcome,
        is_: Outcome,
    ) -> Iterator[Cause]:
        """
        List what the flip is due to.

        What ends stricter does so by rules that newly drop or hold as it ends, or, where nothing
        speaks of it any more, by those that spoke. What ends milder does so by rules that no longer
        drop or hold as it ended; where nothing spoke of it, by those that now do.
        """
        for side, undeclared in ((Side.AFTER, one.undeclared), (Side.BEFORE, other.undeclared)):
            yield from self._cause(side, How.DECLARES, None, flipped & undeclared)
        declared = flipped & ~one.undeclared & ~other.undeclared
        if _strictness(is_) > _strictness(was):
            ruled = declared & ~other.baseless
            then = Then.DROP if is_ is Outcome.DROPPED else Then.QUARANTINE
            yield from self._speaking(Side.AFTER, stretch, ruled, (then,))
            yield from self._speaking(Side.BEFORE, stretch, declared & other.baseless, tuple(Then))
        else:
            ruled = declared & ~one.baseless
            then = Then.DROP if was is Outcome.DROPPED else Then.QUARANTINE
            yield from self._speaking(Side.BEFORE, stretch, ruled, (then,))
            yield from self._speaking(Side.AFTER, stretch, declared & one.baseless, tuple(Then))

    def _speaking(
        self, side: Side, stretch: Stretch, flipped: Region, thens: Collection[Then]
    ) -> Iterator[Cause]:
        """
        List the rules of ``side`` that say one of ``thens`` of these tuples.

        That the other policy does not say the same of them follows from how they flip.
        """
        policy = self._after if side is Side.AFTER else self._before
        for rule in policy.in_force(stretch):
            if rule.then in thens:
                yield from self._cause(
                    side, _how(side, rule.then), rule, policy.matches(rule) & flipped
                )

    def _cause(self, side: Side, how: How, rule: Rule | None, region: Region) -> Iterator[Cause]:
        example = self._space.smallest(region)
        if example is not None:
            yield Cause(
                side,
                how,
                rule.id if rule else None,
                rule.file if rule else MANIFEST,
                rule.line if rule else 1,
                self._space.count(region),
                example,
            )


def _how(side: Side, then: Then) -> How:
    match then:
        case Then.ALLOW:
            return How.ALLOWS_NOW if side is Side.AFTER else How.ALLOWS_NO_MORE
        case Then.DROP | Then.QUARANTINE:
            return How.OBJECTS_NOW if side is Side.AFTER else How.OBJECTS_NO_MORE


def _ending(outcomes: Outcomes, outcome: Outcome) -> Region:
    match outcome:
        case Outcome.ALLOWED:
            return outcomes.allowed
        case Outcome.QUARANTINED:
            return outcomes.held | outcomes.undeclared
        case Outcome.DROPPED:
            return outcomes.dropped | outcomes.baseless


def _strictness(outcome: Outcome) -> int:
    return (Outcome.ALLOWED, Outcome.QUARANTINED, Outcome.DROPPED).index(outcome)
