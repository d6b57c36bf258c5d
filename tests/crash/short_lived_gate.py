"""
A gate in a process of its own that dies in a rebalance, or at a step of a transaction.

``python -m tests.crash.short_lived_gate SETTINGS.json WHERE TURN``. Its session may be shorter than
the settings allow, so that a test need not wait six seconds for every successor.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer

from streams.config import Settings
from streams.gate.assembly import assembled
from streams.gate.assignment import Assignment
from streams.telemetry.health import Health
from streams.telemetry.telemetry import Telemetry
from tests.crash.gate_process import die, die_at
from tests.gate.bed import PATIENCE, Bed

GIVING_UP = "giving up"
"""In the callback by which partitions are taken away from it."""
TAKING_OVER = "taking over"
"""In the callback by which partitions come to it: it has its share when it dies."""
AFTER_OFFSETS = "after offsets"
"""Once :func:`arm` was called: when all of a batch is on the broker but the commit."""

SESSION_MS = 3_000
"""A gate or a broker that a busy machine holds up for longer is fenced, and its test fails."""


def hasty(bed: Bed) -> Bed:
    """Shorten the sessions of this bed's gates, and make them hear sooner of rebalances."""
    bed.settings = bed.settings.model_copy(
        update={
            "session_timeout_ms": SESSION_MS,
            "kafka": {**bed.settings.kafka, "heartbeat.interval.ms": "200"},
        }
    )
    return bed


@contextmanager
def short_lived_gate(
    bed: Bed, instance_id: str, where: str, turn: int = 0
) -> Iterator[subprocess.Popen[bytes]]:
    """
    Run such a gate on a hasty bed; kill it at the end if it is still there.

    ``turn`` says in a transaction of which of its two producers it dies, or in the second one.
    """
    values = bed.settings.model_dump(mode="json", exclude_defaults=True)
    values |= {"instance_id": instance_id, "http_port": 0}
    config = bed.folder / f"{instance_id}.json"
    config.write_text(json.dumps(values))
    with (bed.folder / f"{instance_id}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.short_lived_gate", str(config), where, str(turn)],
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(60)


def arm(bed: Bed, instance_id: str) -> None:
    """From now on this gate dies at the step of the transaction that it was given."""
    (bed.folder / f"{instance_id}.armed").touch()


def killed(process: subprocess.Popen[bytes], seconds: float = PATIENCE) -> bool:
    """Wait until it has died, and say whether by kill -9, which nobody else here sends."""
    return process.wait(seconds) == -signal.SIGKILL


def _settings(path: Path) -> Settings:
    values: dict[str, Any] = json.loads(path.read_text())
    session_ms = values.pop("session_timeout_ms")
    for name in ("state_dir", "secrets_dir"):
        values[name] = Path(values[name])
    return Settings.model_validate(values).model_copy(update={"session_timeout_ms": session_ms})


def dying_of_a_share(assignment: Assignment, consumer: Consumer, share: list[Any]) -> None:
    """Stand in for the callback of an assignment: a gate may get nothing at first."""
    if share:
        die()
    consumer.assign(share)


def main() -> None:
    config, where = Path(sys.argv[1]), sys.argv[2]
    settings = _settings(config)
    match where:
        case "giving up":
            Assignment._on_revoke = lambda *_: die()  # type: ignore[method-assign]
        case "taking over":
            Assignment._on_assign = dying_of_a_share  # type: ignore[method-assign]
        case _:
            die_at(where, config.with_suffix(".armed"), int(sys.argv[3]))
    telemetry = Telemetry()
    with assembled(settings, telemetry, Health(telemetry)) as gate:
        signal.signal(signal.SIGTERM, lambda *_: gate.stop())
        gate.run()


if __name__ == "__main__":
    main()
