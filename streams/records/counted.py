"""``hours.counted``: what the worker counted of a campaign or an uploader in one hour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from streams.records.record import Record


@dataclass(frozen=True, slots=True, repr=False)
class HourCounted(Record):
    """
    What one partition's records add to one hour, so far: never a difference to an earlier record.

    ``about`` is a campaign id, or an uploader as :func:`uploader` writes one. ``hour`` is when it
    begins, in milliseconds. A later record of the same ``about``, ``hour`` and ``partition``
    replaces an earlier one, so that saying it twice changes nothing.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("hour", "partition")

    about: str
    hour: int
    partition: int
    sends: int = 0
    withdrawals: int = 0
    complaints: int = 0
    contacts: int = 0
    new_numbers: int = 0


_UPLOADER: Final = "uploader:"


def uploader(uploader_id: bytes) -> str:
    """
    Write an uploader where a campaign's id stands.

    A pause of it in ``campaigns`` holds what this user initiates, in whatever campaign. No campaign
    of a company's own may have an id that begins like this.
    """
    return f"{_UPLOADER}{uploader_id.hex()}"


def is_uploader(about: str) -> bool:
    """Whether this names an uploader and no campaign."""
    return about.startswith(_UPLOADER)
