"""
One line of a list, read as a consent event, or the reason why it is none. Pure.

A consent is refused where anything about it is in doubt; a suppression only where nobody can tell
whose it is. So an unreadable date refuses a consent, but not a suppression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from hashlib import blake2b
from typing import Final

from streams.contacts.numbers import as_e164
from streams.importing.columns import Column, Layout, ListKind
from streams.records.events import (
    Basis,
    ConsentEvent,
    ConsentEvidence,
    ConsentKind,
    Scope,
    Source,
)
from streams.state.fold import CLOCK_AHEAD_MS

LONGEST_NAME: Final = 200
"""Characters of a purpose, sender or campaign. The gate cannot read an event whose identifiers are
longer than 1024 together, and would hold its subject until a person looks."""

LONGEST_EVIDENCE: Final = 1_000
"""Characters of each text of the evidence: four of them stay far below what an event may have."""

EARLIEST_MS: Final = 946_684_800_000
"""The year 2000. Programs write 1900, 1904 or 1970 where they have no date."""


class Fault(Enum):
    """Why a line was refused, in words for the people who mend it. No commas: they stand in CSV."""

    TOO_LONG = "longer than a line may be"
    NOT_CSV = "not as many fields as line 1 or a quotation mark left open"
    NO_NUMBER = "no phone number that can be dialled (national ones need their country)"
    NO_PURPOSE = "no purpose: a consent is for something"
    NO_DATE = "no date: nobody knows since when it counts"
    DATE = "the date is not one: write 2024-05-31 or 2024-05-31T14:30:00+02:00"
    FUTURE = "dated in the future"
    EXPIRY = "expires_at is no date or not after occurred_at"
    BASIS = "basis is not express or implied or soft_opt_in"
    CONDITIONAL = "conditional is not true or false"
    REGION = "region is not such as CN or US-TX"
    TIME_ZONE = "time_zone is not such as Europe/Berlin"
    TEXT = "a text is too long or has characters that cannot be printed"


@dataclass(frozen=True, slots=True)
class Defaults:
    """
    What counts where a line says nothing.

    ``dialled_from`` is the country of national numbers (ISO 3166-1). ``date_format`` is how the
    file writes dates, in the terms of ``strptime``; without it ISO 8601 or seconds or milliseconds
    since 1970. What names no time zone is UTC.
    """

    dialled_from: str | None = None
    purpose: str | None = None
    basis: Basis = Basis.IMPLIED
    occurred_at: int | None = None
    date_format: str | None = None


class LineReading:
    """Reads the lines of one file. The same content gives the same event, whatever the file."""

    def __init__(
        self,
        kind: ListKind,
        layout: Layout,
        defaults: Defaults,
        *,
        subject_id: Callable[[str], bytes],
        now_ms: int,
    ) -> None:
        """``subject_id`` gives a number's keyed hash: an event id must not tell whose it is."""
        self._kind = kind
        self._places = layout.places
        self._defaults = defaults
        self._subject_id = subject_id
        self._latest_ms = now_ms + CLOCK_AHEAD_MS

    def read(self, fields: Sequence[str]) -> ConsentEvent | Fault:
        """Read one line, which has as many fields as the layout. The first fault counts."""
        line = _Line(fields, self._places, self._defaults)
        subject = line.subject()
        match self._kind:
            case ListKind.CONSENTS:
                event = self._consent(line, subject)
            case ListKind.SUPPRESSIONS:
                event = self._suppression(line, subject)
        return line.fault or event

    def _consent(self, line: _Line, subject: str) -> ConsentEvent:
        purpose = line.text(Column.PURPOSE) or self._defaults.purpose
        if purpose is None:
            line.note(Fault.NO_PURPOSE)
        occurred_at = line.when(Column.OCCURRED_AT, Fault.DATE) or self._defaults.occurred_at
        if occurred_at is None:
            line.note(Fault.NO_DATE)
            occurred_at = 0
        if occurred_at > self._latest_ms:
            line.note(Fault.FUTURE)
        expires_at = line.when(Column.EXPIRES_AT, Fault.EXPIRY)
        if expires_at is not None and expires_at <= occurred_at:
            line.note(Fault.EXPIRY)
        return self._event(
            line,
            subject,
            ConsentKind.GRANTED,
            occurred_at,
            purpose,
            basis=line.basis(),
            conditional=line.conditional(),
            expires_at=expires_at,
            time_zone=line.matching(Column.TIME_ZONE, _TIME_ZONE, Fault.TIME_ZONE),
            region=line.matching(Column.REGION, _REGION, Fault.REGION),
        )

    def _suppression(self, line: _Line, subject: str) -> ConsentEvent:
        purpose = line.text(Column.PURPOSE) or self._defaults.purpose
        occurred_at = line.when(Column.OCCURRED_AT, None) or self._defaults.occurred_at or 0
        return self._event(line, subject, ConsentKind.WITHDRAWN, occurred_at, purpose)

    def _event(
        self,
        line: _Line,
        subject: str,
        kind: ConsentKind,
        occurred_at: int,
        purpose: str | None,
        *,
        basis: Basis = Basis.IMPLIED,
        conditional: bool = False,
        expires_at: int | None = None,
        time_zone: str | None = None,
        region: str | None = None,
    ) -> ConsentEvent:
        scope = Scope(line.text(Column.SENDER_ID), line.text(Column.CAMPAIGN_ID))
        evidence = tuple(line.text(column, LONGEST_EVIDENCE) for column in _EVIDENCE)
        said = (
            self._subject_id(subject),
            kind.value,
            occurred_at,
            purpose,
            basis.value,
            conditional,
            scope.sender_id,
            scope.campaign_id,
            expires_at,
            time_zone,
            region,
            evidence,
        )
        digest = blake2b(repr(said).encode(), digest_size=16)
        return ConsentEvent(
            event_id=f"import-{digest.hexdigest()}",
            subject=subject,
            kind=kind,
            occurred_at=occurred_at,
            source=Source.BULK_IMPORT,
            purpose=purpose,
            basis=basis,
            conditional=conditional,
            scope=scope,
            expires_at=expires_at,
            evidence=ConsentEvidence(*evidence) if any(evidence) else None,
            time_zone=time_zone,
            region=region,
        )


