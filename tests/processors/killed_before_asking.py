"""
A worker with the agent of replies that is killed (-9) at one moment: what is to be written first is
on the brokers, and what may only follow it was not written.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from streams.cli.main import main
from streams.processors import agents, outbox
from streams.processors.outbox import Written
from streams.processors.replies import replies
from streams.topology import SMS_REQUESTED

_deliver = outbox.Outbox.deliver


async def _killed_before_asking(self: outbox.Outbox, records: Sequence[Written]) -> None:
    if any(record.topic.endswith(SMS_REQUESTED.name) for record in records):
        os.kill(os.getpid(), signal.SIGKILL)
    await _deliver(self, records)


if __name__ == "__main__":
    outbox.Outbox.deliver = _killed_before_asking  # type: ignore[method-assign]
    agents.AGENTS = (replies,)
    main()
