"""
The Faust application: what of Faust is used, and what is switched off.

Used: its consumer in a thread of its own, the group, agents and their streams. Not used: its
producer, its tables, its leader, its web server, its command line, its logging, its decoding of
records, and its acknowledgements (:mod:`~streams.processors.transport`). It makes no topics.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import faust
from faust.tables import TableManager

from streams.config import Settings
from streams.errors import ConfigError
from streams.processors.agent import Agent
from streams.processors.credentials import credentials_of
from streams.processors.message import Message
from streams.processors.transport import Consumer, Transport
from streams.processors.unpacking import accept_any_header

COMMIT_EVERY_SECONDS: Final = 1.0
"""A shorter time costs the group's coordinator; a longer one means more events handled twice."""
REQUEST_SECONDS: Final = 30.0
REBALANCE_SECONDS: Final = 60.0
"""How long the group waits for a member to give its partitions up. The lanes take less."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the transport asks of the worker."""

    assigned: Callable[[Collection[Any]], None]
    settle: Callable[[], Awaitable[None]]
    twin: Callable[[], bool]
    tell: Callable[[Any], None]
    own_name: Callable[[str], str]


class WorkerApp(faust.App):
    """A Faust application with the transport that loses nothing."""

    hooks: Hooks

    @property
    def member(self) -> Consumer:
        """The consumer, which is of our own class."""
        return cast(Consumer, self.consumer)

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)


class _NoTables(TableManager):
    """
    Starts at once. Faust's own waits for a second, in case a table is made while the agents start.

    The agents have started before it: every topic is in the subscription by then.
    """

    async def on_start(self) -> None:
        """Say that all tables, none, are known: that is what the subscription waits for."""
        await self._update_channels()
        await self.recovery.start()


class _Untouched(faust.Schema[Any, Any]):
    """Hands a record over as it came: nothing in Faust looks at its key or value."""

    def compile(self, app: Any, **_: Any) -> Any:
        async def wrap(message: Any, *, propagate: bool = False) -> Any:
            return app.create_event(None, None, {}, message)

        return wrap


def group_of(settings: Settings) -> str:
    """Return the worker's consumer group. An access list for the gate's by prefix covers it."""
    return f"{settings.group_id}.worker"


def instance_of(settings: Settings) -> str:
    """
    Return the name that this worker has in its group.

    Raises :class:`ConfigError` where it is not set: without it, a worker that was killed would keep
    its partitions until its session ends.
    """
    if settings.instance_id is None:
        raise ConfigError(
            "instance_id is not set: give each worker a name of its own that it keeps over "
            "restarts (--instance-id, CONSENT_GATE_INSTANCE_ID, or instance_id in the file)."
        )
    return settings.instance_id


def worker_app(
    settings: Settings,
    agents: Sequence[Agent],
    hooks: Hooks,
    take: Callable[[Agent, Message], None],
    loop: asyncio.AbstractEventLoop,
) -> WorkerApp:
    """
    Build the application on this event loop, which must be the thread's current one already.

    ``take`` is given every record, in the order of its partition. Nothing is connected yet.
    """
    accept_any_header()
    folder = settings.state_dir / f"{instance_of(settings)}-worker"
    folder.mkdir(parents=True, exist_ok=True)
    session = settings.session_timeout_ms / 1000
    app = WorkerApp(
        group_of(settings),
        loop=loop,
        broker=[f"kafka://{each.strip()}" for each in settings.bootstrap_servers.split(",")],
        broker_credentials=credentials_of(settings.kafka),
        broker_client_id=f"consent-gate-worker-{settings.instance_id}",
        consumer_group_instance_id=settings.instance_id,
        broker_session_timeout=session,
        broker_heartbeat_interval=session / 4,
        broker_request_timeout=max(REQUEST_SECONDS, session + 1),
        broker_rebalance_timeout=REBALANCE_SECONDS,
        broker_commit_interval=COMMIT_EVERY_SECONDS,
        consumer_auto_offset_reset="earliest",
        processing_guarantee="at_least_once",
        stream_wait_empty=True,
        TableManager=_NoTables,
        table_standby_replicas=0,
        store="memory://",
        datadir=str(folder),
        topic_allow_declare=False,
        topic_disable_leader=True,
        reply_create_topic=False,
        web_enabled=False,
        autodiscover=False,
        worker_redirect_stdouts=False,
        debug=False,
    )
    app.hooks = hooks
    for agent in agents:
        names = [settings.names.of(topic) for topic in agent.reads]
        channel = app.topic(*names, schema=_Untouched(), acks=True, internal=False)
        app.agent(channel, name=agent.name, concurrency=1)(_reading(agent, take))
    return app


def _reading(
    agent: Agent, take: Callable[[Agent, Message], None]
) -> Callable[[Any], Awaitable[None]]:
    """Return the body of the Faust agent: it only passes on, and never fails."""

    async def read(stream: Any) -> None:
        events: AsyncIterator[Any] = stream.noack().events()
        async for event in events:
            take(agent, _message(event.message))

    return read


def _message(found: Any) -> Message:
    headers: Any = found.headers or ()
    return Message(
        topic=found.topic,
        partition=found.partition,
        offset=found.offset,
        timestamp=round(found.timestamp * 1000) if found.timestamp else 0,
        key=found.key,
        value=found.value,
        headers=tuple(headers.items() if isinstance(headers, Mapping) else headers),
        generation=found.generation_id,
    )
