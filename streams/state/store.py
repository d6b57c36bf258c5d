"""
The store: what the gate knows, on local disk (LMDB), each partition with how far it got.

It is a cache of the changelog, never the truth: whatever is doubtful is thrown away and rebuilt
from the topics. Written only after the Kafka transaction that carries the same change was
committed, in one LMDB transaction with the position, so that a partition's content and its position
never disagree.

LMDB is opened without syncing to disk (``sync=False``): a killed process loses nothing, because the
pages are the kernel's; a machine that goes down may. So the file holds the id of the boot it was
written in, and one of another boot is emptied at opening.
"""

from __future__ import annotations

import fcntl
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import lmdb

from streams.errors import StoreFull, StoreInUse

_PARTITION: Final = struct.Struct(">H")
_pack: Final = _PARTITION.pack
_REACHED: Final = struct.Struct(">QQQ")
_HOLD: Final = struct.Struct(">HQ")
_LEFT_AT: Final = struct.Struct(">Q")
_WRITTEN_BY: Final = b"written by"
_LEFT: Final = b"left"
"""After a partition's number: since when it is another gate's. The position stands under the number
alone."""

FORMAT: Final = "2"
"""Raised when the layout of the file changes: a file of another layout is emptied and rebuilt."""


@dataclass(frozen=True, slots=True)
class Reached:
    """
    How far a partition's content goes.

    ``position`` is the framed Position record; the other two are the next offsets to read of its
    partition of ``subjects.state`` and ``subjects.keys``; ``saved_at`` is when it was written.
    """

    position: bytes
    changelog_next: int
    keys_next: int
    saved_at: int


@dataclass(slots=True)
class PartitionWrite:
    """What one transaction changes in one partition. None removes. Values are framed records."""

    partition: int
    states: Mapping[bytes, bytes | None] = field(default_factory=dict)
    keys: Mapping[bytes, bytes | None] = field(default_factory=dict)
    reached: Reached | None = None


