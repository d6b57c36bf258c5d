"""
Unpacking batches that hold a header whose name is not UTF-8.

Kafka takes such headers and clients in C and Go write them; aiokafka (0.14.0) raises on them and
never gets past: one such record would stop the worker for good. Here the batch is read once more,
and what is not UTF-8 in a name is written as ``\\xff``. Keys and values are never touched.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_OVERHEAD: Final = 12  # A batch's offset and length come before what the length counts.
_LENGTH_AT: Final = 8


def accept_any_header() -> None:
    """Make aiokafka's consumers of this process read such batches. May be called again."""
    fetcher.MemoryRecords = _Records


class _Records:
    """aiokafka's records of one partition of a fetch, with the raw bytes of each batch at hand."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._records = MemoryRecords(raw)
        self._at = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def next_batch(self) -> _Batch:
        (length,) = struct.unpack_from(">i", self._raw, self._at + _LENGTH_AT)
        end = self._at + _OVERHEAD + length
        batch = _Batch(self._records.next_batch(), self._raw[self._at : end])
        self._at = end
        return batch


class _Batch:
    """One batch."""

    def __init__(self, batch: Any, raw: bytes) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            pass
        again = _DefaultRecordBatchPy(self._raw)
        again._maybe_uncompress()
        again._buffer = _Forgiving(again._buffer)
        return iter(list(again))


class _Forgiving(bytes):
    """Bytes that decode whatever they are."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Forgiving(found) if isinstance(found, bytes) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace")
