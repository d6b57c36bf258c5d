"""``sms.sends``: what the gate remembers of the messages it let go, packed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from streams.records.record import Record


@dataclass(frozen=True, slots=True, repr=False)
class SendsRemembered(Record):
    """
    A part of one checkpoint of a partition's send memory.

    ``packed`` holds 49 bytes for each decision between the checkpoint before and ``next_sequence``
    that sent something or left it waiting, in their order: subject id (16), time (8, milliseconds),
    digest of the request id (8), of purpose, sender, campaign and template (4 each), flags (1);
    numbers little-endian, as :mod:`streams.state.sends` packs them.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("partition", "next_sequence")

    partition: int
    next_sequence: int
    packed: bytes
    written_at: int
