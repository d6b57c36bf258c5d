"""
Each rule's condition as a set of fact tuples.

A condition is taken apart where ``&&``, ``||``, ``!(...)`` and ``? :`` join its comparisons, so
that each piece looks at one or two facts; a piece is tabulated over just those, by running it. The
pieces are joined as sets in the way CEL joins booleans. What cannot be taken apart is tabulated
whole.
"""

from __future__ import annotations

import re
from itertools import product
from math import prod
from typing import Final

from streams.errors import PolicyInvalid
from streams.policy.analysis.space import FactSpace, Region
from streams.policy.conditions import Condition
from streams.policy.facts import Facts, nothing_known
from streams.policy.policy import Policy
from streams.policy.rules import Rule

MOST_COMBINATIONS: Final = 200_000
"""Of one piece: some seconds. Only a comparison of facts with each other in brackets gets there."""

_COMMENT = re.compile(r"//[^\n]*")
_SIGN = re.compile(r"[()\[\]?:]|&&|\|\|")


class Tables:
    """The conditions of one policy's rules, in one space. Pieces are tabulated once."""

    def __init__(self, policy: Policy, space: FactSpace) -> None:
        """Tabulate rules of ``policy``; its purposes must be among those of ``space``."""
        self._language = policy.language
        self._space = space
        self._values = space.facts | {"purpose": tuple(sorted(policy.purposes))}
        self._absent = nothing_known(min(policy.purposes)).as_map()
        self._pieces: dict[str, Region] = {}

    def region(self, rule: Rule) -> Region:
        """
        All tuples that ``rule`` matches, of purposes that its policy declares.

        The impossible ones are among them. Raises :class:`PolicyInvalid` where a condition does not
        answer, or looks at too many facts at once.
        """
        try:
            region = self._taken_apart(_COMMENT.sub(" ", rule.condition.text))
            if region is None:
                region = self._tabulated(rule.condition)
        except _Unanswered as unanswered:
            raise PolicyInvalid(
                f"{rule.file}:{rule.line}:1: {rule.id} cannot be analysed: {unanswered}"
            ) from None
        return region & self._space.where("purpose", self._values["purpose"])

    def _taken_apart(self, text: str) -> Region | None:
        """The set of one piece; null where it is no condition by itself."""
        text = text.strip()
        known = self._pieces.get(text)
        if known is not None:
            return known
        region = self._joined(text)
        if region is None:
            condition = self._language.condition(text)
            if isinstance(condition, list):
                return None
            region = self._tabulated(condition)
        self._pieces[text] = region
        return region

    def _joined(self, text: str) -> Region | None:
        """Join the sets of the piece's parts; null where it has none, or one is no condition."""
        signs = _outer_signs(text)
        asked = next((at for sign, at in signs if sign == "?"), None)
        if asked is not None:
            colon = next(at for sign, at in signs if sign == ":")
            parts = text[:asked], text[asked + 1 : colon], text[colon + 1 :]
            if_, then, else_ = map(self._taken_apart, parts)
            if if_ is None or then is None or else_ is None:
                return None
            return (if_ & then) | (~if_ & else_)
        for sign in ("||", "&&"):
            places = [at for each, at in signs if each == sign]
            if not places:
                continue
            starts, ends = [0, *(at + 2 for at in places)], [*places, len(text)]
            regions = [
                self._taken_apart(text[start:end]) for start, end in zip(starts, ends, strict=True)
            ]
            joined: Region | None = None
            for region in regions:
                if region is None:
                    return None
                if joined is None:
                    joined = region
                else:
                    joined = joined | region if sign == "||" else joined & region
            return joined
        if text.startswith("(") and _closes_at_end(text):
            return self._taken_apart(text[1:-1])
        rest = text[1:].lstrip()
        if text.startswith("!") and rest.startswith("(") and _closes_at_end(rest):
            inner = self._taken_apart(rest[1:-1])
            return None if inner is None else ~inner
        return None

    def _tabulated(self, condition: Condition) -> Region:
        facts = sorted(condition.facts)
        choices = [self._values[fact] for fact in facts]
        if prod(map(len, choices)) > MOST_COMBINATIONS:
            raise _Unanswered("it looks at too many facts in one bracket; split the rule")
        return self._space.tuples(
            facts,
            [
                values
                for values in product(*choices)
                if self._holds(condition, dict(zip(facts, values, strict=True)))
            ],
        )

    def _holds(self, condition: Condition, values: dict[str, str]) -> bool:
        facts = Facts.from_map(self._absent | values)
        holds = None if facts is None else condition.holds(self._language.activation(facts))
        if holds is None:
            raise _Unanswered("its condition gives no answer; write it as plain comparisons")
        return holds


class _Unanswered(Exception):
    """A condition could not be tabulated; says why and what to do."""


def _outer_signs(text: str) -> list[tuple[str, int]]:
    """The signs that stand in no bracket, with their places."""
    depth = 0
    found = []
    for match in _SIGN.finditer(text):
        sign = match.group()
        if sign in "([":
            depth += 1
        elif sign in ")]":
            depth -= 1
        elif depth == 0:
            found.append((sign, match.start()))
    return found


def _closes_at_end(text: str) -> bool:
    """Whether the bracket that ``text`` begins with is closed by its last character."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if depth == 0:
            return at == len(text) - 1
    return False
