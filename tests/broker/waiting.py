"""Waiting for a condition with a deadline."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], within_seconds: float, what: str) -> None:
    """Return as soon as ``condition()`` holds; fail with ``what`` when the time is over."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_seconds} s: {what}")
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    """Say whether no process has this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
