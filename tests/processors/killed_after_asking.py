"""
A worker with the agent of questions that is killed (-9) at one moment: the question is on the
brokers, and nothing counts yet of the batch it belongs to.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from streams.cli.main import main
from streams.processors import agents, outbox
from streams.processors.outbox import Written
from streams.processors.questions import questions
from streams.processors.state_log import key_of

_deliver = outbox.Outbox.deliver


async def _killed_before_the_mark(self: outbox.Outbox, records: Sequence[Written]) -> None:
    if any(record.key == key_of("questions", "") for record in records):
        os.kill(os.getpid(), signal.SIGKILL)
    await _deliver(self, records)


if __name__ == "__main__":
    outbox.Outbox.deliver = _killed_before_the_mark  # type: ignore[method-assign]
    agents.AGENTS = (questions,)
    main()
