"""A telemetry of its own for each test, and the log lines it writes."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from streams.config import LogLevel
from streams.telemetry.logs import configure_logging
from streams.telemetry.telemetry import Telemetry


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(CollectorRegistry())


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a process with logging configured writes; everything is put back afterwards."""
    written = io.StringIO()
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    monkeypatch.setattr(sys, "stderr", written)
    configure_logging(LogLevel.INFO)
    yield written
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def lines(stderr: io.StringIO) -> Callable[[], list[dict[str, Any]]]:
    """The lines written so far, each of which must be a JSON object."""
    return lambda: [json.loads(line) for line in stderr.getvalue().splitlines()]
