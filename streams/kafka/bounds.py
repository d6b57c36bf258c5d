"""
Bounds: how large a record may be, so that everything that is written because of it fits.

A transaction with a record that its topic does not take is aborted, and so is every further try:
one hostile record would stop its partition for ever. Brokers count bytes after compression, and
what compressed well for its producer (gzip, zstd) may not do so for the gate (lz4, and sealed
bytes not at all). So everything is bounded here before compression, below what its topic takes.
"""

from __future__ import annotations

from typing import Final

from streams.errors import TooLarge
from streams.topology import INPUT_MAX_BYTES, OUTPUT_MAX_BYTES

_ROOM: Final = 64 * 1024
"""For our own headers and Kafka's framing; both are far below."""

REQUEST_MAX_BYTES: Final = INPUT_MAX_BYTES

EVENT_MAX_BYTES: Final = 64 * 1024
"""Of a consent event or an address-book entry. Its evidence can grow sixfold in the ledger, where
it is JSON."""

IDENTIFIERS_MAX_CHARACTERS: Final = 1024
"""Of all texts of a record that decisions, holds and states repeat, together. A state keeps up to
256 such records of at most 4 bytes a character: half of what its topic takes."""

HEADERS_MAX_BYTES: Final = _ROOM
"""Of a request's own headers, which are passed on beside a value of up to 1 MiB."""

DEAD_LETTER_MAX_BYTES: Final = OUTPUT_MAX_BYTES - _ROOM
RESENT_MAX_BYTES: Final = INPUT_MAX_BYTES - _ROOM


def refuse_long(*texts: str | None) -> None:
    """Raise :class:`TooLarge` if the identifiers of a record are longer than may be repeated."""
    if sum(len(text) for text in texts if text is not None) > IDENTIFIERS_MAX_CHARACTERS:
        raise TooLarge(
            f"The record's identifiers have more than {IDENTIFIERS_MAX_CHARACTERS} characters."
        )