class Store:
    """Bytes by partition and subject id. Not thread-safe; one process at a time."""

    def __init__(self, directory: Path, *, map_bytes: int, written_by: str) -> None:
        """
        Open or make the store in ``directory``.

        ``written_by`` names all that the content depends on (boot, cluster, topics, subject-id
        key): content written by another is dropped. ``map_bytes`` bounds the file, which is sparse.
        Raises :class:`StoreInUse` when another process has it open.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _locked(directory)
        self._env = lmdb.open(
            str(directory / "subjects.lmdb"),
            map_size=map_bytes,
            max_dbs=4,
            sync=False,
            metasync=False,
            subdir=False,
            readahead=False,
            mode=0o600,
        )
        self._states = self._env.open_db(b"states")
        self._keys = self._env.open_db(b"keys")
        self._meta = self._env.open_db(b"meta")
        self._holds = self._env.open_db(b"holds")
        self._reader: lmdb.Transaction | None = None
        mark = f"{FORMAT} {written_by}".encode()
        with self._env.begin(write=True) as txn:
            if txn.get(_WRITTEN_BY, db=self._meta) != mark:
                for db in (self._states, self._keys, self._meta):
                    txn.drop(db, delete=False)
                txn.put(_WRITTEN_BY, mark, db=self._meta)

    def state(self, partition: int, subject_id: bytes) -> bytes | None:
        """The framed SubjectState of this subject, as of the last write."""
        # By position: arguments by name take a third more, and this is asked for every request.
        return _bytes(self._read().get(_pack(partition) + subject_id, None, self._states))

    def key(self, partition: int, subject_id: bytes) -> bytes | None:
        """The framed SubjectKey of this subject, as of the last write."""
        return _bytes(self._read().get(_pack(partition) + subject_id, None, self._keys))

    def states(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """Every subject id and framed SubjectState of a partition, in the order of the ids."""
        prefix = _PARTITION.pack(partition)
        with self._env.begin() as txn, txn.cursor(self._states) as cursor:
            found = cursor.set_range(prefix)
            while found and bytes(cursor.key()).startswith(prefix):
                yield bytes(cursor.key())[2:], bytes(cursor.value())
                found = cursor.next()

    def states_after(
        self, partition: int, subject_id: bytes, most: int
    ) -> list[tuple[bytes, bytes]]:
        """The next states of a partition behind this id, at most so many; the first behind b""."""
        prefix = _PARTITION.pack(partition)
        found: list[tuple[bytes, bytes]] = []
        with self._read().cursor(self._states) as cursor:
            there = cursor.set_range(prefix + subject_id)
            if there and bytes(cursor.key()) == prefix + subject_id:
                there = cursor.next()
            while there and len(found) < most and bytes(cursor.key()).startswith(prefix):
                found.append((bytes(cursor.key())[2:], bytes(cursor.value())))
                there = cursor.next()
        return found

    def hold(self, partition: int, offset: int) -> bytes | None:
        """The framed QuarantinedSms of the request at ``offset``, as it was put."""
        return _bytes(self._read().get(_HOLD.pack(partition, offset), None, self._holds))

    def change_holds(self, partition: int, changes: Mapping[int, bytes | None]) -> None:
        """
        Put what is held, by the offsets of the requests; None removes. Raises :class:`StoreFull`.

        These are copies for the time that the gate owns the partition, and no part of its state.
        """
        with self._writing() as txn:
            for offset, value in changes.items():
                if value is None:
                    txn.delete(_HOLD.pack(partition, offset), db=self._holds)
                else:
                    txn.put(_HOLD.pack(partition, offset), value, db=self._holds)

    def forget_holds(self, partition: int) -> None:
        """Remove everything that is held of this partition."""
        prefix = _PARTITION.pack(partition)
        with self._writing() as txn, txn.cursor(self._holds) as cursor:
            found = cursor.set_range(prefix)
            while found and bytes(cursor.key()).startswith(prefix):
                found = cursor.delete()

    def reached(self, partition: int) -> Reached | None:
        """How far this partition goes; None when it has to be built from nothing."""
        raw = _bytes(self._read().get(_PARTITION.pack(partition), db=self._meta))
        if raw is None:
            return None
        changelog_next, keys_next, saved_at = _REACHED.unpack_from(raw)
        return Reached(raw[_REACHED.size :], changelog_next, keys_next, saved_at)

    def write(self, writes: Iterable[PartitionWrite]) -> None:
        """
        Apply all of it or nothing, in one LMDB transaction.

        Raises :class:`StoreFull` when it does not fit; then nothing was written.
        """
        with self._writing() as txn:
            for write in writes:
                prefix = _PARTITION.pack(write.partition)
                for db, values in ((self._states, write.states), (self._keys, write.keys)):
                    for subject_id, value in values.items():
                        if value is None:
                            txn.delete(prefix + subject_id, db=db)
                        else:
                            txn.put(prefix + subject_id, value, db=db)
                if write.reached is not None:
                    at = write.reached
                    head = _REACHED.pack(at.changelog_next, at.keys_next, at.saved_at)
                    txn.put(prefix, head + at.position, db=self._meta)

    def forget(self, partition: int, most: int | None = None) -> bool:
        """
        Drop a partition's content and position, but at most so many records; whether all is gone.

        The position goes with the first piece: what is left is then no copy that could be used.
        """
        prefix = _PARTITION.pack(partition)
        dropped = 0
        with self._writing() as txn:
            txn.delete(prefix, db=self._meta)
            for db in (self._keys, self._states):
                with txn.cursor(db) as cursor:
                    found = cursor.set_range(prefix)
                    while found and bytes(cursor.key()).startswith(prefix):
                        if most is not None and dropped >= most:
                            return False
                        found = cursor.delete()
                        dropped += 1
            txn.delete(prefix + _LEFT, db=self._meta)
        return True

    def partitions(self) -> list[int]:
        """Every partition of which there is anything, whole or not, in their order."""
        found = set()
        for db in (self._states, self._keys, self._meta):
            with self._read().cursor(db) as cursor:
                there = cursor.first()
                while there:
                    key = bytes(cursor.key())
                    if db is self._meta and key == _WRITTEN_BY:
                        there = cursor.next()
                        continue
                    number = _PARTITION.unpack_from(key)[0]
                    found.add(number)
                    there = cursor.set_range(_PARTITION.pack(number) + b"\xff" * 17)
        return sorted(found)

    def left_at(self, partition: int) -> int | None:
        """Since when this partition is noted to be another gate's."""
        raw = _bytes(self._read().get(_PARTITION.pack(partition) + _LEFT, db=self._meta))
        return None if raw is None else int(_LEFT_AT.unpack(raw)[0])

    def note_left(self, partition: int, at_ms: int | None) -> None:
        """Note since when this partition is another gate's; None: it is not."""
        key = _PARTITION.pack(partition) + _LEFT
        with self._writing() as txn:
            if at_ms is None:
                txn.delete(key, db=self._meta)
            else:
                txn.put(key, _LEFT_AT.pack(at_ms), db=self._meta)

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._end_reading()
        self._env.close()
        self._lock.close()

    def _read(self) -> lmdb.Transaction:
        # One snapshot serves all reads until the next write: beginning one costs as much as a get.
        if self._reader is None:
            self._reader = self._env.begin()
        return self._reader

    def _end_reading(self) -> None:
        if self._reader is not None:
            self._reader.abort()
            self._reader = None

    @contextmanager
    def _writing(self) -> Iterator[lmdb.Transaction]:
        self._end_reading()
        try:
            with self._env.begin(write=True) as txn:
                yield txn
        except lmdb.MapFullError as error:
            raise StoreFull(
                "The state store is full: raise state_map_bytes and start the gate again."
            ) from error
        except lmdb.DiskError as error:
            raise StoreFull("The disk of state_dir is full or failing.") from error


def _bytes(value: bytes | memoryview | None) -> bytes | None:
    # lmdb's types allow for its other mode, in which values are views that die with the snapshot.
    return None if value is None else bytes(value)


def _locked(directory: Path) -> IO[bytes]:
    lock = (directory / "in-use.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise StoreInUse(
            f"Another gate works in {directory}: give each gate a state_dir or an instance_id of "
            "its own."
        ) from error
    return lock


def boot_id() -> str:
    """
    Name the current boot of this machine, as the kernel does.

    Where the system has no such name (not Linux) the answer differs at each call, so that the
    store is rebuilt at each start.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import uuid

        return uuid.uuid4().hex
