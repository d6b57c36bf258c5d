"""The smallest change of facts that would have allowed a message."""

from __future__ import annotations

from typing import NamedTuple

from streams.policy.analysis.outcomes import Analysis
from streams.policy.facts import Facts


class Change(NamedTuple):
    """One fact that would have to be another."""

    fact: str
    is_: str
    would_be: str


def smallest_change(analysis: Analysis, facts: Facts, now_ms: int) -> tuple[Change, ...] | None:
    """
    Find the fewest facts that would have to be others for the policy to allow the message.

    By the rules in force at ``now_ms``, among the facts that a message can have; the purpose stays
    as it is, since to call a message something else is no remedy. Empty where it is allowed; null
    where nothing of this purpose is ever allowed. Of several it is always the same.
    """
    recorded = facts.as_map()
    if facts.purpose not in analysis.policy.purposes:
        return None
    allowed = analysis.outcomes(analysis.at(now_ms)).allowed
    found = analysis.space.nearest(
        allowed & analysis.space.where("purpose", [facts.purpose]), recorded
    )
    if found is None:
        return None
    return tuple(
        Change(fact, recorded[fact], value)
        for fact, value in found.items()
        if value != recorded[fact]
    )
