"""
One partition of one agent: the loop around its handler, and the only place that acknowledges.

A batch goes through these steps, in this order, and nothing of it is acknowledged before the last:

1. *Skip* what the state has applied already.
2. *Decode.* What can never be read becomes a dead letter.
3. *Handle.* The agent's function; its changes of the state are kept aside.
4. *Deliver* outputs, dead letters and the state's entries; wait until all are acknowledged. Then
   deliver what may only follow them (:attr:`Effects.then`), and wait again.
5. *Mark*, if the state changed: from here on the batch counts (:mod:`~.state_log`).
6. *Acknowledge* (:meth:`Hands.done`), and tell the metrics.

A failure before step 5 leaves nothing that counts; outputs of step 4 may come twice, so they carry
ids made from the event. If the lane is cancelled at any point it acknowledges nothing.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final

from streams.errors import (
    DeadLetter,
    HandlerFailed,
    Retry,
    Stop,
    TooLarge,
    WorkerFailed,
)
from streams.kafka.record_size import size_of
from streams.processors.agent import TRIES, Agent, Effects, Event, Output, Place, Timer
from streams.processors.dead_letters import dead_letter
from streams.processors.kept import Kept
from streams.processors.message import Message
from streams.processors.outbox import Outbox, Written
from streams.processors.slices import R, in_slices
from streams.processors.state import AgentState
from streams.processors.state_log import Entry, Mark, Restored, key_of
from streams.telemetry.catalogue import (
    BatchHandled,
    DeadLettered,
    ErrorMet,
    EventsHandled,
    HandlingRetried,
)
from streams.telemetry.fact import Fact
from streams.telemetry.labels import EventOutcome
from streams.telemetry.telemetry import Telemetry
from streams.topology import DEAD_LETTERS, WORKER_STATE, Topic, TopicNames

FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 15.0
DELIVERY_SECONDS: Final = 120.0
"""After so long without an acknowledgement the worker ends: a new process has new connections."""
WAITING_BYTES: Final = 16 * 1024 * 1024
"""So much may wait in a lane before its partition is not fetched any more; a fetch may add as much
again. Uploads have megabytes."""
_ROOM: Final = 64 * 1024
_LOOKED_AT_ONCE: Final = 500
"""Outputs: less than a millisecond."""


@dataclass(frozen=True, slots=True)
class Hands:
    """What a lane may do in the world. All are called on the event loop."""

    names: TopicNames
    group_id: str
    outbox: Outbox
    telemetry: Telemetry
    done: Callable[[str, int, int], None]
    """Topic on the cluster, partition, next offset."""
    hold: Callable[[str, int, bool], None]
    """Fetch no more of a topic's partition, or again."""
    now_ms: Callable[[], int]
    executor: Executor | None
    """Where the agent's functions run, if not in the loop."""


class _Closing(Exception):
    """The lane was asked to end while it waited: its batch is left to whoever comes next."""


