"""
What an agent is: topics to read, how to decode them, and a function of events and state.

Everything here is a plain value. Nothing here reads a topic, writes one or acknowledges anything:
:mod:`~streams.processors.lane` does, and only it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from streams.codec.codec import Codecs
from streams.config import Settings
from streams.errors import DeadLetter
from streams.processors.state import AgentState
from streams.sealing.keyring import KeyRing
from streams.telemetry.fact import Fact
from streams.topology import Topic

R_co = TypeVar("R_co", covariant=True)

Headers = Sequence[tuple[str, bytes | str | None]]

Decode = Callable[[bytes | None], Any]
"""
Bytes to record. Raises :class:`streams.errors.DeadLetter` for what can never be read, and
:class:`streams.errors.Retry` for what cannot be read now. ``RecordCodec.decode`` is one.
"""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class Event(Generic[R_co]):
    """
    One record of a source topic, decoded.

    ``appended_at`` is the record's timestamp in milliseconds: the broker's clock where the topic
    has LogAppendTime. ``topic``, ``partition`` and ``offset`` name it for good: use them to make
    ids that come out the same when the event is redelivered. ``repr`` shows no content.
    """

    topic: Topic
    partition: int
    offset: int
    appended_at: int
    key: bytes | None = field(repr=False)
    record: R_co = field(repr=False)
    headers: Headers = field(repr=False, default=())


class Output(NamedTuple):
    """
    One record to be written, to a partition that is named and never computed.

    :func:`streams.kafka.placement.partition_of` says where a key belongs; topics with one partition
    have 0. ``value`` None is a tombstone.
    """

    topic: Topic
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def __repr__(self) -> str:
        return f"Output({self.topic.name}, partition {self.partition})"


class Refused(NamedTuple):
    """An event that its agent cannot judge, and why: it goes to ``dead-letters``, untouched."""

    event: Event[Any]
    error: DeadLetter


@dataclass(frozen=True, slots=True)
class Effects:
    """
    What a batch comes to: records to write, and events that nobody can judge.

    ``then`` is written once all else that the batch comes to is on all replicas, and before the
    events are acknowledged: what may only be asked for after something else is sure.
    ``told`` goes to metrics and log when all of it counts; after a crash at that moment, never.

    Changes of state are not in here: they are made on the :class:`AgentState` that was handed in,
    and count together with these or not at all.
    """

    outputs: Sequence[Output] = ()
    refused: Sequence[Refused] = ()
    then: Sequence[Output] = ()
    told: Sequence[Fact] = ()


GivingWay = Generator[None, None, Effects]
"""
Work that takes long: wherever it yields, other partitions of its agent may have their turn.

They have, once it has gone on for some milliseconds; so it may yield as often as it likes. Nothing
is written, kept or acknowledged before it has ended.
"""

Handle = Callable[[Sequence[Event[Any]], AgentState], Effects | Awaitable[Effects] | GivingWay]
"""
A batch of one partition's events, each topic's in offset order, to its effects.

It must not rely on being called once: after a crash the same events come again, perhaps cut into
other batches, *with the state as it was before them*. So it has to give outputs the same ids then.
It must keep nothing of its own between calls.

It may raise :class:`streams.errors.Retry` (the batch is tried again, with growing pauses, for as
long as it takes; this partition of this agent waits, no other), :class:`streams.errors.Stop` (the
worker ends with that text), :class:`streams.errors.DeadLetter` (see :func:`each`) or anything
else: then its events are tried one by one, and one that fails :data:`TRIES` times goes to
``dead-letters`` with the cause ``handler_failed``. What it changed in the state is dropped then.
"""

HandleOne = Callable[[Event[Any], AgentState], Effects | GivingWay]
Act = Callable[[int, AgentState], Effects]

TRIES: Final = 3
"""How often an event is tried whose handler raises what it should not: a fault of ours, mostly.
More would only hold up what is behind it; fewer would dead-letter what a moment had spoilt."""


class Place(Enum):
    """Where an agent's plain functions run."""

    LOOP = "loop"
    """In the event loop: for what takes milliseconds. Everything else waits meanwhile."""
    THREAD = "thread"
    """In a thread of this agent's own, decoding included: for what takes longer. The agent's
    partitions take turns in it, a slice each (:data:`GivingWay`) or else a whole batch."""


@dataclass(frozen=True, slots=True)
class Timer:
    """
    Something done every so often for each partition that this worker has.

    ``act`` gets the time in milliseconds and the partition's state, and must be idempotent: after a
    crash or a rebalance it may come sooner than ``seconds`` after the last time. It never runs
    beside the agent's handler of the same partition. An exception costs this one turn, no more.
    """

    seconds: float
    act: Act


@dataclass(frozen=True, slots=True)
class Agent:
    """
    One agent. Its partitions are independent of each other and each is handled in order.

    ``reads`` are its topics and how each is decoded; all have the partitions of
    ``sms.requested``, or all have one. No two agents of a worker may read the same topic.
    A batch has at most ``batch_max`` events and waits ``batch_seconds`` for more after its first.
    """

    name: str
    reads: Mapping[Topic, Decode]
    handle: Handle
    timers: Sequence[Timer] = ()
    place: Place = Place.LOOP
    batch_max: int = 500
    batch_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name for an agent: small letters, digits, '-'")
        if not self.reads or self.batch_max < 1 or self.batch_seconds < 0:
            raise ValueError(f"agent {self.name}: nothing to read, or a batch of nothing")


def each(handle: HandleOne) -> Handle:
    """
    Make a handler of batches from a function of one event.

    The function sees what those before it changed in the state; it may give way. Where it raises
    :class:`~streams.errors.DeadLetter` that event is dead-lettered with the error's cause, and what
    it had changed is taken back; the others are not touched.
    """

    def handle_batch(events: Sequence[Event[Any]], state: AgentState) -> GivingWay:
        outputs: list[Output] = []
        refused: list[Refused] = []
        then: list[Output] = []
        told: list[Fact] = []
        for event in events:
            attempt = state.attempt()
            try:
                effects = handle(event, attempt)
                if isinstance(effects, Generator):
                    effects = yield from effects
            except DeadLetter as error:
                refused.append(Refused(event, error))
                continue
            attempt.keep()
            outputs.extend(effects.outputs)
            refused.extend(effects.refused)
            then.extend(effects.then)
            told.extend(effects.told)
        return Effects(outputs, refused, then, told)

    return handle_batch


class MakeAgent(Protocol):
    """
    Builds one agent from what it may use. Called once a process, before anything is read.

    None where the settings want nothing of it: then its topics are not read.
    """

    def __call__(self, tools: Tools, /) -> Agent | None: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """
    What an agent is built from.

    ``codecs`` are this agent's own, since codecs are not thread-safe. ``partitions`` is how many
    ``sms.requested`` has: ``partition_of(key, tools.partitions)``.
    """

    settings: Settings = field(repr=False)
    codecs: Codecs = field(repr=False)
    keyring: KeyRing = field(repr=False)
    partitions: int
