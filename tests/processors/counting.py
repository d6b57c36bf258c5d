"""An agent for tests: it counts what it reads, by key, and passes each record on."""

from __future__ import annotations

from typing import Any

from streams.errors import Undecodable
from streams.processors.agent import Agent, Effects, Event, Output, Tools, each
from streams.processors.state import AgentState
from streams.topology import SMS_INBOUND, UPLOADS_COMPLETED


def text_of(value: bytes | None) -> str:
    """Read a value that is text, and refuse every other one."""
    if value is None:
        raise Undecodable("not a text: it is empty")
    try:
        return value.decode()
    except UnicodeDecodeError:
        pass
    raise Undecodable("not a text")


def count(event: Event[str], state: AgentState) -> Effects:
    """Count the event under its key, and pass it on with the count it came to."""
    key = (event.key or b"").hex()
    so_far = int(state.get(key) or b"0") + 1
    state.put(key, str(so_far).encode())
    value = f"{event.record}={so_far}".encode()
    return Effects([Output(UPLOADS_COMPLETED, event.partition, event.key, value)])


def counting(_tools: Tools, **changes: Any) -> Agent:
    """The agent of that function, reading ``sms.inbound``."""
    values: dict[str, Any] = {"handle": each(count), **changes}
    return Agent("counting", {SMS_INBOUND: text_of}, **values)
