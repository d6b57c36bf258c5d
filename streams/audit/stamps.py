"""What a decision stamps, and which stamps cannot be right: they only grow in a partition."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from streams.records.decisions import SmsDecision

_LOOKED_AHEAD: Final = 2
"""Decisions that are read before one is derived. With one it could not be told which of two that
contradict each other is wrong."""

_NONE_AHEAD: Final[frozenset[str]] = frozenset()


def _stamps(decision: SmsDecision) -> dict[str, int]:
    """What only grows from one decision to the next."""
    stamped = {
        "consent_offset": decision.consent_offset,
        "contacts_offset": decision.contacts_offset,
        **decision.broadcast_offsets,
    }
    if decision.attempt == 0:
        stamped["request_offset"] = decision.request_offset
    return stamped


def with_ahead(
    decisions: Iterable[tuple[int, SmsDecision]],
) -> Iterator[tuple[int, SmsDecision, frozenset[str]]]:
    """
    Give with each decision which of its stamps are ahead of those of both that follow.

    They cannot be right. Folded up to one of them, the state of every later decision would be
    wrong too, and one changed record would look like many.
    """
    waiting: deque[tuple[int, SmsDecision, dict[str, int]]] = deque()

    def ahead() -> tuple[int, SmsDecision, frozenset[str]]:
        offset, decision, stamped = waiting.popleft()
        following = [each for _, _, each in waiting]
        if all(each == stamped for each in following):
            return offset, decision, _NONE_AHEAD
        wrong = (
            name
            for name, at in stamped.items()
            if following and all(at > each.get(name, at) for each in following)
        )
        return offset, decision, frozenset(wrong)

    for offset, decision in decisions:
        waiting.append((offset, decision, _stamps(decision)))
        if len(waiting) > _LOOKED_AHEAD:
            yield ahead()
    while waiting:
        yield ahead()
