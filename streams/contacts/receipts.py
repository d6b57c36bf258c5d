"""
Counting one upload until its receipt can be written. Pure.

Three things are told of an upload, in any order and some of them twice: how many entries it was
split into, which positions a gate has screened, and how many entries take it back. Each position is
marked where it is told first, so that whatever comes again changes nothing:

* once every entry is screened there is one receipt;
* once every entry is taken back there is one receipt that says so, and only that one where the
  upload was withdrawn before the other was due.

What is kept is a head of 65 bytes and the upload's id, and a bit for each position until the
receipt is written. A head stays until the upload has left no trace. Then, at the latest, its
receipts are written: what was never screened has gone by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from hashlib import blake2b
from struct import Struct
from typing import Final, Protocol

from streams.records.contacts import ContactsScreened, UploadCompleted, UploadSplit

MOST_POSITIONS: Final = 1 << 23
"""Positions that are counted, from 0: so many contacts of no text make an upload of 16 MiB."""

PAGE_POSITIONS: Final = 1 << 15
"""Positions whose bits are kept in one value, of 4 kB: smaller ones are more keys, larger ones are
written again and again for a few bits."""

_PAGES: Final = MOST_POSITIONS // PAGE_POSITIONS

_HEAD: Final = Struct(">????9Iq16s")
"""The upload's id comes behind it."""


class Kept(Protocol):
    """Where the values are kept: the state of an agent."""

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, value: bytes) -> None: ...
    def delete(self, key: str) -> None: ...


@dataclass(slots=True)
class _Head:
    """
    What is known of one upload. ``taken_entries`` are those that take it back.

    In the order in which it is packed.
    """

    split: bool = False
    withdrawn: bool = False
    told: bool = False
    told_withdrawn: bool = False
    contacts: int = 0
    entries: int = 0
    invalid: int = 0
    duplicates: int = 0
    own_number: int = 0
    screened: int = 0
    matched: int = 0
    taken_entries: int = 0
    taken: int = 0
    gone_at: int = 0
    uploader_id: bytes = bytes(16)
    upload_id: str = ""

    def packed(self) -> bytes:
        values = astuple(self)
        return _HEAD.pack(*values[:-1]) + self.upload_id.encode()

    @classmethod
    def unpacked(cls, raw: bytes) -> _Head:
        head = cls(*_HEAD.unpack_from(raw))
        head.upload_id = raw[_HEAD.size :].decode()
        return head


