"""
How far an import got, in a small file beside the list: ``FILE.import-state.json``.

It is written after the events up to a line were acknowledged by Kafka and the refused lines are on
the disk. So after a crash some events are sent again, which changes nothing, and none is left out.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from streams.errors import ConfigError

_VERSION: Final = 1


@dataclass(slots=True)
class Progress:
    """
    What was done up to and with ``line``: all before it is acknowledged or refused.

    ``same`` is a digest of the list, of how it is read and of where it goes: what was done of
    another one counts for nothing. ``dated_ms`` is what lines without a date were dated;
    ``refused_bytes`` how long the file of the refused lines is (None: there is none).
    """

    same: str
    dated_ms: int | None
    line: int = 0
    records: int = 0
    imported: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    refused_bytes: int | None = None


class Journal:
    """The file. One import at a time uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Progress | None:
        """Give what was noted last; None where nothing was, or nothing that can be used."""
        try:
            noted = json.loads(self.path.read_text(encoding="utf-8"))
            if noted.pop("version") != _VERSION:
                return None
            return Progress(**noted)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # Sending all again changes nothing; going on at the wrong place would.
            return None

    def write(self, progress: Progress) -> None:
        """Note it so that a crash leaves the old note or the new one. Blocks for the disk."""
        beside = self.path.with_name(f"{self.path.name}.new")
        text = json.dumps({"version": _VERSION, **asdict(progress)}, indent=1)
        try:
            with suppress(FileNotFoundError):
                beside.unlink()
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(self.path)
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be written: {error.strerror}.") from error

    def remove(self) -> None:
        """Forget it: the import is done."""
        with suppress(FileNotFoundError):
            self.path.unlink()
