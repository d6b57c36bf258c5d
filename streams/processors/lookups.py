"""
The agent ``lookups``: asks whether numbers of old consents changed their holder.

The gate holds a message with NUMBER_UNCHECKED where a rule demands it, and writes whom to look up
to ``numbers.unchecked``. What the service says becomes a consent event of that number:

* *no*: NUMBER_CHECKED, from the day of the consent until now.
* *yes*: NUMBER_REASSIGNED, effective now. When the number was given up is not told, so every
  consent that is older than the answer ends; a new holder may consent at any time.
* *no data*: nothing. The number stays unchecked and its messages are held: who is not known to be
  the person who consented is not written to.

A number is asked for once in :data:`AGAIN_MS`, whatever the answer, unless for an older consent:
the gate asks anew at each message. Where the service does not answer the partition waits and asks
again. Without ``lookup_url`` nobody is asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Final

from streams.codec.codec import Codecs
from streams.errors import NotE164
from streams.kafka.placement import partition_of
from streams.processors.agent import Agent, Effects, Event, Output, Place, Timer, Tools, each
from streams.processors.reassigned_numbers import Reassigned, ReassignedNumbers
from streams.processors.state import AgentState
from streams.records.e164 import is_e164
from streams.records.events import ConsentEvent, ConsentKind, Source
from streams.records.numbers import NumberUnchecked
from streams.topology import CONSENT_EVENTS, DAY_MS, NUMBERS_UNCHECKED

AGAIN_MS: Final = DAY_MS
FORGET_SECONDS: Final = 3_600.0
TOGETHER: Final = 5
"""Questions in a batch. Each may take ``lookup_timeout_ms``, and a rebalance waits for a batch."""

Ask = Callable[[str, int], Reassigned]


def lookups(tools: Tools) -> Agent:
    """Make the agent."""
    settings = tools.settings
    ask: Ask | None = None
    if settings.lookup_url is not None:
        ask = ReassignedNumbers(
            settings.lookup_url,
            settings.lookup_token,
            timeout_seconds=settings.lookup_timeout_ms / 1000,
            per_second=settings.lookup_per_second,
        ).ask
    looking = _Looking(tools, ask)
    return Agent(
        "lookups",
        {NUMBERS_UNCHECKED: tools.codecs.unchecked.decode},
        each(looking.handle),
        timers=[Timer(FORGET_SECONDS, looking.forget)],
        place=Place.THREAD,
        batch_max=TOGETHER,
    )


class _Looking:
    def __init__(self, tools: Tools, ask: Ask | None) -> None:
        self._codecs: Final[Codecs] = tools.codecs
        self._subject_id = tools.keyring.subject_ids.of
        self._partitions = tools.partitions
        self._ask = ask

    def handle(self, event: Event[NumberUnchecked], state: AgentState) -> Effects:
        """Ask about one number, and give the consent event that the answer comes to."""
        unchecked = event.record
        if not is_e164(unchecked.number):
            raise NotE164("The number to look up is not an E.164 number.")
        if self._ask is None:
            return Effects()
        key = self._subject_id(unchecked.number).hex()
        known = state.get(key)
        if known is not None:
            asked_at, consented_at = json.loads(known)
            if event.appended_at < asked_at + AGAIN_MS and consented_at <= unchecked.consented_at:
                return Effects()
        answer = self._ask(unchecked.number, unchecked.consented_at)
        now_ms = time.time_ns() // 1_000_000
        state.put(key, json.dumps([now_ms, unchecked.consented_at]).encode())
        match answer:
            case Reassigned.NO:
                kind, effective_at = ConsentKind.NUMBER_CHECKED, unchecked.consented_at
            case Reassigned.YES:
                kind, effective_at = ConsentKind.NUMBER_REASSIGNED, now_ms
            case Reassigned.NO_DATA:
                return Effects()
        said = ConsentEvent(
            event_id=f"lookup/{event.partition}-{event.offset}",
            subject=unchecked.number,
            kind=kind,
            occurred_at=now_ms,
            source=Source.CARRIER,
            effective_at=effective_at,
        )
        number = unchecked.number.encode()
        place = partition_of(number, self._partitions)
        value = self._codecs.consent_events.encode(said)
        return Effects([Output(CONSENT_EVENTS, place, number, value)])

    def forget(self, now_ms: int, state: AgentState) -> Effects:
        """Forget who may be asked for again."""
        for key, value in list(state.items()):
            if json.loads(value)[0] + AGAIN_MS < now_ms:
                state.delete(key)
        return Effects()
