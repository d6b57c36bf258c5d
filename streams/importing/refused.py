"""The refused lines, for people to mend: beside the file, readable by its owner only."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from streams.errors import ConfigError
from streams.importing.lines import CsvRecord
from streams.importing.reading import Fault

HEADING = ("refused_line", "refused_because")


class RefusedLines:
    """
    The file ``FILE.refused.csv``: each refused line as it stood, after its number and the reason.

    With the heading of the file itself, so that it can be mended and imported like that one. Made
    when the first line comes; mode 0600. Raises :class:`ConfigError` when it cannot be written.
    """

    def __init__(
        self, path: Path, encoding: str, delimiter: str, heading: str | None, kept: int | None
    ) -> None:
        """
        ``kept`` is how many bytes of what is there are still good; None: nothing, it is removed.
        """
        self.path = path
        self._encoding = encoding
        self._delimiter = delimiter
        self._heading = heading
        self._kept = kept
        self._out: TextIO | None = None
        if kept is None:
            with suppress(FileNotFoundError):
                path.unlink()

    def add(self, line: CsvRecord, fault: Fault) -> None:
        """Write one line. One that is too long is named, and left out."""
        out = self._open()
        out.write(self._row((str(line.first), fault.value), line.text or ""))

    def settle(self) -> int | None:
        """See that all is on the disk; give how many bytes that is, None where there is no file."""
        if self._out is None:
            return self._kept
        self._out.flush()
        os.fsync(self._out.fileno())
        return os.fstat(self._out.fileno()).st_size

    def close(self) -> None:
        if self._out is not None:
            self._out.close()

    def _open(self) -> TextIO:
        if self._out is not None:
            return self._out
        try:
            # Never through a link, and never into a file that somebody else has made ready.
            flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_APPEND
            if self._kept is None:
                handle = os.open(self.path, flags | os.O_CREAT | os.O_EXCL, 0o600)
            else:
                handle = os.open(self.path, flags)
                os.ftruncate(handle, self._kept)
            self._out = os.fdopen(
                handle, "a", encoding=self._encoding, errors="surrogateescape", newline=""
            )
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written: {error.strerror}.") from error
        if self._kept is None and self._heading is not None:
            self._out.write(self._row(HEADING, self._heading))
        return self._out

    def _row(self, before: tuple[str, str], text: str) -> str:
        end = "" if text.endswith(("\n", "\r")) else "\n"
        ours = [each.replace(self._delimiter, " ") for each in before]
        return self._delimiter.join((*ours, text)) + end
