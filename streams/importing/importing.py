"""
One file into Kafka: read, sent, acknowledged, noted; and again from there after whatever happened.

1. Lock the list, take its digest, look whether the journal is about the same one.
2. Pass over the lines that are done already.
3. Read :data:`PIECE` records: send what is an event, write down what is refused.
4. Wait until Kafka has acknowledged the events, and the refused lines are on the disk.
5. Only then note how far that is. Back to step 3, until the file ends.
6. Forget the journal.

A crash before step 5 repeats step 3 for some records. Their events are the same to the byte, so
that the gate takes each as one that it knows.
"""

from __future__ import annotations

import codecs
import fcntl
import hashlib
import io
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from streams.errors import ConfigError, ConsentGateError, StoreInUse
from streams.importing.columns import Column, Layout, ListKind, layout_by_place, layout_of
from streams.importing.journal import Journal, Progress
from streams.importing.lines import CsvRecord, LineReader
from streams.importing.reading import Defaults, Fault, LineReading
from streams.importing.refused import RefusedLines
from streams.importing.sending import Sends
from streams.records.events import ConsentEvent

PIECE: Final = 2_000
"""Records between two notes: so many may be sent twice after a crash. Fewer make the import wait
for Kafka and the disk more often than it works."""

_PACED_EVERY: Final = 50

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Order:
    """
    What to import, and how to read it.

    Without ``delimiter`` the first line tells it; without ``encoding`` it is UTF-8 or what the
    file's byte order mark says. ``rate`` is the most events a second. What the gates have not
    folded keeps every request waiting: one gate folds some 8,400 a second (bench/gate.py), so that
    2,000 leave it time for its requests.
    """

    file: Path
    kind: ListKind
    mapped: Mapping[Column, str]
    defaults: Defaults
    heading: bool = True
    delimiter: str | None = None
    encoding: str | None = None
    rate: int = 2_000
    dry_run: bool = False


@dataclass(slots=True)
class Outcome:
    """
    What became of a file, over all runs that it took.

    ``imported`` are acknowledged; in a dry run, what would be sent. ``went_on_after`` is the line
    after which this run went on. ``failure`` ended it early: then ``unacknowledged`` events are to
    be sent again, which the same order does.
    """

    records: int = 0
    imported: int = 0
    refused: dict[Fault, int] = field(default_factory=dict)
    refused_file: Path | None = None
    went_on_after: int | None = None
    used: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    unacknowledged: int = 0
    failure: ConsentGateError | None = None


def refused_path(file: Path) -> Path:
    """Where the refused lines of a list go."""
    return file.with_name(f"{file.name}.refused.csv")


def journal_path(file: Path) -> Path:
    """Where it is noted how far the import of a list got."""
    return file.with_name(f"{file.name}.import-state.json")


def import_list(
    order: Order,
    sends: Sends,
    *,
    subject_id: Callable[[str], bytes],
    advanced: Callable[[int], None] = lambda _bytes: None,
) -> Outcome:
    """
    Import one file. Blocks until it is done; memory is bounded whatever its size.

    Goes on where a run of the same order over the same content was ended; anything else begins
    anew. ``advanced`` is called after each piece with how many bytes of the file have been read. An
    error that comes once it is under way is returned in the outcome, so that what was done can be
    told. Raises :class:`ConfigError` for a file that cannot be read, or not as the order says, and
    :class:`StoreInUse` where another process imports it. No text has anything out of the file.
    """
    with _locked(order.file) as raw:
        before = os.fstat(raw.fileno())
        encoding = order.encoding or _encoding_of(raw)
        source = io.TextIOWrapper(raw, encoding, errors="surrogateescape", newline="")
        try:
            outcome = _Run(order, sends, raw, source, encoding, subject_id).run(advanced)
        except UnicodeError:
            raise ConfigError(
                f"{order.file} is not text in {encoding}. Say how it was written: --encoding."
            ) from None
        after = os.fstat(raw.fileno())
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise ConfigError(f"{order.file} was changed while it was read: import it again.")
    return outcome


