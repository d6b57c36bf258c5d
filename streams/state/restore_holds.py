"""Restoring what is held: from ``sms.quarantined``, the table of holds, into memory and store."""

from __future__ import annotations

from typing import Final

from streams.codec.codec import RecordCodec
from streams.errors import PartitionLost, Undecodable
from streams.records.decisions import QuarantinedSms
from streams.state.holds import Holds, held_of
from streams.state.log_reader import LogReader
from streams.state.restore import Extent
from streams.state.store import Store

READ_AT_ONCE: Final = 2_000
"""Records in one step, some 20 ms: the loop must go on turning."""


class RestoreHolds:
    """One partition's holds on their way. Drive it with :meth:`step` until it says it is done."""

    def __init__(
        self,
        partition: int,
        *,
        holds: Holds,
        store: Store,
        reader: LogReader,
        quarantined: Extent,
        codec: RecordCodec[QuarantinedSms],
    ) -> None:
        """Begin with nothing: what the store has of them may be of another time."""
        self._partition = partition
        self._store = store
        self._reader = reader
        self._extent = quarantined
        self._codec = codec
        self._retention_ms = holds.retention_ms
        self._waiting = holds.begin(partition)
        store.forget_holds(partition)
        reader.start({quarantined.at: quarantined.low})

    def step(self) -> bool:
        """
        Take in what the reader has fetched; true when all of it is there. Does not wait.

        Raises :class:`PartitionLost` when it cannot be read, and
        :class:`streams.errors.StoreFull`.
        """
        extent = self._extent
        fault = self._reader.fault(extent.at)
        if fault is not None:
            raise PartitionLost(
                f"{extent.at.topic} partition {extent.at.partition} cannot be read "
                f"({fault.name()}): what is held is not known."
            )
        changes: dict[int, bytes | None] = {}
        for message in self._reader.take_below(extent.at, extent.high, READ_AT_ONCE):
            key, value = message.key(), message.value()
            if not isinstance(key, bytes):
                continue
            offset = int(key.rpartition(b"-")[2])
            changes[offset] = value
            if value is None:
                self._waiting.remove(offset)
                continue
            try:
                record = self._codec.decode(value)
            except Undecodable as error:
                raise PartitionLost(
                    f"A hold in {extent.at.topic} partition {extent.at.partition} cannot be read: "
                    "was it written by a newer version? Start that version again."
                ) from error
            self._waiting.add(held_of(record, self._retention_ms))
        if changes:
            self._store.change_holds(self._partition, changes)
        if self._reader.waiting(extent.at) or not self._reader.reached(extent.at, extent.high):
            return False
        self._reader.stop([extent.at])
        self._waiting.anything_changed()
        return True

    def abandon(self) -> None:
        """Stop reading: the partition was taken away."""
        self._reader.stop([self._extent.at])
