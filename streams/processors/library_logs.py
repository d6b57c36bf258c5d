"""
What Faust, mode, aiokafka and asyncio log, without what they put into it.

Their lines can hold keys and values of records (guarantee I7), and at some levels do. A line is
told by its logger and its template, never by its arguments; an error only by class and place.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from streams.telemetry.logs import get_logger
from streams.telemetry.redaction import described

_LIBRARIES: Final = (
    *("faust", "mode", "aiokafka", "asyncio", "kafka"),
    # Classes of Faust that are ours by name: mode gives each the logger of its module.
    *("streams.processors.transport", "streams.processors.app"),
)
_QUOTES: Final = frozenset({"asyncio"})
"""They format reprs of tasks and errors into the template itself."""


class _WithoutArguments(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        library = record.name.partition(".")[0]
        said: dict[str, Any] = {"library": record.name}
        if library not in _QUOTES:
            said["template"] = str(record.msg)[:200]
        error = record.exc_info[1] if record.exc_info else None
        if error is None and isinstance(record.args, tuple):
            error = next((arg for arg in record.args if isinstance(arg, BaseException)), None)
        if error is not None:
            said |= described(error)
        get_logger().log(record.levelno, "library_logged", **said)


def tame_library_logs() -> None:
    """
    Send the libraries' warnings and errors through ours, stripped; drop what is below.

    May be called again. Their handlers are taken away: Faust and mode bring none of their own
    unless asked to, which they are not.
    """
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers[:] = [_WithoutArguments()]
        logger.propagate = False
        logger.setLevel(logging.WARNING)
