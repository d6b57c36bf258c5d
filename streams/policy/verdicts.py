"""What a decision can be. A verdict is a value: never a boolean, never an exception."""

from __future__ import annotations

from dataclasses import dataclass

from streams.policy.reasons import Reason


@dataclass(frozen=True, slots=True)
class Allow:
    """Nothing objects, and ``basis`` names the rule that carries the message."""

    basis: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Never sent. ``reasons``: all that objected, severest first, at least one, none twice."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Quarantine:
    """
    Held. ``reasons`` as in :class:`Drop`.

    ``hold_until`` is the time in milliseconds from which it is decided again by itself; null where
    that depends on something else.
    """

    reasons: tuple[Reason, ...]
    hold_until: int | None = None


Verdict = Allow | Drop | Quarantine