class Lane:
    """Handles one partition of one agent. Of one event loop."""

    def __init__(self, agent: Agent, partition: int, hands: Hands) -> None:
        self.agent = agent
        self.partition = partition
        self._hands = hands
        self._topics = {hands.names.of(topic): topic for topic in agent.reads}
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._held: set[str] = set()
        self._seen: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._kept = Kept({})
        self._mark = Mark(0, {})
        self._deleted: tuple[str, ...] = ()
        self._due = [(hands.now_ms() / 1000 + timer.seconds, timer) for timer in agent.timers]

    # --------------------------------------------------------------------------------- from outside

    def take(self, message: Message) -> None:
        """
        Queue a record. One that was queued before, or comes after :meth:`close`, is left out.

        Faust goes back to the committed offsets now and then; what lies between has been seen.
        """
        if self._closing.is_set() or message.offset <= self._seen.get(message.topic, -1):
            return
        self._seen[message.topic] = message.offset
        self._waiting.append(message)
        self._bytes += message.size
        self._changed.set()
        if self._too_many(2) and message.topic not in self._held:
            self._held.add(message.topic)
            self._hands.hold(message.topic, self.partition, True)

    def close(self) -> None:
        """Begin no other batch. :meth:`run` returns when the one under way has ended."""
        self._closing.set()
        self._changed.set()

    @property
    def state_items(self) -> int:
        """How many keys the state has."""
        return len(self._kept)

    async def run(self, state: Restored) -> None:
        """
        Handle batches until :meth:`close`. Raises the :class:`Stop` that ends the worker.

        ``state`` is what was restored; what is to be repaired in it is written first.
        """
        try:
            await self._repair(state)
            while not self._closing.is_set():
                batch = await self._gather()
                if batch:
                    await self._settle(batch)
                await self._act()
        except _Closing:
            pass

    # -------------------------------------------------------------------------------------- batches

    def _too_many(self, times: int) -> bool:
        return (
            len(self._waiting) >= times * self.agent.batch_max
            or self._bytes >= times * WAITING_BYTES // 2
        )

    async def _gather(self) -> list[Message]:
        """Wait for a batch, for the next timer or for the end, whichever comes first."""
        while not self._waiting and not self._closing.is_set():
            self._changed.clear()
            due = min((at for at, _ in self._due), default=None)
            left = None if due is None else due - self._hands.now_ms() / 1000
            if left is not None and left <= 0:
                return []
            await _wait(self._changed, left)
        until = time.monotonic() + self.agent.batch_seconds
        while len(self._waiting) < self.agent.batch_max and not self._closing.is_set():
            self._changed.clear()
            left = until - time.monotonic()
            if left <= 0 or not await _wait(self._changed, left):
                break
        if self._closing.is_set():
            return []
        return self._next_batch()

    def _next_batch(self) -> list[Message]:
        batch: list[Message] = []
        taken = 0
        while self._waiting and len(batch) < self.agent.batch_max and taken < WAITING_BYTES // 2:
            message = self._waiting.popleft()
            batch.append(message)
            taken += message.size
        self._bytes -= taken
        if self._held and not self._too_many(1):
            for topic in self._held:
                self._hands.hold(topic, self.partition, False)
            self._held.clear()
        return batch

    async def _settle(self, batch: Sequence[Message]) -> None:
        """Bring a batch through all steps; event by event where its handler fails on the whole."""
        applied = self._mark.applied
        fresh = [
            message
            for message in batch
            if message.offset > applied.get(self._topics[message.topic].name, -1)
        ]
        self._count(EventOutcome.APPLIED_BEFORE, len(batch) - len(fresh))
        if fresh and not await self._settled(fresh, tries=1):
            for message in fresh:
                if not await self._settled([message], tries=TRIES):
                    await self._put_aside(message, HandlerFailed(_failed(self.agent)))
                self._acknowledge([message])
        self._acknowledge(batch)

    async def _settled(self, batch: Sequence[Message], tries: int) -> bool:
        """Do steps 2 to 5; false if the handler failed ``tries`` times."""
        began = time.monotonic()
        tried = waits = 0
        while True:
            state = AgentState(self.partition, self._kept, self._mark.applied)
            try:
                effects, dead, handled = await self._handled(batch, state)
                written, then = await self._in_place(self._all_written(effects))
                break
            except Stop:
                raise
            except Retry as error:
                self._tell_retry(error)
                await self._pause(waits)
                waits += 1
            except DeadLetter as error:
                # A single event, or a batch whose handler does not say which.
                if len(batch) > 1:
                    return False
                await self._put_aside(batch[0], error)
                return True
            except Exception as error:  # noqa: BLE001 - whatever an agent raises, others go on
                tried += 1
                self._hands.telemetry.emit(ErrorMet(error))
                if tried >= tries:
                    return False
                await self._pause(tried)
        letters = [self._letter(message, error) for message, error in dead]
        applied = {
            **self._mark.applied,
            **{self._topics[message.topic].name: message.offset for message in batch},
        }
        await self._committed([*written, *letters], then, state, applied)
        self._count(EventOutcome.HANDLED, handled)
        self._tell_dead(dead)
        self._tell(effects.told)
        self._hands.telemetry.emit(BatchHandled(self.agent.name, time.monotonic() - began))
        return True

    async def _handled(
        self, batch: Sequence[Message], state: AgentState
    ) -> tuple[Effects, list[tuple[Message, DeadLetter]], int]:
        """Decode and handle; return the effects, the dead letters and how many were handled."""
        effects, dead, events = await self._in_place(self._work(batch, state))
        if inspect.isawaitable(effects):
            effects = await effects
        if effects.refused:
            messages = {(event.topic, event.offset): message for event, message in events}
            dead.extend(
                (messages[event.topic, event.offset], error) for event, error in effects.refused
            )
        return effects, dead, len(events) - len(effects.refused)

    async def _in_place(self, work: Generator[None, None, R]) -> R:
        return await in_slices(work, self.agent.place, self._hands.executor)

    def _work(
        self, batch: Sequence[Message], state: AgentState
    ) -> Generator[
        None,
        None,
        tuple[
            Effects | Awaitable[Effects],
            list[tuple[Message, DeadLetter]],
            list[tuple[Event[Any], Message]],
        ],
    ]:
        events: list[tuple[Event[Any], Message]] = []
        dead: list[tuple[Message, DeadLetter]] = []
        for message in batch:
            topic = self._topics[message.topic]
            try:
                record = self.agent.reads[topic](message.value)
            except DeadLetter as error:
                dead.append((message, error))
                continue
            event = Event(
                topic,
                message.partition,
                message.offset,
                message.timestamp,
                message.key,
                record,
                message.headers,
            )
            events.append((event, message))
            yield
        if not events:
            return Effects(), dead, events
        handled = self.agent.handle([event for event, _ in events], state)
        if isinstance(handled, Generator):
            handled = yield from handled
        return handled, dead, events

    # --------------------------------------------------------------------------------------- timers

    async def _act(self) -> None:
        """Do what is due. What fails is told, and tried at its next turn."""
        now = self._hands.now_ms()
        for index, (at, timer) in enumerate(self._due):
            if at * 1000 > now or self._closing.is_set():
                continue
            self._due[index] = (now / 1000 + timer.seconds, timer)
            await self._take_turn(timer, now)

    async def _take_turn(self, timer: Timer, now: int) -> None:
        state = AgentState(self.partition, self._kept, self._mark.applied)
        try:
            if self.agent.place is Place.THREAD:
                effects = await asyncio.get_running_loop().run_in_executor(
                    self._hands.executor, timer.act, now, state
                )
            else:
                effects = timer.act(now, state)
            written = [self._written(output) for output in effects.outputs]
            then = [self._written(output) for output in effects.then]
        except Stop:
            raise
        except Exception as error:  # noqa: BLE001 - a timer never ends the worker
            self._hands.telemetry.emit(ErrorMet(error))
            return
        await self._committed(written, then, state, self._mark.applied)
        self._tell(effects.told)

    # -------------------------------------------------------------------------------------- writing

    async def _committed(
        self,
        outputs: Sequence[Written],
        then: Sequence[Written],
        state: AgentState,
        applied: Mapping[str, int],
    ) -> None:
        """Do steps 4 and 5."""
        changes = state.changes()
        tombstones = [self._state_record(key, None) for key in self._deleted if key not in changes]
        if not changes:
            # Their deletion counts already: what they held must not stay until something changes.
            await self._delivered([*outputs, *tombstones])
            await self._delivered(then)
            self._deleted = ()
            return
        batch = self._mark.batch + 1
        entries = [
            self._state_record(key, Entry(batch, value, self._kept.get(key)).framed())
            for key, value in changes.items()
        ]
        await self._delivered([*outputs, *tombstones, *entries])
        await self._delivered(then)
        await self._marked(Mark(batch, applied))
        for key, value in changes.items():
            self._kept.set(key, value)
        self._deleted = tuple(key for key, value in changes.items() if value is None)

    async def _marked(self, mark: Mark) -> None:
        await self._delivered([self._state_record("", mark.framed())])
        self._mark = mark

    async def _repair(self, state: Restored) -> None:
        """Take over what was restored; write what was cut off as it was before."""
        self._kept, self._mark, self._deleted = Kept(state.kept), state.mark, state.deleted
        if not state.repairs:
            return
        batch = self._mark.batch + 1
        await self._delivered(
            [
                self._state_record(key, Entry(batch, value, value).framed())
                for key, value in state.repairs.items()
            ]
        )
        await self._marked(Mark(batch, self._mark.applied))
        self._deleted += tuple(key for key, value in state.repairs.items() if value is None)

    async def _delivered(self, records: Sequence[Written]) -> None:
        """Deliver, again and again if need be; the same records each time."""
        until = time.monotonic() + DELIVERY_SECONDS
        waits = 0
        while True:
            try:
                await self._hands.outbox.deliver(records)
                return
            except Retry as error:
                self._tell_retry(error)
                if time.monotonic() > until:
                    raise WorkerFailed(
                        f"Agent {self.agent.name} could not write its records for "
                        f"{DELIVERY_SECONDS:.0f} s, so the worker ends. Nothing is lost: start it "
                        f"again. Last: {error}"
                    ) from error
                await self._pause(waits)
                waits += 1

    def _all_written(
        self, effects: Effects
    ) -> Generator[None, None, tuple[list[Written], list[Written]]]:
        written: list[Written] = []
        for start in range(0, len(effects.outputs), _LOOKED_AT_ONCE):
            some = effects.outputs[start : start + _LOOKED_AT_ONCE]
            written += map(self._written, some)
            yield
        return written, [self._written(output) for output in effects.then]

    def _written(self, output: Output) -> Written:
        size = size_of(output.key, output.value, output.headers)
        if size > output.topic.max_message_bytes - _ROOM:
            # Retried, it would be refused for ever.
            raise TooLarge(f"A record for {output.topic.name} would have {size} bytes.")
        topic, partition, key, value, headers = output
        return Written(self._hands.names.of(topic), partition, key, value, headers)

    def _state_record(self, key: str, value: bytes | None) -> Written:
        topic = self._hands.names.of(WORKER_STATE)
        return Written(topic, self.partition, key_of(self.agent.name, key), value)

    def _letter(self, message: Message, error: DeadLetter) -> Written:
        topic = self._hands.names.of(DEAD_LETTERS)
        return dead_letter(message, error, topic=topic, group_id=self._hands.group_id)

    async def _put_aside(self, message: Message, error: DeadLetter) -> None:
        await self._delivered([self._letter(message, error)])
        self._tell_dead([(message, error)])

    # ----------------------------------------------------------------------- acknowledging, telling

    def _acknowledge(self, batch: Sequence[Message]) -> None:
        for topic, offset in {message.topic: message.offset for message in batch}.items():
            self._hands.done(topic, self.partition, offset + 1)

    async def _pause(self, waits: int) -> None:
        seconds = min(FIRST_PAUSE_SECONDS * 2**waits, LONGEST_PAUSE_SECONDS)
        if await _wait(self._closing, seconds):
            raise _Closing

    def _count(self, outcome: EventOutcome, count: int) -> None:
        if count:
            self._hands.telemetry.emit(EventsHandled(self.agent.name, outcome, count))

    def _tell_dead(self, dead: Sequence[tuple[Message, DeadLetter]]) -> None:
        self._count(EventOutcome.DEAD_LETTERED, len(dead))
        counts: dict[tuple[Topic, str], int] = {}
        for message, error in dead:
            which = (self._topics[message.topic], error.cause)
            counts[which] = counts.get(which, 0) + 1
        for (topic, cause), count in counts.items():
            self._hands.telemetry.emit(DeadLettered(topic, cause, count))

    def _tell(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            self._hands.telemetry.emit(fact)

    def _tell_retry(self, error: Retry) -> None:
        self._hands.telemetry.emit(HandlingRetried(self.agent.name, error))


async def _wait(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait for an event at most so long; whether it is set."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _failed(agent: Agent) -> str:
    return f"Agent {agent.name} failed on it {TRIES} times; the log says where."
