"""
Restoring a partition: from its changelog into the store, until its position is there.

Two topics are read, ``subjects.state`` (states and the Position) and ``subjects.keys``. The store's
own copy is used when it was written in this boot, lies in the changelog's past and is younger than
half of the time that tombstones are kept; else the partition is built from the beginning. Reading
again what was applied already changes nothing, so an interrupted catch-up simply goes on; an
interrupted rebuild starts anew, because its position is written last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from streams.errors import PartitionLost
from streams.records.subject import POSITION_KEY
from streams.state.log_reader import At, LogReader
from streams.state.store import PartitionWrite, Reached, Store

COPY_USABLE_MS: Final = 3 * 24 * 3600 * 1000
"""An older copy is rebuilt. Tombstones are kept for 7 days: one that was compacted away while the
copy lay idle would leave a shredded key in it. Half of 7 days leaves room for clocks."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A partition of a compacted topic, from its first offset to its high watermark."""

    at: At
    low: int
    high: int


class Restore:
    """One partition on its way. Drive it with :meth:`step` until it says that it is done."""

    def __init__(
        self,
        partition: int,
        *,
        store: Store,
        reader: LogReader,
        changelog: Extent,
        keys: Extent,
        now_ms: int,
    ) -> None:
        """
        Begin to read. The extents are the ones read *after* the group's stable offsets.

        Blocks while the partition's old copy is dropped, if it is.
        """
        self.partition = partition
        self._store = store
        self._reader = reader
        self._extents = (changelog, keys)
        self._now_ms = now_ms
        self.records = 0
        copy = store.reached(partition)
        usable = (
            copy is not None
            and changelog.low <= copy.changelog_next <= changelog.high
            and keys.low <= copy.keys_next <= keys.high
            and 0 <= now_ms - copy.saved_at < COPY_USABLE_MS
        )
        self.rebuilt = not usable
        if copy is not None and usable:
            self._position: bytes | None = copy.position
            starts = (copy.changelog_next, copy.keys_next)
        else:
            # Also what a rebuild left that was cut off: a key in it may have been shredded since.
            store.forget(partition)
            self._position = None
            starts = (changelog.low, keys.low)
        self.total = sum(e.high - start for e, start in zip(self._extents, starts, strict=True))
        reader.start({e.at: start for e, start in zip(self._extents, starts, strict=True)})

    def step(self, report: Callable[[int, int], None] = lambda done, total: None) -> bool:
        """
        Move what the reader has fetched into the store; true when all of it is there.

        Does not wait: the caller fetches. ``report`` is told how many offsets of how many are done.
        Raises :class:`PartitionLost` when the changelog cannot be read to its end, or holds
        committed records and no Position.
        """
        changelog, keys = self._extents
        write = PartitionWrite(self.partition)
        states, shredded = dict(write.states), dict(write.keys)
        for extent, into in ((changelog, states), (keys, shredded)):
            fault = self._reader.fault(extent.at)
            if fault is not None:
                raise PartitionLost(
                    f"{extent.at.topic} partition {extent.at.partition} cannot be read "
                    f"({fault.name()}): the state cannot be restored."
                )
            for message in self._reader.take_below(extent.at, extent.high):
                self.records += 1
                key = message.key()
                if key is None:
                    continue
                if extent is changelog and key == POSITION_KEY:
                    self._position = message.value() or self._position
                else:
                    into[key] = message.value()
        done = all(self._reader.reached(extent.at, extent.high) for extent in self._extents)
        if done:
            if self._position is not None:
                reached = Reached(self._position, changelog.high, keys.high, self._now_ms)
                self._store.write([PartitionWrite(self.partition, states, shredded, reached)])
            elif self.records or changelog.low:
                raise PartitionLost(
                    f"{changelog.at.topic} partition {changelog.at.partition} holds records but no "
                    "position: it was not written by a gate, or was truncated."
                )
            self._reader.stop([extent.at for extent in self._extents])
            report(self.total, self.total)
        elif states or shredded:
            self._store.write([PartitionWrite(self.partition, states, shredded)])
            left = sum(
                max(0, extent.high - self._reader.next_fetch(extent.at)) for extent in self._extents
            )
            report(self.total - left, self.total)
        return done

    @property
    def position(self) -> bytes | None:
        """
        The framed Position, once :meth:`step` has returned true.

        None where nothing was ever committed to the changelog: a first start, even if a first
        transaction was aborted and left its bytes there.
        """
        return self._position

    def abandon(self) -> None:
        """Stop reading: the partition was taken away."""
        self._reader.stop([extent.at for extent in self._extents])
