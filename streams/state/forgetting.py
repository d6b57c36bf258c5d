"""
Forgetting partitions that are another gate's: their copy on disk goes a day after they left.

The copy holds people's states and wrapped data keys. Kept for ever it would be out of reach of an
erasure: the gate that has the partition now shreds the key, and this one never reads of it. Kept
for a while it spares a restore from nothing when the partition comes back, as after a restart.

Since when a partition is not this gate's is noted in the store itself, so that a restart does not
begin the day again. LMDB gives the pages back to itself and overwrites them as it needs them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from streams.state.store import Store

KEPT_MS: Final = 24 * 3600 * 1000
"""For how long. Below :data:`streams.state.restore.COPY_USABLE_MS`, after which it is of no use."""

MOST_AT_ONCE: Final = 20_000
"""Records that one step drops: some 50 ms. The loop that calls it has requests waiting."""


class Forgetting:
    """Drops what is left of partitions that are not this gate's. For the loop's thread only."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def step(self, owned: Collection[int], now_ms: int) -> int | None:
        """
        Note what has left and what is back, and drop a piece of what left a day ago.

        ``owned`` are the partitions that this gate has now, restored or not: of these nothing is
        dropped. Returns a partition of which the last was dropped. Raises
        :class:`streams.errors.StoreFull` where not even that can be written.
        """
        for partition in self._store.partitions():
            left_at = self._store.left_at(partition)
            if partition in owned:
                if left_at is not None:
                    self._store.note_left(partition, None)
            elif left_at is None:
                self._store.note_left(partition, now_ms)
            elif now_ms - left_at >= KEPT_MS:
                return partition if self._store.forget(partition, MOST_AT_ONCE) else None
        return None
