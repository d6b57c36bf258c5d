"""
The records of ``worker.state``, and how they are read so that a batch counts whole or not at all.

Kafka's records are written one by one, and a process may die between any two of them. So:

1. Each changed key is written with the value it replaced and the number of its batch, beside the
   batch's outputs. Such an *entry* does not count yet.
2. When all of that is acknowledged the agent's *mark* is written: the number of the last batch that
   counts, and up to which offset of each source topic events are applied.
3. Only when the mark is acknowledged may the events be acknowledged, too.

Read back, an entry of a later batch than the mark's is one whose batch never ended: the value it
replaced counts, and is written again at once (:attr:`Restored.repairs`), before anything new is.
A deleted key is an entry without a value, and a tombstone with the next batch or timer: never
before its mark, since the value it replaced would be gone.

All keys of a partition lie in one partition of the topic and are written by one idempotent
producer. The topic is not written by transactions and needs none. What is not covered: two workers
that hold the same partition at once, as when one is stopped for longer than its session and writes
on waking before it learns of that. The entry with the higher number is then taken for the newer.

Keys are ``<agent>:<key>``; the mark's is ``<agent>:``. An entry is a version, the number, then both
values, each with its length in front; a mark is JSON.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from streams.errors import StateLost

_HEAD: Final = struct.Struct(">BQ")
_LENGTH: Final = struct.Struct(">i")
_VERSION: Final = 1
_ABSENT: Final = -1


@dataclass(frozen=True, slots=True)
class Entry:
    """A key as one batch left it, and as it was before; None where it was not there."""

    batch: int
    value: bytes | None = field(repr=False)
    replaced: bytes | None = field(repr=False)

    def framed(self) -> bytes:
        return _HEAD.pack(_VERSION, self.batch) + _packed(self.value) + _packed(self.replaced)


@dataclass(frozen=True, slots=True)
class Mark:
    """The last batch that counts, and the highest offset applied by the source topic's name."""

    batch: int
    applied: Mapping[str, int]

    def framed(self) -> bytes:
        return json.dumps({"batch": self.batch, "applied": dict(self.applied)}).encode()


@dataclass(frozen=True, slots=True)
class Restored:
    """
    One agent's state of one partition, as its records say.

    ``repairs`` are keys whose newest entry does not count, with what counts instead; ``deleted``
    keys whose tombstone is still to be written.
    """

    kept: dict[str, bytes] = field(default_factory=dict, repr=False)
    mark: Mark = field(default_factory=lambda: Mark(0, {}))
    repairs: dict[str, bytes | None] = field(default_factory=dict, repr=False)
    deleted: tuple[str, ...] = ()


def key_of(agent: str, key: str) -> bytes:
    """Return a record's key; of the agent's mark where ``key`` is empty."""
    return f"{agent}:{key}".encode()


KeyValue = tuple[bytes | None, bytes | None]


def restored(records: Iterable[KeyValue], where: str) -> dict[str, Restored]:
    """
    Read one partition's records, from the first to the last, into the state of each agent.

    Raises :class:`StateLost` for a record that no version of this package wrote; ``where`` names
    the partition in it. Never skips one: a state with a hole decides wrongly.
    """
    marks: dict[str, Mark] = {}
    entries: dict[str, dict[str, Entry]] = {}
    for raw_key, value in records:
        agent, key = _split(raw_key, where)
        found = entries.setdefault(agent, {})
        if not key:
            mark = _mark(value, where)
            if mark.batch >= marks.get(agent, mark).batch:
                marks[agent] = mark
        elif value is None:
            found.pop(key, None)
        else:
            entry = _entry(value, where)
            if entry.batch >= found.get(key, entry).batch:
                found[key] = entry
    return {
        agent: _counted(marks.get(agent, Mark(0, {})), found) for agent, found in entries.items()
    }


def _counted(mark: Mark, entries: Mapping[str, Entry]) -> Restored:
    kept: dict[str, bytes] = {}
    repairs: dict[str, bytes | None] = {}
    deleted: list[str] = []
    for key, entry in entries.items():
        counts = entry.batch <= mark.batch
        value = entry.value if counts else entry.replaced
        if value is not None:
            kept[key] = value
        if not counts:
            repairs[key] = value
        elif value is None:
            deleted.append(key)
    return Restored(kept, mark, repairs, tuple(deleted))


def _split(raw: bytes | None, where: str) -> tuple[str, str]:
    try:
        agent, colon, key = (raw or b"").decode().partition(":")
    except UnicodeDecodeError:
        colon = ""
    if not colon:
        raise _foreign(where)
    return agent, key


def _mark(raw: bytes | None, where: str) -> Mark:
    try:
        said = json.loads(raw or b"")
        return Mark(int(said["batch"]), {str(t): int(o) for t, o in said["applied"].items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise _foreign(where)


def _entry(raw: bytes, where: str) -> Entry:
    try:
        version, batch = _HEAD.unpack_from(raw)
        value, at = _unpacked(raw, _HEAD.size)
        replaced, at = _unpacked(raw, at)
    except struct.error:
        version = at = -1
    if version != _VERSION or at != len(raw):
        raise _foreign(where)
    return Entry(batch, value, replaced)


def _packed(value: bytes | None) -> bytes:
    return _LENGTH.pack(_ABSENT) if value is None else _LENGTH.pack(len(value)) + value


def _unpacked(raw: bytes, at: int) -> tuple[bytes | None, int]:
    (length,) = _LENGTH.unpack_from(raw, at)
    at += _LENGTH.size
    return (None, at) if length == _ABSENT else (raw[at : at + length], at + length)


def _foreign(where: str) -> StateLost:
    return StateLost(
        f"{where} holds a record that this worker did not write, or that a newer one wrote. Nobody "
        "else may write there; run the version that wrote it."
    )
