"""
Recognising requests of a campaign by their bytes.

Of an SmsRequested the first four fields differ from message to message, and so do what was put into
the template and the body that came of it, where they are personal. Everything else repeats within a
campaign, byte for byte: what stands before the template's parameters, and what stands after the
body. So the head, the parameters and the body are read by hand, and the rest, the *frame*, is
looked up: what was made of it the first time is kept.

A record is recognised only if its frame was that of a record that the codec read whole, and what
was read by hand is read strictly; everything else goes through the codec. Either way the outcome is
the codec's, which a property test shows on any bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from streams.codec.codec import RecordCodec
from streams.codec.decoder import Doubt, read_length, read_long
from streams.records.requests import SmsRequested

Kept = TypeVar("Kept")

MOST_FRAMES: Final = 20_000
LONGEST_FRAME: Final = 2_048
"""Bounds of what is kept: at most 40 MB. At the limit everything is forgotten and learnt again."""

_GOES_ON: Final = 0x8080_8080_8080
_ENDS_SIXTH: Final = 0x0080_8080_8080
"""The highest bits of the six bytes, little-endian, that a time in milliseconds takes from 1987 to
2109: all but the last are set."""

Head = tuple[str, str, int | None]
"""``request_id``, ``recipient``, ``valid_until``."""


class Recogniser(Generic[Kept]):
    """
    Reads requests, keeping ``keep(request)`` for each frame.

    ``keep`` returns what to use for this request, and whether that may be used for others with the
    same frame; if so it must not have looked at the first four fields, the template's parameters
    or the body.
    """

    def __init__(
        self,
        codec: RecordCodec[SmsRequested],
        keep: Callable[[SmsRequested], tuple[Kept, bool]],
    ) -> None:
        self._codec = codec
        self._keep = keep
        self._header = codec.frame(b"")
        self._frames: dict[bytes, Kept] = {}

    def read(self, raw: bytes | None) -> tuple[str, str, int | None, Mapping[str, str], str, Kept]:
        """
        Read one framed request: its :data:`Head`, its template's parameters, its body, and what
        was kept of its frame.

        Raises exactly what the codec's ``decode`` raises.
        """
        frame = None
        if raw is not None:
            try:
                request_id, recipient, valid_until, parameters, body, frame = self._split(raw)
                return request_id, recipient, valid_until, parameters, body, self._frames[frame]
            except (Doubt, IndexError, UnicodeDecodeError, KeyError):
                pass  # the codec has the last word
        request = self._codec.decode(raw)
        kept, repeats = self._keep(request)
        if repeats and frame is not None and len(frame) <= LONGEST_FRAME:
            if len(self._frames) >= MOST_FRAMES:
                self._frames.clear()
            self._frames[frame] = kept
        return (
            request.request_id,
            request.recipient,
            request.valid_until,
            request.template_params,
            request.body,
            kept,
        )

    def forget(self) -> None:
        """Let go of everything kept: what it was made of has changed."""
        self._frames.clear()

    def _split(self, raw: bytes) -> tuple[str, str, int | None, Mapping[str, str], str, bytes]:
        """
        Read the head, the parameters and the body, and cut the frame out of a request that is
        plainly what the codec writes.

        Avro 1.12, "Binary encoding": a string is its length as a zig-zag varint, then UTF-8; a
        union is its branch, then the value; a map is a block of entries, then an empty one.
        Lengths above 63 take a second byte: read of the body and the parameters only, elsewhere
        they are left to the codec. Raises one of several errors where it is in doubt; an end that
        is too far leaves an empty rest, and no request known has a frame without one.
        """
        header = self._header
        if not raw.startswith(header):
            raise Doubt
        at = len(header)
        size = raw[at]
        if size & 0x81:
            raise Doubt
        start, at = at + 1, at + 1 + (size >> 1)
        request_id = raw[start:at].decode()
        size = raw[at]
        if size & 0x81:
            raise Doubt
        start, at = at + 1, at + 1 + (size >> 1)
        recipient = raw[start:at].decode()
        # requested_at: nobody asks for it, so it is only stepped over.
        if int.from_bytes(raw[at : at + 6], "little") & _GOES_ON == _ENDS_SIXTH:
            at += 6
        else:
            _, at = read_long(raw, at)
        valid_until = None
        branch = raw[at]
        at += 1
        if branch:
            if branch != 2:
                raise Doubt
            valid_until, at = read_long(raw, at)
        # purpose, campaign_id, sender_id, template_id: the front of the frame.
        start = at
        size = raw[at]
        if size & 0x81:
            raise Doubt
        at = _after_optional(raw, at + 1 + (size >> 1))
        size = raw[at]
        if size & 0x81:
            raise Doubt
        at = _after_optional(raw, at + 1 + (size >> 1))
        front = raw[start:at]
        if raw[at]:
            parameters, at = _parameters(raw, at)
        else:
            parameters = _NO_PARAMETERS
            at += 1
        body, at = _read_text(raw, at)
        return request_id, recipient, valid_until, parameters, body, front + raw[at:]


_NO_PARAMETERS: Final[Mapping[str, str]] = MappingProxyType({})


def _after_optional(raw: bytes, at: int) -> int:
    """Step over a short text, or none."""
    branch = raw[at]
    if branch == 0:
        return at + 1
    size = raw[at + 1]
    if branch != 2 or size & 0x81:
        raise Doubt
    return at + 2 + (size >> 1)


def _parameters(raw: bytes, at: int) -> tuple[Mapping[str, str], int]:
    """Read a map of texts that is one block."""
    count, at = read_length(raw, at)
    parameters = {}
    for _ in range(count):
        name, at = _read_text(raw, at)
        parameters[name], at = _read_text(raw, at)
    if raw[at]:
        raise Doubt
    return parameters, at + 1


def _read_text(raw: bytes, at: int) -> tuple[str, int]:
    """Read a text of any length that is UTF-8, and where it ends."""
    size, start = raw[at], at + 1
    if size & 0x80:
        more = raw[start]
        if more < 0x80:  # at most 8191 bytes: any SMS
            size, start = size & 0x7F | more << 7, start + 1
        else:
            size, start = read_long(raw, at)
            size <<= 1
    if size & 1 or size < 0:
        raise Doubt
    at = start + (size >> 1)
    return raw[start:at].decode(), at
