"""The smallest change of facts that would have allowed a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from streams.policy.analysis.outcomes import Analysis
from streams.policy.analysis.space import Region
from streams.policy.facts import Facts
from streams.policy.vocabulary import Jurisdiction


class Change(NamedTuple):
    """One fact that would have to be another."""

    fact: str
    is_: str
    would_be: str


def smallest_change(analysis: Analysis, facts: Facts, now_ms: int) -> tuple[Change, ...] | None:
    """
    Find the fewest facts that would have to be others for the policy to allow the message.

    By the rules in force at ``now_ms``, among the facts that a message can have; the purpose stays
    as it is, since to call a message something else is no remedy. No fact would become UNREAD where
    the policy has its register: to look away is none either. Empty where it is allowed; null where
    nothing of this purpose is ever allowed. Of several it is always the same.
    """
    recorded = facts.as_map()
    if facts.purpose not in analysis.policy.purposes:
        return None
    allowed = analysis.outcomes(analysis.at(now_ms)).allowed
    found = analysis.space.nearest(
        allowed
        & analysis.space.where("purpose", [facts.purpose])
        & _looked_at(analysis, facts.purpose, recorded),
        recorded,
    )
    if found is None:
        return None
    return tuple(
        Change(fact, recorded[fact], value)
        for fact, value in found.items()
        if value != recorded[fact]
    )


def _looked_at(analysis: Analysis, purpose: str, recorded: Mapping[str, str]) -> Region:
    """The tuples in which a fact of the text is UNREAD only without a register, or as recorded."""
    space = analysis.space
    region = space.nothing
    for law in Jurisdiction:
        here = analysis.policy.registers.under(law)
        listed = {
            "links": here.links is not None,
            "sender": here.senders is not None,
            "opt_out": here.opt_out is not None and purpose in here.opt_out.purposes,
        }
        under = space.where("jurisdiction", [law.name])
        for fact, known in listed.items():
            if known and recorded[fact] != "UNREAD":
                under &= ~space.where(fact, ["UNREAD"])
        region |= under
    return region
