"""The bars of commands that read a topic or a file for long."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from streams.audit.topic_log import Progress as OffsetsDone
from streams.audit.topic_log import Watch


def progress_shown() -> Progress:
    """Make progress bars on standard error, if that is a terminal; they go when they are done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


@contextmanager
def watching() -> Iterator[Watch]:
    """Show a bar for each partition that is read, and how far it is."""
    with progress_shown() as shown:

        def watch(what: str, offsets: int) -> OffsetsDone:
            task = shown.add_task(what, total=offsets)
            return lambda done: shown.advance(task, done)

        yield watch
