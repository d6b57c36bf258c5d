"""
Recognising requests of a campaign by their bytes.

Of an SmsRequested only the first four fields differ from message to message; what follows repeats
within a campaign, byte for byte. So the head is read by hand, and the tail is looked up: what was
made of it the first time is kept. A record is recognised only if its tail was part of a record that
the codec read whole, and its head is read strictly; everything else goes through the codec. Either
way the outcome is the codec's, which a property test shows on any bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

from streams.codec.codec import RecordCodec
from streams.records.requests import SmsRequested

Kept = TypeVar("Kept")

MOST_TAILS: Final = 20_000
LONGEST_TAIL: Final = 2_048
"""Bounds of what is kept: at most 40 MB. At the limit everything is forgotten and learnt again."""

_LONGEST_VARINT: Final = 10


class Recognised(NamedTuple, Generic[Kept]):
    """The head of a request, and what was kept of its tail."""

    request_id: str
    recipient: str
    valid_until: int | None
    kept: Kept


class Recogniser(Generic[Kept]):
    """
    Reads requests, keeping ``keep(request)`` for each tail.

    ``keep`` must not look at the first four fields. It returns what to use for this request, and
    whether that may be used for others with the same tail.
    """

    def __init__(
        self,
        codec: RecordCodec[SmsRequested],
        keep: Callable[[SmsRequested], tuple[Kept, bool]],
    ) -> None:
        self._codec = codec
        self._keep = keep
        self._header = codec.frame(b"")
        self._tails: dict[bytes, Kept] = {}

    def read(self, raw: bytes | None) -> Recognised[Kept]:
        """Read one framed request. Raises exactly what the codec's ``decode`` raises."""
        head = self._head(raw) if raw is not None else None
        if head is not None and raw is not None:
            request_id, recipient, valid_until, tail_at = head
            kept = self._tails.get(raw[tail_at:])
            if kept is not None:
                return Recognised(request_id, recipient, valid_until, kept)
        request = self._codec.decode(raw)
        kept, repeats = self._keep(request)
        if repeats and head is not None and raw is not None:
            self._remember(raw[head[3] :], kept)
        return Recognised(request.request_id, request.recipient, request.valid_until, kept)

    def forget(self) -> None:
        """Let go of everything kept: what it was made of has changed."""
        self._tails.clear()

    def _remember(self, tail: bytes, kept: Kept) -> None:
        if len(tail) > LONGEST_TAIL:
            return
        if len(self._tails) >= MOST_TAILS:
            self._tails.clear()
        self._tails[tail] = kept

    def _head(self, raw: bytes) -> tuple[str, str, int | None, int] | None:
        """
        Read the four leading fields; None where they are not plainly what the codec writes.

        Avro 1.12, "Binary encoding": a string is its length as a zig-zag varint, then UTF-8; a
        union is its branch, then the value. Lengths above 63 take a second byte and are left to
        the codec.
        """
        header = self._header
        if not raw.startswith(header):
            return None
        try:
            at = len(header)
            length = raw[at]
            if length & 0x81:
                return None
            start, at = at + 1, at + 1 + (length >> 1)
            request_id = raw[start:at].decode()
            length = raw[at]
            if length & 0x81:
                return None
            start, at = at + 1, at + 1 + (length >> 1)
            recipient = raw[start:at].decode()
            # requested_at: nobody asks for it, so it is only stepped over.
            start = at
            while raw[at] & 0x80:
                at += 1
            at += 1
            if at - start > _LONGEST_VARINT - 1:
                return None
            branch = raw[at]
            at += 1
            if branch == 0:
                return request_id, recipient, None, at
            if branch != 2:
                return None
            return self._valid_until(raw, request_id, recipient, at)
        except (IndexError, UnicodeDecodeError):
            return None

    def _valid_until(
        self, raw: bytes, request_id: str, recipient: str, at: int
    ) -> tuple[str, str, int, int] | None:
        start, zigzag, shift = at, 0, 0
        while True:
            byte = raw[at]
            at += 1
            zigzag |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        if at - start > _LONGEST_VARINT - 1:
            return None
        return request_id, recipient, (zigzag >> 1) ^ -(zigzag & 1), at
