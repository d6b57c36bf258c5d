"""
Consent events of a person that cannot be read: they hold the person until they are resolved. Pure.

What such an event says is not known. It may be a withdrawal, so that nothing is allowed meanwhile.
"""

from __future__ import annotations

from typing import Final

from streams.records.drafts import replacing
from streams.records.subject import OLDER_UNDECODABLE, SubjectState
from streams.state.fold import remembered

MOST_UNDECODABLE: Final = 1_000
"""How many a subject's state names. Who is held by more goes on only when all are resolved."""

_changed: Final = replacing(SubjectState)


def mark_undecodable(
    state: SubjectState, *, offset: int, resent: bytes | None = None
) -> SubjectState:
    """
    Hold the subject: the consent event at ``offset`` is theirs and could not be read.

    ``resent`` is a digest (16 bytes) of a re-sent event and of when it was first appended: one that
    was re-sent twice holds once. Beyond :data:`MOST_UNDECODABLE` the oldest are no longer named,
    but hold the subject all the same, until :func:`resolve_all_undecodable`.
    """
    if offset in state.undecodable or (resent is not None and resent in state.applied):
        return state
    named = tuple(each for each in state.undecodable if each != OLDER_UNDECODABLE)
    older = len(named) < len(state.undecodable) or len(named) >= MOST_UNDECODABLE
    named = (*named, offset)[-MOST_UNDECODABLE:]
    applied = state.applied
    if resent is not None:
        applied = remembered(applied, resent, ahead=False)
    return _changed(
        state, undecodable=(OLDER_UNDECODABLE, *named) if older else named, applied=applied
    )


def resolve_undecodable(state: SubjectState, *, offset: int) -> SubjectState:
    """Take the hold back that :func:`mark_undecodable` put for ``offset``."""
    rest = tuple(each for each in state.undecodable if each != offset)
    return state if rest == state.undecodable else _changed(state, undecodable=rest)


def resolve_all_undecodable(state: SubjectState) -> SubjectState:
    """Take back every hold that :func:`mark_undecodable` put, also those that are not named."""
    return _changed(state, undecodable=()) if state.undecodable else state
