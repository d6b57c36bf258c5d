"""
Forgetting what has run out: traces of uploads, and with them the numbers of which nothing else is
known.

A trace counts for nothing from the moment it ends, but the number's keyed hash would stand in the
changelog for as long as nobody writes or uploads it again: mostly for ever. So each partition is
gone through again and again, a few states at a time, and what has ended is taken out; a state in
which nothing is left becomes a tombstone.
"""

from __future__ import annotations

from typing import Final

from streams.state.fold_contacts import without_what_ran_out
from streams.state.subjects import Subjects

MOST_LOOKED_AT: Final = 200
"""States of a partition looked at in one turn: a millisecond. With a turn a second a million of
them are gone through in an hour and a half; more would hold up requests."""


class RunningOut:
    """Goes through the partitions that this gate owns. For the loop's thread only."""

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects
        self._looked_at: dict[int, bytes] = {}

    def step(self, partition: int, now_ms: int) -> int:
        """
        Look at the next states of a partition; put what has changed into the batch's overlay.

        Returns how many have. At the end it begins anew with the next call.
        """
        after = self._looked_at.pop(partition, b"")
        found = self._subjects.states_after(partition, after, MOST_LOOKED_AT)
        changed = 0
        for subject_id, state in found:
            if state is None:
                continue
            left = without_what_ran_out(state, now_ms)
            if left is None:
                self._subjects.remove(partition, subject_id)
            elif left is not state:
                self._subjects.change(partition, left)
            changed += left is not state
        if len(found) == MOST_LOOKED_AT:
            self._looked_at[partition] = found[-1][0]
        return changed
