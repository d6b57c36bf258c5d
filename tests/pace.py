"""How much this machine has to do besides: for the few tests that bound a time from above."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final

IDLE_SECONDS: Final = 0.05
"""What a Python that does nothing takes from its start to its end, on an idle machine 0.02."""


def allowed(seconds: float) -> float:
    """
    Return how long may be taken just now by what may take ``seconds`` on an idle machine.

    As many times longer as a Python takes to start and end, the slowest of three; never less.
    """
    slowest = 0.0
    for _ in range(3):
        began = time.monotonic()
        subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)
        slowest = max(slowest, time.monotonic() - began)
    return seconds * max(1.0, slowest / IDLE_SECONDS)


def until_in_time(took: list[float], seconds: float) -> Iterator[None]:
    """
    Yield for a try, whose time the caller adds to ``took``, until one is within ``seconds``.

    Three times at most: a machine that is busy with something else may be late once.
    """
    while len(took) < 3 and min(took, default=seconds) >= seconds:
        yield
