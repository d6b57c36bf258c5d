"""
Log lines: JSON on standard error, readable ones on a terminal, no personal data in either.

Everything goes one way: structlog and the standard library's loggers (librdkafka's among them, to
be given as ``logger=`` to a client) end in one handler, which describes errors without quoting
foreign texts and takes out of the finished line whatever looks like a phone number.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import MutableMapping
from enum import Enum
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from streams.config import LogLevel
from streams.telemetry.redaction import described, redact

KAFKA_LOGGER = "librdkafka"
"""The name of the logger that Kafka clients are given."""


class LogStyle(Enum):
    """How a line looks."""

    AUTO = "auto"
    """Readable on a terminal, else JSON."""
    JSON = "json"


_LEVELS = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARNING: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
}


def get_logger(name: str = "consent_gate") -> structlog.stdlib.BoundLogger:
    """
    Return a logger whose lines go the one way, whether or not logging is configured yet.

    Before :func:`configure_logging` the standard library shows warnings and errors only.
    """
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return logger


def configure_logging(level: LogLevel = LogLevel.INFO, style: LogStyle = LogStyle.AUTO) -> None:
    """
    Send all log lines of this process to standard error, from ``level`` on.

    Also warnings, and errors that nobody caught, in any thread: the interpreter's own report of
    those would print their texts. May be called again; the last call counts.
    """
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(handler)
    root.addHandler(_Handler(sys.stderr, style))
    root.setLevel(_LEVELS[level])
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    sys.excepthook = _tell_uncaught
    threading.excepthook = _tell_uncaught_in_thread
    sys.unraisablehook = _tell_unraisable


class _Handler(logging.StreamHandler[TextIO]):
    """Writes finished lines. What cannot be formatted is named by its logger, never quoted."""

    def __init__(self, stream: TextIO, style: LogStyle) -> None:
        super().__init__(stream)
        readable = style is LogStyle.AUTO and stream.isatty()
        render: Processor
        if readable:
            render = structlog.dev.ConsoleRenderer(colors=True)
        else:
            render = structlog.processors.JSONRenderer(ensure_ascii=False)
        self.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[],
                processors=[
                    structlog.stdlib.add_log_level,
                    structlog.stdlib.add_logger_name,
                    structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
                    _describe_errors,
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    _in_order,
                    _Redacted(render),
                ],
            )
        )

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Tell that a line was lost; logging's own report would print its arguments."""
        if isinstance(sys.exception(), OSError):
            return  # standard error itself is gone, there is nowhere to tell it
        self.stream.write(f'{{"event": "log_line_lost", "logger": "{record.name}"}}\n')


class _Redacted:
    """Renders a line, then takes out what looks like a phone number: keys, values, nested ones."""

    def __init__(self, render: Processor) -> None:
        self._render = render

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        return redact(str(self._render(logger, method, event)))


def _describe_errors(
    logger: WrappedLogger, method: str, event: EventDict
) -> MutableMapping[str, Any]:
    """Replace an exception, given as ``exc_info`` or as a value, by what may be told of it."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    if isinstance(given, tuple):
        given = given[1]
    if isinstance(given, BaseException):
        event.update(described(given))
    event.pop("stack_info", None)
    for key, value in event.items():
        if isinstance(value, BaseException):
            event[key] = described(value)
    return event


def _in_order(logger: WrappedLogger, method: str, event: EventDict) -> MutableMapping[str, Any]:
    """Put first what every line has, so that raw lines can be read from above to below."""
    first = {key: event.pop(key) for key in ("timestamp", "level", "event", "logger")}
    return {**first, **event}


def _tell_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if isinstance(error, KeyboardInterrupt):
        return
    get_logger().critical("uncaught_error", exc_info=error)


def _tell_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        name = args.thread.name if args.thread is not None else "?"
        get_logger().critical("uncaught_error", exc_info=args.exc_value, thread=name)


def _tell_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    if unraisable.exc_value is not None:
        get_logger().error("unraisable_error", exc_info=unraisable.exc_value)
