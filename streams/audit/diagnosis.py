"""
What happened where a chain does not go on: the record there, judged by its neighbours.

Pure. Between a record and the one before it that do not fit, one alone does not tell which is at
fault: the records after it do, or a signature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from streams.audit.chain import Link, Unreadable

NEIGHBOURS = 64
"""How many records on either side are looked at. More than that added or moved at once is still
found, but named by the first record that does not fit, and possibly as another kind of damage."""


class Damage(Enum):
    """What happened to a chain."""

    CHANGED = "changed"
    REMOVED = "removed"
    ADDED = "added"
    MOVED = "moved"
    UNSIGNED = "unsigned"
    """The end of the chain carries no signature: it was cut off, or something was added to it."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Which record is at fault, and why; ``why`` goes on after "sequence N was changed:"."""

    damage: Damage
    offset: int
    sequence: int
    why: str


@dataclass(frozen=True, slots=True)
class Neighbours:
    """
    What stands around a break.

    ``passed`` held until here, oldest first; ``following`` come after the record at the break.
    ``sequence`` and ``previous`` are what should have come there; no ``previous``: unknown.
    """

    passed: tuple[Link, ...]
    following: tuple[Link | Unreadable, ...]
    sequence: int
    previous: bytes | None
    signed_by: Callable[[bytes, bytes], str | None]

    @property
    def before(self) -> Link | None:
        """The last record that held."""
        return self.passed[-1] if self.passed else None

    @property
    def links(self) -> tuple[Link, ...]:
        """Those that follow and can be read."""
        return tuple(link for link in self.following if isinstance(link, Link))

    def awaited_later(self) -> Link | None:
        """Give the record that should have come, if it comes later."""
        return next(
            (
                link
                for link in self.links
                if link.sequence == self.sequence
                and (self.previous is None or link.previous == self.previous)
            ),
            None,
        )

    def goes_on_behind(self) -> bool:
        """Whether the next record is the one that belongs after the awaited one."""
        after = self.following[0] if self.following else None
        return isinstance(after, Link) and after.sequence == self.sequence + 1

    def confirm(self, link: Link) -> bool:
        """Whether the record behind it, or its signature, says that it is as it was written."""
        after = self.following[0] if self.following else None
        if isinstance(after, Link) and _follows(after, link):
            return True
        return link.signature is not None and self.signed_by(link.hash, link.signature) is not None


def diagnose(link: Link | Unreadable, around: Neighbours) -> Diagnosis:
    """Tell what happened at ``link``, the first record of a chain that is not as expected."""
    if isinstance(link, Unreadable):
        return _unreadable(link, around)
    if link.previous == around.previous:
        if around.awaited_later() is not None:
            return _does_not_belong(link, around)
        return Diagnosis(
            Damage.CHANGED,
            link.offset,
            around.sequence,
            f"it follows the one before it, but says that its sequence is {link.sequence}",
        )
    if link.sequence > around.sequence:
        return _too_far(link, around)
    if link.sequence < around.sequence:
        return _behind(link, around)
    return _wrong_hash(link, around)


def _unreadable(link: Unreadable, around: Neighbours) -> Diagnosis:
    next_readable = next(iter(around.links), None)
    if around.before is None and around.previous is None and next_readable is not None:
        # The walk begins here, in the middle of a chain: only what follows tells where.
        return Diagnosis(
            Damage.CHANGED,
            link.offset,
            max(next_readable.sequence - 1, 0),
            "it cannot be read as a record of this topic",
        )
    if around.awaited_later() is not None:
        return Diagnosis(
            Damage.ADDED, link.offset, around.sequence, "it is no record that the gate writes"
        )
    return Diagnosis(
        Damage.CHANGED, link.offset, around.sequence, "it cannot be read as a record of this topic"
    )


def _too_far(link: Link, around: Neighbours) -> Diagnosis:
    if around.awaited_later() is not None:
        if _belongs_behind(link, around.links):
            return Diagnosis(
                Damage.MOVED,
                link.offset,
                link.sequence,
                f"it stands before sequence {around.sequence}, which it comes after",
            )
        return _does_not_belong(link, around)
    if around.goes_on_behind():
        return Diagnosis(
            Damage.CHANGED,
            link.offset,
            around.sequence,
            f"it says that its sequence is {link.sequence}",
        )
    count = link.sequence - around.sequence
    which = "it is" if count == 1 else f"it and the {count - 1} after it are"
    before = around.before
    where = f"after offset {before.offset}" if before is not None else "at the beginning"
    return Diagnosis(
        Damage.REMOVED,
        link.offset,
        around.sequence,
        f"{which} missing {where}, where sequence {link.sequence} comes instead",
    )


def _behind(link: Link, around: Neighbours) -> Diagnosis:
    # Forged records may be linked to each other: look for where this one fits instead of them.
    forged = next(
        (
            passed
            for passed in around.passed
            if passed.sequence == link.sequence
            and passed.previous == link.previous
            and passed.hash != link.hash
        ),
        None,
    )
    if forged is not None and around.confirm(link):
        return Diagnosis(
            Damage.ADDED,
            forged.offset,
            forged.sequence,
            f"the gate's own record with that sequence stands at offset {link.offset}",
        )
    if around.goes_on_behind():
        return Diagnosis(
            Damage.CHANGED,
            link.offset,
            around.sequence,
            f"it says that its sequence is {link.sequence}",
        )
    return _does_not_belong(link, around)


def _wrong_hash(link: Link, around: Neighbours) -> Diagnosis:
    before = around.before
    if around.awaited_later() is not None:
        return _does_not_belong(link, around)
    if before is not None and before.signature is None and around.confirm(link):
        return Diagnosis(
            Damage.CHANGED,
            before.offset,
            before.sequence,
            "its hash is not the one that the next record carries",
        )
    if before is not None and link.signature is None and not around.following:
        return _does_not_belong(link, around)
    return Diagnosis(
        Damage.CHANGED,
        link.offset,
        link.sequence,
        "it does not carry the hash of the one before it",
    )


def _does_not_belong(link: Link, around: Neighbours) -> Diagnosis:
    return Diagnosis(
        Damage.ADDED,
        link.offset,
        link.sequence,
        f"it does not belong before sequence {around.sequence}"
        if around.following
        else f"it does not belong after sequence {around.sequence - 1}",
    )


def _belongs_behind(link: Link, following: tuple[Link, ...]) -> bool:
    """Whether a record that came too early is missing further on, where its neighbours stand."""
    if any(other.sequence == link.sequence for other in following):
        return False
    return any(_follows(link, other) or _follows(other, link) for other in following)


def _follows(later: Link, earlier: Link) -> bool:
    return later.sequence == earlier.sequence + 1 and later.previous == earlier.hash