class _Run:
    """One run over one open file."""

    def __init__(
        self,
        order: Order,
        sends: Sends,
        raw: BinaryIO,
        source: TextIO,
        encoding: str,
        subject_id: Callable[[str], bytes],
    ) -> None:
        self._order = order
        self._sends = sends
        self._raw = raw
        self._journal = Journal(journal_path(order.file))
        self._noted = self._where_to_go_on(encoding)
        self._went_on_after = self._noted.line or None
        self._pace = _Pace(order.rate, sends)
        self._lines = LineReader(source, order.delimiter)
        self._layout, heading = _layout(order, self._lines)
        self._lines.expect(self._layout.width)
        self._refused = RefusedLines(
            refused_path(order.file),
            encoding,
            self._lines.delimiter,
            heading,
            self._noted.refused_bytes,
        )
        self._reading = LineReading(
            order.kind,
            self._layout,
            replace(order.defaults, occurred_at=self._noted.dated_ms),
            subject_id=subject_id,
            now_ms=time.time_ns() // 1_000_000,
        )

    def run(self, advanced: Callable[[int], None]) -> Outcome:
        """Import what is not done yet."""
        failure: ConsentGateError | None = None
        self._lines.skip_to(self._noted.line)
        try:
            records = iter(self._lines)
            while piece := list(islice(records, PIECE)):
                self._do(piece)
                advanced(self._raw.tell())
            if not self._order.dry_run:
                self._journal.remove()
        except ConsentGateError as error:
            failure = error
        finally:
            self._refused.close()
        noted = self._noted
        return Outcome(
            records=noted.records,
            imported=noted.imported,
            refused={Fault[name]: count for name, count in noted.refused.items()},
            refused_file=self._refused.path if noted.refused else None,
            went_on_after=self._went_on_after,
            used=self._layout.used,
            unused=self._layout.unused,
            unacknowledged=self._sends.unacknowledged,
            failure=failure,
        )

    def _do(self, piece: list[CsvRecord]) -> None:
        """Send a piece or write it down as refused, wait for both, and note it."""
        faults: Counter[str] = Counter()
        for record in piece:
            read = self._read(record)
            if isinstance(read, Fault):
                faults[read.name] += 1
                self._refused.add(record, read)
            else:
                self._pace.keep()
                self._sends.send(read)
        self._sends.settle()
        noted = self._noted
        noted.refused_bytes = self._refused.settle()
        noted.line = piece[-1].last
        noted.records += len(piece)
        noted.imported += len(piece) - faults.total()
        noted.refused = dict(faults + Counter(noted.refused))
        if not self._order.dry_run:
            self._journal.write(noted)

    def _read(self, record: CsvRecord) -> ConsentEvent | Fault:
        if record.fields is not None:
            return self._reading.read(record.fields)
        return Fault.TOO_LONG if record.text is None else Fault.NOT_CSV

    def _where_to_go_on(self, encoding: str) -> Progress:
        """Give what was noted of this very list and order, else the beginning."""
        order = self._order
        defaults = order.defaults
        digest = _digest(self._raw)
        said = (
            digest,
            self._sends.destination,
            order.kind.value,
            sorted((column.value, name) for column, name in order.mapped.items()),
            (defaults.dialled_from, defaults.purpose, defaults.basis.value),
            (defaults.occurred_at, defaults.date_format),
            (order.heading, order.delimiter, encoding),
        )
        same = hashlib.sha256(repr(said).encode()).hexdigest()
        noted = None if order.dry_run else self._journal.read()
        if noted is not None and noted.same == same and self._refused_stand(noted):
            return noted
        # The refused lines of a run that did not end are written anew: what it noted is void.
        self._journal.remove()
        return Progress(same, dated_ms=self._dated())

    def _refused_stand(self, noted: Progress) -> bool:
        """Whether the refused lines that were noted are still there. If not, they are due again."""
        path = refused_path(self._order.file)
        kept = noted.refused_bytes
        return kept is None or (path.is_file() and path.stat().st_size >= kept)

    def _dated(self) -> int | None:
        """
        Give the date of lines without one: for suppressions that of the file itself.

        A later list with the same number says anew that it is suppressed, and counts anew; the same
        list again is the same events.
        """
        order = self._order
        if order.kind is ListKind.SUPPRESSIONS and order.defaults.occurred_at is None:
            return int(os.fstat(self._raw.fileno()).st_mtime) * 1_000
        return order.defaults.occurred_at


class _Pace:
    """Lets no more than so many events a second pass."""

    def __init__(self, rate: int, sends: Sends) -> None:
        self._rate = rate
        self._sends = sends
        self._count = 0
        self._began = time.monotonic()

    def keep(self) -> None:
        """Count one event, and wait if it comes too early."""
        self._count += 1
        if self._count % _PACED_EVERY == 0:
            early = self._began + self._count / self._rate - time.monotonic()
            if early > 0:
                self._sends.wait(early)


def _layout(order: Order, lines: LineReader) -> tuple[Layout, str | None]:
    """Read the first line: the columns, and the heading as it stands if there is one."""
    first = next(iter(lines), None)
    if first is None:
        raise ConfigError(f"{order.file} is empty.")
    if first.fields is None:
        raise ConfigError(f"{order.file}, line {first.first}: this is not CSV.")
    try:
        if order.heading:
            return layout_of(first.fields, order.kind, order.mapped), first.text
        lines.give_back(first)
        return layout_by_place(len(first.fields), order.kind, order.mapped), None
    except ConfigError as error:
        raise ConfigError(f"{order.file}, {error}") from None


@contextmanager
def _locked(file: Path) -> Iterator[BinaryIO]:
    """Open a file for this process alone."""
    try:
        raw = file.open("rb")
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error
    with raw:
        if not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
            raise ConfigError(f"{file} is not a file: an import may have to read it twice.")
        try:
            fcntl.flock(raw, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreInUse(f"Another process is importing {file}.") from error
        yield raw


def _digest(raw: BinaryIO) -> str:
    """Read the file once, and go back to its beginning."""
    digest = hashlib.sha256()
    while piece := raw.read(1 << 20):
        digest.update(piece)
    raw.seek(0)
    return digest.hexdigest()


def _encoding_of(raw: BinaryIO) -> str:
    """Tell by the byte order mark; without one it is UTF-8."""
    start = raw.read(4)
    raw.seek(0)
    return next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
