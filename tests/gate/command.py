"""The command ``consent-gate gate``, as a company runs it: a process with a file of settings."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.gate.bed import Bed


class GateCommand:
    """One such process and what it wrote to standard error."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def said(self) -> str:
        """All that it has written to standard error so far."""
        return self._log.read_text()


@contextmanager
def gate_command(
    bed: Bed, instance_id: str, name: str | None = None, **changes: Any
) -> Iterator[GateCommand]:
    """Run the command until the block ends; ``name`` tells two of one ``instance_id`` apart."""
    settings = bed.settings.model_copy(update={"http_port": 0, **changes})
    config, log = (bed.folder / f"{name or instance_id}.{end}" for end in ("yaml", "log"))
    # Any JSON is YAML.
    config.write_text(json.dumps(settings.model_dump(mode="json", exclude_defaults=True)))
    run = "from streams.cli.main import main; main()"
    command = [sys.executable, "-c", run, "--config", str(config)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "gate", "--instance-id", instance_id], stderr=out, stdout=out
        )
    try:
        yield GateCommand(process, log)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)