class _Line:
    """One line's values. ``fault`` is the first noted; what has one gives an empty value."""

    __slots__ = ("_defaults", "_fields", "_places", "fault")

    def __init__(
        self, fields: Sequence[str], places: Mapping[Column, int], defaults: Defaults
    ) -> None:
        self._fields = fields
        self._places = places
        self._defaults = defaults
        self.fault: Fault | None = None

    def note(self, fault: Fault) -> None:
        self.fault = self.fault or fault

    def raw(self, column: Column) -> str:
        place = self._places.get(column)
        return "" if place is None else self._fields[place].strip()

    def subject(self) -> str:
        written = self.raw(Column.SUBJECT)
        # Letters are an extension, a second number, somebody's name, or digits that a spreadsheet
        # has rounded away (8.61E+12). In an address book a guess only forbids; here it may allow.
        if not any(character.isalpha() for character in written):
            region = self.raw(Column.DIALLED_FROM).upper() or self._defaults.dialled_from
            number = as_e164(written, region or _NOWHERE)
            if number is not None:
                return number
        self.note(Fault.NO_NUMBER)
        return ""

    def text(self, column: Column, longest: int = LONGEST_NAME) -> str | None:
        text = self.raw(column)
        if len(text) > longest or not text.isprintable():
            self.note(Fault.TEXT)
            return None
        return text or None

    def when(self, column: Column, fault: Fault | None) -> int | None:
        """Read a time, milliseconds; what is none is noted as ``fault``, if one is given."""
        text = self.raw(column)
        if not text:
            return None
        at_ms = as_millis(text, self._defaults.date_format)
        if at_ms is not None and at_ms >= EARLIEST_MS:
            return at_ms
        if fault is not None:
            self.note(fault)
        return None

    def basis(self) -> Basis:
        text = self.raw(Column.BASIS)
        basis = as_basis(text) if text else self._defaults.basis
        if basis is None:
            self.note(Fault.BASIS)
        return basis or Basis.IMPLIED

    def conditional(self) -> bool:
        text = self.raw(Column.CONDITIONAL).lower()
        if text not in _TRUTHS:
            self.note(Fault.CONDITIONAL)
        return _TRUTHS.get(text, True)

    def matching(self, column: Column, form: re.Pattern[str], fault: Fault) -> str | None:
        text = self.raw(column)
        if text and not form.fullmatch(text):
            self.note(fault)
        return text or None


def as_millis(text: str, date_format: str | None = None) -> int | None:
    """Read a date or time as milliseconds since 1970, UTC where it names no zone; None if none."""
    if date_format is None and _SINCE_1970.fullmatch(text):
        return int(text) * (1 if len(text) == 13 else 1_000)
    try:
        if date_format is None:
            at = datetime.fromisoformat(text)
        else:
            at = datetime.strptime(text, date_format)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - _1970) // timedelta(milliseconds=1)


def as_basis(text: str) -> Basis | None:
    """Read a basis by its name, whatever its case, with spaces or hyphens; None if it is none."""
    return _BASES.get(re.sub(r"[\s-]+", "_", text.strip()).upper())


_NOWHERE = "ZZ"
"""The region in which libphonenumber takes numbers with their country only."""

_EVIDENCE = (Column.NOTICE_VERSION, Column.DOCUMENT_SHA256, Column.CHANNEL, Column.REFERENCE)
"""In the order of :class:`ConsentEvidence`."""

_BASES = {basis.value: basis for basis in Basis}
_TRUTHS = {"": False, "false": False, "no": False, "0": False, "true": True, "yes": True, "1": True}
_REGION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_TIME_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{1,29}(/[A-Za-z0-9_+-]{1,29}){0,2}")
_SINCE_1970 = re.compile(r"[0-9]{10}|[0-9]{13}")
_1970 = datetime(1970, 1, 1, tzinfo=UTC)
