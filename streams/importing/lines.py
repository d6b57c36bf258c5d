"""
A CSV file, line by line, in bounded memory, and without one bad line taking others with it.

A quotation mark that is left open would take in all that follows up to the next one: people whose
suppression is on those lines would not be suppressed. So a record may go over a few lines only,
none of which would be one by itself; else the first of them is refused alone, and the others are
read again.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TextIO

LONGEST_LINE: Final = 64 * 1024
"""Characters of a line. Longer ones are refused; what is longer than any address list's is a file
without line ends, and would be read into memory whole."""

MOST_LINES: Final = 20
"""Lines of one record: an address in quotes has some. Each bad quotation mark costs the reading of
so many lines so many times."""

DELIMITERS: Final = ",;\t|"

_ENDS = ("\n", "\r")


@dataclass(frozen=True, slots=True, repr=False)
class CsvRecord:
    """
    One record: from which line to which, as it stands, and its fields.

    ``fields`` is None where it is no CSV, and ``text`` is None too where the line is too long.
    """

    first: int
    last: int
    text: str | None
    fields: list[str] | None

    def __repr__(self) -> str:
        return f"CsvRecord(lines {self.first} to {self.last})"


class LineReader:
    """Reads records. Not for two threads. Blank lines are passed over."""

    def __init__(self, source: TextIO, delimiter: str | None) -> None:
        """``source`` must be open with ``newline=""``. Without a ``delimiter`` line 1 tells it."""
        self._source = source
        self._waiting: deque[tuple[int, str | None]] = deque()
        self._line = 0
        self._width: int | None = None
        if delimiter is None:
            self._waiting.append(self._next())
            delimiter = delimiter_of(self._waiting[0][1] or "")
        self.delimiter: Final = delimiter

    def expect(self, width: int) -> None:
        """Take from now on only records with so many fields, or with empty ones after these."""
        self._width = width

    def give_back(self, record: CsvRecord) -> None:
        """Read this record, the one that was read last, once more."""
        self._waiting.appendleft((record.first, record.text))

    def skip_to(self, line: int) -> None:
        """Pass over all lines up to and with this one."""
        while self._line < line and self._next()[1] != "":
            pass
        self._waiting = deque(each for each in self._waiting if each[0] > line)

    def __iter__(self) -> Iterator[CsvRecord]:
        while True:
            number, text = self._take()
            if text == "":
                return
            if text is None:
                yield CsvRecord(number, number, None, None)
            elif text.strip():
                yield self._record(number, text)

    def _record(self, first: int, text: str) -> CsvRecord:
        fields = self._parsed(text)
        if fields is not None or '"' not in text:
            return CsvRecord(first, first, text, fields)
        joined = text
        further: list[tuple[int, str | None]] = []
        while len(further) < MOST_LINES - 1 and len(joined) < LONGEST_LINE:
            number, more = self._take()
            further.append((number, more))
            if not more or (self._width is not None and self._parsed(more) is not None):
                break
            joined += more
            fields = self._parsed(joined)
            if fields is not None:
                return CsvRecord(first, number, joined, fields)
        self._waiting.extendleft(reversed(further))
        return CsvRecord(first, first, text, None)

    def _parsed(self, text: str) -> list[str] | None:
        """Read one record; None where it is no whole one, or has another number of fields."""
        try:
            rows = list(csv.reader([text], delimiter=self.delimiter, strict=True))
        except csv.Error:
            return None
        if len(rows) != 1:
            return None
        (fields,) = rows
        if self._width is not None:
            if any(field.strip() for field in fields[self._width :]):
                return None
            fields = fields[: self._width]
            if len(fields) < self._width:
                return None
        return fields

    def _take(self) -> tuple[int, str | None]:
        return self._waiting.popleft() if self._waiting else self._next()

    def _next(self) -> tuple[int, str | None]:
        """Read a line: its number, and its text; "" at the end of the file, None if too long."""
        self._line += 1
        text = self._source.readline(LONGEST_LINE)
        if len(text) < LONGEST_LINE or text.endswith(_ENDS):
            return self._line, text
        while len(text) == LONGEST_LINE and not text.endswith(_ENDS):
            text = self._source.readline(LONGEST_LINE)
        return self._line, None


def delimiter_of(line: str) -> str:
    """Tell by which of :data:`DELIMITERS` a line is divided: the most frequent, else the comma."""
    unquoted = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=unquoted.count)
