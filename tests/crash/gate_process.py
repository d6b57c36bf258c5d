"""
A gate in a process of its own that can be made to die at a step.

``python -m tests.crash.gate_process SETTINGS.json [STEP ARMED TURN]``: once the file ARMED is
there, it kills itself with SIGKILL in the next transaction of its producer TURN (0 or 1; 2: in the
second transaction, whosever it is) that carries requests, at STEP. What it says of itself goes to
standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streams.config import Settings
from streams.gate.assembly import assembled
from streams.gate.transaction import Transactor
from streams.state.subjects import Subjects
from streams.telemetry.health import Health
from streams.telemetry.http import TelemetryServer
from streams.telemetry.logs import configure_logging
from streams.telemetry.telemetry import Telemetry

STEPS = ("after begin", "after produce", "after offsets", "during commit", "before the store")
"""Where it can die. *During commit*: a moment after the commit was asked for, whatever it does."""


SECOND = 2
"""In the place of a producer: whichever has the second transaction from now on."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(step: str, armed: Path, turn: int) -> None:
    """Wrap the transaction's steps. Nothing in the product knows of this."""
    doomed = False
    lived_through = 0
    run, committed = Transactor.run, Subjects.committed

    def counting(self: Transactor, outputs: Any, *rest: Any, **options: Any) -> None:
        nonlocal doomed, lived_through
        outputs = list(outputs)
        if armed.exists() and any("decisions" in output.topic for output in outputs):
            doomed = lived_through == 1 if turn == SECOND else self._turn == turn
            lived_through += 1
        before: Callable[[str], None] = options.pop("before")

        def dying(name: str) -> None:
            before(name)
            if doomed and name == {
                "after begin": "produce",
                "after produce": "offsets",
                "after offsets": "commit",
            }.get(step):
                assert self._open is not None
                self._open.flush(60)  # what was produced is on the broker, uncommitted
                die()
            if doomed and step == "during commit" and name == "commit":
                threading.Timer(0.001, die).start()

        run(self, outputs, *rest, before=dying, **options)

    def storing(self: Subjects, *rest: Any) -> None:
        if doomed and step == "before the store":
            die()
        committed(self, *rest)

    Transactor.run = counting  # type: ignore[method-assign]
    Subjects.committed = storing  # type: ignore[method-assign,assignment]


def main() -> None:
    values = json.loads(Path(sys.argv[1]).read_text())
    for name in ("state_dir", "secrets_dir"):
        values[name] = Path(values[name])
    settings = Settings.model_validate(values)
    if len(sys.argv) > 2:
        die_at(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    configure_logging(settings.log_level)
    telemetry = Telemetry()
    health = Health(telemetry)
    server = TelemetryServer(telemetry, health, settings.http_host, settings.http_port)
    print(f"url={server.url}", flush=True)
    with assembled(settings, telemetry, health) as gate:
        signal.signal(signal.SIGTERM, lambda *_: gate.stop())
        gate.run()
    server.stop()
    print(f"stopped {time.time()}", flush=True)


if __name__ == "__main__":
    main()
