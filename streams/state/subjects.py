"""
Subject states and data keys as the gate sees them while it works on a batch.

Three layers, newest first: the *overlay* (what this batch changed, not yet committed), a bounded
cache of decoded states, the store. A transaction that fails discards the overlay, and nothing of
it is ever seen again; one that was committed moves it down.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from streams.codec.codec import RecordCodec
from streams.errors import PartitionLost, Undecodable
from streams.records.subject import SubjectKey, SubjectState, Withdrawal
from streams.state.store import PartitionWrite, Reached, Store

MOST_CACHED = 200_000
"""Decoded states kept, over all partitions. One takes about a kilobyte; a miss costs a read and a
decode of some five microseconds."""


@dataclass(slots=True)
class Overlay:
    """What a batch changed in one partition. A key of None is shredded, a state of None removed."""

    states: dict[bytes, SubjectState | None] = field(default_factory=dict)
    keys: dict[bytes, SubjectKey | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.states or self.keys)


class Subjects:
    """States and keys of the partitions that this gate owns. Not thread-safe."""

    def __init__(
        self,
        store: Store,
        states: RecordCodec[SubjectState],
        keys: RecordCodec[SubjectKey],
    ) -> None:
        self._store = store
        self._state_codec = states
        self._key_codec = keys
        self._overlays: dict[int, Overlay] = {}
        self._cache: dict[int, dict[bytes, SubjectState | None]] = {}
        self._doubts: dict[int, Withdrawal] = {}

    def doubt(self, partition: int, withdrawal: Withdrawal | None) -> None:
        """
        Take those of whom nothing is known in this partition as having said this; None: nothing.

        Set with the partition's Position, after events of it were lost for good. Those of whom
        something is known have it in their state.
        """
        self._cache.pop(partition, None)
        if withdrawal is None:
            self._doubts.pop(partition, None)
        else:
            self._doubts[partition] = withdrawal

    def _unknown(self, partition: int, subject_id: bytes) -> SubjectState | None:
        doubt = self._doubts.get(partition)
        return None if doubt is None else SubjectState(subject_id, withdrawals=(doubt,))

    def state(self, partition: int, subject_id: bytes) -> SubjectState | None:
        """
        What is known of this subject, changes of the current batch included; None: nothing, and
        nothing is in doubt (:meth:`doubt`).

        Raises :class:`PartitionLost` when there is something that cannot be read, as after going
        back to an older version: that is never taken for nothing.
        """
        overlay = self._overlays.get(partition)
        if overlay is not None:
            changed = overlay.states.get(subject_id)
            if changed is not None:
                return changed
            if subject_id in overlay.states:
                return self._unknown(partition, subject_id)
        cache = self._cache.get(partition)
        if cache is None:
            cache = self._cache[partition] = {}
        elif subject_id in cache:
            return cache[subject_id]
        raw = self._store.state(partition, subject_id)
        if raw is None:
            state = self._unknown(partition, subject_id)
        else:
            state = _read(self._state_codec, raw, partition)
        self._bound(cache)
        cache[subject_id] = state
        return state

    def states_after(
        self, partition: int, subject_id: bytes, most: int
    ) -> list[tuple[bytes, SubjectState | None]]:
        """
        Give the next committed states behind this id, as the batch has left them; not remembered.

        At most so many, in the order of the ids; b"" begins. None stands for one that cannot be
        read: whoever needs it will say so.
        """
        changed = self.changed(partition).states
        found: list[tuple[bytes, SubjectState | None]] = []
        for each, raw in self._store.states_after(partition, subject_id, most):
            state = changed.get(each)
            if state is None:
                with suppress(PartitionLost):
                    state = _read(self._state_codec, raw, partition)
            found.append((each, state))
        return found

    def key(self, partition: int, subject_id: bytes) -> SubjectKey | None:
        """The subject's data key, or None where there is none or it was shredded."""
        overlay = self._overlays.get(partition)
        if overlay is not None and subject_id in overlay.keys:
            return overlay.keys[subject_id]
        raw = self._store.key(partition, subject_id)
        return None if raw is None else _read(self._key_codec, raw, partition)

    def change(self, partition: int, state: SubjectState) -> None:
        """Put a new state into the batch's overlay."""
        self._overlay(partition).states[state.subject_id] = state

    def remove(self, partition: int, subject_id: bytes) -> None:
        """Forget with this batch that anything was known of a subject; its data key stays."""
        self._overlay(partition).states[subject_id] = None

    def change_key(self, partition: int, subject_id: bytes, key: SubjectKey | None) -> None:
        """Put a new data key into the batch's overlay; None shreds it."""
        self._overlay(partition).keys[subject_id] = key

    def _overlay(self, partition: int) -> Overlay:
        overlay = self._overlays.get(partition)
        if overlay is None:
            overlay = self._overlays[partition] = Overlay()
        return overlay

    def changed(self, partition: int) -> Overlay:
        """What the current batch changed in this partition."""
        return self._overlays.get(partition) or Overlay()

    def discard(self, partition: int) -> None:
        """Forget what the current batch changed in this partition: it was not committed."""
        self._overlays.pop(partition, None)

    def forget(self, partition: int) -> None:
        """Forget all that is in memory of a partition that is no longer, or newly, owned."""
        self._overlays.pop(partition, None)
        self._cache.pop(partition, None)

    def committed(self, reached: Mapping[int, Reached], encoded: Mapping[int, Encoded]) -> None:
        """
        Move the overlays of these partitions into the store, after their transaction committed.

        ``encoded`` holds the same states and keys as they were written to the changelog. Raises
        :class:`streams.errors.StoreFull`; then the partitions have to be restored.
        """
        self._store.write(
            PartitionWrite(
                partition, encoded[partition].states, encoded[partition].keys, reached[partition]
            )
            for partition in reached
        )
        for partition in reached:
            overlay = self._overlays.pop(partition, None)
            if overlay is not None:
                cache = self._cache.setdefault(partition, {})
                self._bound(cache)
                cache.update(overlay.states)
                for gone in [each for each, state in overlay.states.items() if state is None]:
                    # Not None: what is in doubt stands for it again.
                    del cache[gone]

    def _bound(self, cache: dict[bytes, SubjectState | None]) -> None:
        if len(cache) >= MOST_CACHED // len(self._cache):
            cache.clear()


Kept = TypeVar("Kept", SubjectState, SubjectKey)


def _read(codec: RecordCodec[Kept], raw: bytes, partition: int) -> Kept:
    try:
        return codec.decode(raw)
    except Undecodable as error:
        raise PartitionLost(
            f"A record of the state of partition {partition} cannot be read: was it written by a "
            "newer version? Start that version again."
        ) from error


@dataclass(slots=True)
class Encoded:
    """The framed records of one overlay; None where a state is removed or a key shredded."""

    states: dict[bytes, bytes | None] = field(default_factory=dict)
    keys: dict[bytes, bytes | None] = field(default_factory=dict)