class Counting:
    """
    One upload's count.

    The keys of its values begin with :func:`head_key`. Every method gives the receipt that has come
    due with it, if one has; ``at_ms`` is then when it was written, so it must be the same when the
    same is told again.
    """

    def __init__(self, kept: Kept, of: str, head: _Head) -> None:
        self._kept = kept
        self._of = of
        self._head = head

    @classmethod
    def of(cls, upload_id: str, uploader_id: bytes, kept: Kept) -> Counting:
        """Go on counting this upload, or begin. ``uploader_id`` has 16 bytes."""
        key = head_key(upload_id, uploader_id)
        raw = kept.get(key)
        head = _Head(upload_id=upload_id, uploader_id=uploader_id)
        return cls(kept, key, head if raw is None else _Head.unpacked(raw))

    def split(self, told: UploadSplit, at_ms: int) -> UploadCompleted | None:
        """Take note of how many entries there are, or of how many take the upload back."""
        head = self._head
        head.gone_at = max(head.gone_at, told.gone_at)
        if told.withdrawn and not head.withdrawn:
            head.withdrawn, head.taken_entries = True, told.entries
        elif not told.withdrawn and not head.split:
            head.split, head.contacts, head.entries = True, told.contacts, told.entries
            head.invalid, head.duplicates = told.invalid, told.duplicates
            head.own_number = told.own_number
        return self._settled(at_ms)

    def screened(
        self, told: ContactsScreened, at_ms: int, *, gone_at: int
    ) -> UploadCompleted | None:
        """Count positions; ``gone_at`` is until when to wait for how many there are."""
        head = self._head
        if not head.split and not head.withdrawn:
            head.gone_at = max(head.gone_at, gone_at)
        if not head.told and not head.told_withdrawn:
            members = set(told.members)
            new = self._marked("s", told.screened)
            head.screened += len(new)
            head.matched += sum(position in members for position in new)
        if not head.told_withdrawn:
            head.taken += len(self._marked("t", told.taken_back))
        return self._settled(at_ms)

    def ended(self) -> UploadCompleted | None:
        """Forget the upload, which has left no trace; give the receipt that was still to come."""
        head = self._head
        receipt = None
        if head.withdrawn and not head.told_withdrawn:
            receipt = self._receipt(head.gone_at, withdrawn=True)
        elif head.split and not head.withdrawn and not head.told:
            receipt = self._receipt(head.gone_at, withdrawn=False)
        self._drop("s")
        self._drop("t")
        self._kept.delete(self._of)
        return receipt

    def _settled(self, at_ms: int) -> UploadCompleted | None:
        head = self._head
        receipt = None
        if head.withdrawn:
            if not head.told_withdrawn and head.taken >= head.taken_entries:
                head.told_withdrawn = True
                receipt = self._receipt(at_ms, withdrawn=True)
                self._drop("s")
                self._drop("t")
        elif head.split and not head.told and head.screened >= head.entries:
            head.told = True
            receipt = self._receipt(at_ms, withdrawn=False)
            self._drop("s")
        self._kept.put(self._of, head.packed())
        return receipt

    def _receipt(self, at_ms: int, *, withdrawn: bool) -> UploadCompleted:
        head = self._head
        return UploadCompleted(
            upload_id=head.upload_id,
            uploader_id=head.uploader_id,
            contacts=head.contacts,
            entries=head.entries,
            matched=head.matched,
            forgotten=head.entries - head.matched,
            invalid=head.invalid,
            duplicates=head.duplicates,
            own_number=head.own_number,
            last_trace_at=head.gone_at if head.entries else None,
            withdrawn=withdrawn,
            completed_at=at_ms,
        )

    def _marked(self, kind: str, positions: Iterable[int]) -> list[int]:
        """Mark these positions; give those that were not marked before."""
        pages: dict[int, bytearray] = {}
        new = []
        for position in positions:
            if not 0 <= position < MOST_POSITIONS:
                continue
            number, bit = divmod(position, PAGE_POSITIONS)
            page = pages.get(number)
            if page is None:
                page = pages[number] = bytearray(self._kept.get(self._page(kind, number)) or b"")
            byte, mask = bit >> 3, 1 << (bit & 7)
            if len(page) <= byte:
                page.extend(bytes(byte + 1 - len(page)))
            if not page[byte] & mask:
                page[byte] |= mask
                new.append(position)
        if new:
            for number, page in pages.items():
                self._kept.put(self._page(kind, number), bytes(page))
        return new

    def _drop(self, kind: str) -> None:
        for number in range(_PAGES):
            self._kept.delete(self._page(kind, number))

    def _page(self, kind: str, number: int) -> str:
        return f"{self._of}{kind}{number}"


def head_key(upload_id: str, uploader_id: bytes) -> str:
    """
    Give the key under which an upload's head is kept; those of its other values begin with it.

    With the uploader: the same id from somebody else is another upload.
    """
    return f"{blake2b(upload_id.encode(), key=uploader_id, digest_size=16).hexdigest()}/"


def end_those_gone(
    items: Iterable[tuple[str, bytes]], kept: Kept, now_ms: int
) -> Iterator[UploadCompleted]:
    """Forget what has left no trace; ``items`` are all keys and values of ``kept``."""
    for key, value in items:
        if key.endswith("/"):
            head = _Head.unpacked(value)
            if head.gone_at <= now_ms:
                receipt = Counting(kept, key, head).ended()
                if receipt is not None:
                    yield receipt
