"""
Sets of fact tuples, as decision diagrams.

A fact with *k* values takes the bits that number *k* values need; which bit patterns mean no value
is part of :attr:`FactSpace.everything`. Diagrams are canonical, so that two sets are compared in no
time, and counting is exact. The library is OxiDD.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import product
from typing import Final, TypeAlias

from oxidd.bdd import BDDFunction, BDDManager

from streams.policy.analysis.possible import DEPENDENCIES
from streams.policy.facts import VOCABULARY, nothing_known

Region: TypeAlias = BDDFunction
"""A set of fact tuples of one :class:`FactSpace`: ``&``, ``|`` and ``~`` as of sets."""

FactTuple: TypeAlias = dict[str, str]
"""One tuple: every fact's name with its value's name, as a decision records them."""

_NODES: Final = 1 << 20
_CACHED: Final = 1 << 18
"""Bounds of the library, some 20 MB. The default policy makes 70,000 nodes, one ten times as large
80,000. At the bound the library raises: too few would end an analysis and never falsify it."""


class FactSpace:
    """
    All fact tuples that a message with one of these purposes can have.

    ``facts`` are the names of all facts with the names of their values: first the one that is so
    where nothing is known (:func:`streams.policy.facts.nothing_known`).
    """

    def __init__(self, purposes: Collection[str], confirmed: Collection[str] = ()) -> None:
        """
        Lay out the space for messages of ``purposes``, at least one.

        ``confirmed`` are those whose consents may have to be confirmed: no other's can be pending.
        """
        absent = nothing_known("").as_map()
        self.facts: dict[str, tuple[str, ...]] = {"purpose": tuple(sorted(purposes))}
        for fact, kind in VOCABULARY.items():
            others = [value for value in kind.__members__ if value != absent[fact]]
            self.facts[fact] = (absent[fact], *others)
        widths = {fact: max(1, (len(of) - 1).bit_length()) for fact, of in self.facts.items()}
        self._bits = sum(widths.values())
        self._diagrams = BDDManager(_NODES, _CACHED, 1)
        self._diagrams.add_vars(self._bits)
        self.nothing: Region = self._diagrams.false()
        self._values: dict[tuple[str, str], Region] = {}
        first = 0
        for fact, values in self.facts.items():
            for code, value in enumerate(values):
                self._values[fact, value] = self._pattern(first, widths[fact], code)
            first += widths[fact]
        everything = self._diagrams.true()
        for fact, values in self.facts.items():
            everything &= self.where(fact, values)
        for dependency in DEPENDENCIES:
            choices = (self.facts[fact] for fact in dependency.facts)
            everything &= self.tuples(
                dependency.facts, (each for each in product(*choices) if dependency.holds(*each))
            )
        pending = self.where("consent", ["PENDING"])
        everything &= ~pending | self.where("purpose", sorted(confirmed))
        self.everything: Region = everything
        """Every tuple that a message can have."""
        self._absent = tuple(absent[fact] for fact in VOCABULARY)
        self._from_absent = self._by_distance(self._absent)

    def where(self, fact: str, values: Iterable[str]) -> Region:
        """All tuples whose ``fact`` has one of these values, the impossible ones too."""
        region = self.nothing
        for value in values:
            region |= self._values[fact, value]
        return region

    def tuples(self, facts: Collection[str], combinations: Iterable[tuple[str, ...]]) -> Region:
        """All tuples in which ``facts`` have one of the combinations, the impossible ones too."""
        region = self.nothing
        for combination in combinations:
            one = self._diagrams.true()
            for fact, value in zip(facts, combination, strict=True):
                one &= self._values[fact, value]
            region |= one
        return region

    def count(self, region: Region) -> int:
        """How many tuples that a message can have are in ``region``: exact."""
        self._make_room()
        return (region & self.everything).sat_count(self._bits)

    def holds(self, region: Region) -> bool:
        """Whether a message can have any tuple of ``region``."""
        self._make_room()
        return (region & self.everything).satisfiable()

    def smallest(self, region: Region) -> FactTuple | None:
        """
        Find the tuple of ``region`` that a message can have and that says the least.

        That is one in which the fewest facts are other than where nothing is known; the purpose
        does not count. Among several it is always the same one. Null where there is none.
        """
        return self.nearest(region, nothing_known("").as_map())

    def nearest(self, region: Region, to: Mapping[str, str]) -> FactTuple | None:
        """Find the tuple of ``region`` with the fewest facts other than in ``to``; as above."""
        self._make_room()
        rest = region & self.everything
        if not rest.satisfiable():
            return None
        values = tuple(to[fact] for fact in VOCABULARY)
        distances = self._from_absent if values == self._absent else self._by_distance(values)
        for others in distances:
            if (rest & others).satisfiable():
                rest &= others
                break
        chosen: FactTuple = {}
        for fact, of in self.facts.items():
            for value in sorted(of, key=lambda value: value != to[fact]):
                if (rest & self._values[fact, value]).satisfiable():
                    rest &= self._values[fact, value]
                    chosen[fact] = value
                    break
        return chosen

    def point(self, facts: Mapping[str, str]) -> Region:
        """Give the set of this one tuple."""
        return self.tuples(tuple(facts), [tuple(facts.values())])

    def _make_room(self) -> None:
        """
        Collect nodes that nothing refers to any more, before the bound is near.

        The library collects in a thread of its own, and raises where that comes too late, as on a
        busy machine. About 10 ms for 300,000 nodes.
        """
        if self._diagrams.approx_num_inner_nodes() > _NODES // 2:
            self._diagrams.gc()

    def _pattern(self, first: int, width: int, code: int) -> Region:
        pattern = self._diagrams.true()
        for place in range(width):
            bit = first + place
            on = code >> place & 1
            pattern &= self._diagrams.var(bit) if on else self._diagrams.not_var(bit)
        return pattern

    def _by_distance(self, to: tuple[str, ...]) -> tuple[Region, ...]:
        """
        The tuples with no fact other than in ``to``, with one, with two, and so on.

        Over a thousand diagram nodes: who asks about message after message must not keep them.
        """
        at = [self._diagrams.true()] + [self.nothing] * len(VOCABULARY)
        # From the diagrams' last bits up: so each step puts nodes on top and copies none.
        for fact, value in zip(reversed(VOCABULARY), reversed(to), strict=True):
            same = self._values[fact, value]
            at = [
                (here & same) | (before & ~same)
                for before, here in zip([self.nothing, *at], at, strict=False)
            ]
        return tuple(at)
