"""``numbers.unchecked``: whom to look up before an old consent is used again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from streams.records.record import Record


@dataclass(frozen=True, slots=True, repr=False)
class NumberUnchecked(Record):
    """
    A message is held because nobody looked whether the number is still the consenting person's.

    ``number`` is E.164. ``consented_at`` is when the consent counts from that would carry the
    message, ``held_at`` when the gate held it, both in milliseconds.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("consented_at", "held_at")

    number: str
    consented_at: int
    held_at: int
