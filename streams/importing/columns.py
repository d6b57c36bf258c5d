"""Which column of a file says what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from streams.errors import ConfigError


class ListKind(Enum):
    """What a file is a list of."""

    CONSENTS = "consents"
    SUPPRESSIONS = "suppressions"


class Column(Enum):
    """What a column may say. ``dialled_from`` is the country of a number that names none."""

    SUBJECT = "subject"
    DIALLED_FROM = "dialled_from"
    PURPOSE = "purpose"
    OCCURRED_AT = "occurred_at"
    EXPIRES_AT = "expires_at"
    BASIS = "basis"
    CONDITIONAL = "conditional"
    SENDER_ID = "sender_id"
    CAMPAIGN_ID = "campaign_id"
    REGION = "region"
    TIME_ZONE = "time_zone"
    NOTICE_VERSION = "notice_version"
    DOCUMENT_SHA256 = "document_sha256"
    CHANNEL = "channel"
    REFERENCE = "reference"


_CONSENTS_ONLY = frozenset(
    {Column.EXPIRES_AT, Column.BASIS, Column.CONDITIONAL, Column.REGION, Column.TIME_ZONE}
)


def columns_of(kind: ListKind) -> tuple[Column, ...]:
    """Give the columns that a list of this kind may have. A withdrawal has no end and no basis."""
    match kind:
        case ListKind.CONSENTS:
            return tuple(Column)
        case ListKind.SUPPRESSIONS:
            return tuple(column for column in Column if column not in _CONSENTS_ONLY)


@dataclass(frozen=True, slots=True)
class Layout:
    """
    Where each column stands, from 0.

    ``width`` is how many fields a line has. ``used`` says, for people, which of the file's columns
    says what, and ``unused`` names the others.
    """

    places: Mapping[Column, int]
    width: int
    used: Mapping[str, str]
    unused: tuple[str, ...]


def layout_of(header: Sequence[str], kind: ListKind, mapped: Mapping[Column, str]) -> Layout:
    """
    Find the columns by the names in the file's first line, whatever their case.

    ``mapped`` gives the names of those that are called otherwise. Raises :class:`ConfigError` when
    a name is not there, or is there twice, or when no column has the numbers.
    """
    names = [name.strip() for name in header]
    known = [name.casefold() for name in names]
    places: dict[Column, int] = {}
    for column in columns_of(kind):
        name = mapped.get(column, column.value).strip().casefold()
        if known.count(name) > 1:
            raise ConfigError(f"line 1: two columns are called {name!r}. Rename one of them.")
        if name in known:
            places[column] = known.index(name)
        elif column in mapped:
            raise ConfigError(
                f"line 1: there is no column {name!r}; the columns are {_listed(names)}."
            )
    if Column.SUBJECT not in places:
        raise ConfigError(
            f"line 1: no column is called 'subject'; the columns are {_listed(names)}. Say which "
            "one has the numbers: --map subject=NAME. If line 1 is no heading: --no-header."
        )
    return _layout(names, places)


def layout_by_place(width: int, kind: ListKind, mapped: Mapping[Column, str]) -> Layout:
    """
    Find the columns of a file without a heading: ``mapped`` gives their places, from 1.

    A lone column has the numbers. Raises :class:`ConfigError` when a place is none, or when no
    column has the numbers.
    """
    if width == 1 and not mapped:
        mapped = {Column.SUBJECT: "1"}
    places: dict[Column, int] = {}
    for column, place in mapped.items():
        if not (place.isascii() and place.isdigit() and 1 <= int(place) <= width):
            raise ConfigError(
                f"--map {column.value}={place}: without a heading columns are named by their "
                f"places, from 1 to {width}."
            )
        if column in columns_of(kind):
            places[column] = int(place) - 1
    if Column.SUBJECT not in places:
        raise ConfigError("Say which column has the numbers: --map subject=1, counted from 1.")
    return _layout([str(place + 1) for place in range(width)], places)


def _layout(names: Sequence[str], places: Mapping[Column, int]) -> Layout:
    taken = set(places.values())
    return Layout(
        places=places,
        width=len(names),
        used={column.value: names[place] for column, place in places.items()},
        unused=tuple(name for place, name in enumerate(names) if place not in taken),
    )


def _listed(names: Iterable[str]) -> str:
    # Where line 1 is no heading, these are somebody's data: shown is only what looks like a name.
    shown = [name if _is_heading(name) else "(not a name)" for name in names]
    return ", ".join(shown[:30])


def _is_heading(name: str) -> bool:
    """Whether it cannot be a number, an address of somebody, or a text: no digits, no ``@``."""
    return 0 < len(name) <= 40 and not any(c.isdigit() or c == "@" for c in name)
