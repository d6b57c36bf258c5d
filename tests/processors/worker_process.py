"""
``consent-gate worker`` in a process of its own, with the counting agent or others.

``python -m tests.processors.worker_process --config FILE worker …``: the command line as it is;
only the list of agents is the test's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from streams.cli.main import main
from streams.processors import agents
from streams.processors.agent import MakeAgent
from streams.processors.counters import answers
from streams.processors.pauses import pauses
from tests.gate.bed import Bed
from tests.processors.counting import counting


@contextmanager
def worker_process(
    bed: Bed,
    instance_id: str = "worker-1",
    agents: str = "counting",
    module: str = __name__,
    **changes: object,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run one with these of :data:`CHOICES`; kill it at the end if it is still there.

    Its log is ``<instance_id>.log``. ``module`` is what is run in place of this one.
    """
    values = bed.settings.model_dump(mode="json", exclude_defaults=True)
    values |= {"instance_id": instance_id, "worker_http_port": 0, **changes}
    del values["http_port"]
    config = bed.folder / f"{instance_id}.yaml"
    config.write_text(json.dumps(values))
    with log_of(bed, instance_id).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "--config", str(config), "worker"],
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONWARNINGS": "error", "AGENTS": agents},
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(60)


def log_of(bed: Bed, instance_id: str = "worker-1") -> Path:
    """Where what it says of itself goes."""
    return bed.folder / f"{instance_id}.log"


CHOICES: dict[str, tuple[MakeAgent, ...]] = {
    "counting": (partial(counting, batch_max=50),),
    "answers": (answers, pauses),
    "all": agents.AGENTS,
}

if __name__ == "__main__":
    agents.AGENTS = CHOICES[os.environ["AGENTS"]]
    main()
