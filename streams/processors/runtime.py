"""
The worker's runtime: agents read, handle, write and acknowledge, and lose nothing.

How to write an agent, in a file of its own beside this one::

    def stops(tools: Tools) -> Agent:
        '''Turn replies into withdrawals.'''
        codecs = tools.codecs

        def on_reply(event: Event[InboundSms], state: AgentState) -> Effects:
            reply = event.record
            seen = int(state.get("replies") or b"0") + 1
            state.put("replies", str(seen).encode())
            found = consent_event_of(reply, event_id=f"in-{event.partition}-{event.offset}")
            if found is None:
                return Effects()
            key = found.subject.encode()
            place = partition_of(key, tools.partitions)
            value = codecs.consent_events.encode(found)
            return Effects([Output(CONSENT_EVENTS, place, key, value)])

        return Agent("stops", {SMS_INBOUND: codecs.inbound.decode}, each(on_reply))

and its name in :data:`streams.processors.agents.AGENTS`. What holds for it:

* Every event is handled at least once, in the order of its partition; kill -9 loses none.
* The state is exact: an event that it has applied is not handled again.
* What stands in ``then`` of its effects is written once all else is on all replicas.
* Outputs may be written twice. Give them ids made from the event, never from a clock or a counter
  of your own, so that a reader can tell.
* Whatever the function raises, the other partitions and agents go on; see
  :data:`~streams.processors.agent.Handle` for what happens to the event.
* It acknowledges nothing, and opens no client.

For batches, give a function of a list of events without :func:`~streams.processors.agent.each`;
for what takes longer than some milliseconds ``place=Place.THREAD``, and ``yield`` now and then
(:data:`~streams.processors.agent.GivingWay`); for what is to be done every so often
``timers=[Timer(60, act)]``.
"""

from __future__ import annotations

import asyncio
import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from faust.types import TP

from streams.codec.codec import open_codecs
from streams.config import Settings
from streams.errors import ConfigError, ConsentGateError, StoreInUse, WorkerFailed
from streams.kafka.clients import Complaints, admin_config, opened, producer_config
from streams.kafka.error_mapping import meaning_of
from streams.kafka.topics import ensure_fit
from streams.kafka.waiting import UntilAnswered
from streams.processors.agent import Agent, MakeAgent, Tools
from streams.processors.app import Hooks, WorkerApp, group_of, instance_of, worker_app
from streams.processors.lane import Hands
from streams.processors.lanes import Lanes, topics_read
from streams.processors.outbox import Outbox
from streams.processors.restoring import Restoring
from streams.sealing.keyring import open_keyring
from streams.telemetry.catalogue import TopicsWarned, WorkerLag
from streams.telemetry.health import Health
from streams.telemetry.labels import Condition
from streams.telemetry.telemetry import Telemetry
from streams.topology import SMS_REQUESTED

ANSWER_SECONDS: Final = 3.0
"""Short, since a worker that is asked to end while it waits for Kafka has five seconds."""
TICK_SECONDS: Final = 1.0
STOP_SECONDS: Final = 4.5
"""A worker ends within five seconds of SIGTERM. What has not ended by then is handled again."""
CONDITIONS: Final = (Condition.ASSIGNED, Condition.RESTORED, Condition.PRODUCER_INITIALISED)
"""What a worker needs to be ready."""


class Runtime:
    """One worker. Made by :func:`assembled`."""

    def __init__(
        self,
        settings: Settings,
        agents: Sequence[Agent],
        admin: AdminClient,
        telemetry: Telemetry,
        health: Health,
    ) -> None:
        self._settings = settings
        self._agents = agents
        self._admin = admin
        self._telemetry = telemetry
        self._health = health
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()
        self._asked = False
        self._failure: BaseException | None = None

    def stop(self) -> None:
        """Ask it to end. Returns at once; may be called by a signal handler and any thread."""
        self._asked = True
        loop = self._loop
        if loop is not None and not loop.is_closed():
            with suppress(RuntimeError):  # it was closed just now
                loop.call_soon_threadsafe(self._ending.set)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._ending.set()

    def run(self) -> None:
        """
        Work until :meth:`stop`. Blocks; makes an event loop of its own, for this thread.

        Raises the :class:`streams.errors.Stop` of whatever a person must put right, and
        :class:`WorkerFailed` where it is enough to start it again.
        """
        loop = asyncio.new_event_loop()
        # Faust looks for the current loop while the application is built.
        asyncio.set_event_loop(loop)
        self._loop = loop
        try:
            loop.run_until_complete(self._work(loop))
        finally:
            self._loop = None
            _clear(loop)
            asyncio.set_event_loop(None)

    async def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._asked:
            return
        outbox = Outbox(producer_config(self._settings))
        restoring = Restoring(
            self._settings, {agent.name: tuple(agent.reads) for agent in self._agents}
        )
        app: WorkerApp
        hands = Hands(
            names=self._settings.names,
            group_id=group_of(self._settings),
            outbox=outbox,
            telemetry=self._telemetry,
            done=lambda topic, partition, offset: app.member.done(TP(topic, partition), offset),
            hold=lambda topic, partition, hold: (
                app.member.on_buffer_full(TP(topic, partition))
                if hold
                else app.member.on_buffer_drop(TP(topic, partition))
            ),
            now_ms=lambda: int(time.time() * 1000),
            executor=None,
        )
        lanes = Lanes(self._agents, hands, restoring, self._health, self._fail)
        hooks = Hooks(
            assigned=lanes.open,
            settle=lanes.settle,
            twin=self._has_twin,
            tell=self._telemetry.emit,
            own_name=lambda name: self._settings.names.topic(name).name,
        )
        app = worker_app(self._settings, self._agents, hooks, lanes.take, loop)
        self._health.set(Condition.PRODUCER_INITIALISED, True)
        ticking = loop.create_task(self._tick(app, lanes))
        try:
            await self._until_ended(app)
        finally:
            lanes.hurry()
            await _stopped(app)
            ticking.cancel()
            lanes.close()
            await asyncio.to_thread(outbox.close)
            restoring.close()
        if self._failure is not None:
            raise self._failure

    async def _until_ended(self, app: WorkerApp) -> None:
        loop = asyncio.get_running_loop()
        starting = loop.create_task(app.start())
        ended = loop.create_task(self._ending.wait())
        crashed = loop.create_task(app._crashed.wait())
        waiting: set[asyncio.Task[Any]] = {starting, ended, crashed}
        while True:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if done != {starting} or starting.exception() is not None:
                break
        for task in waiting:
            task.cancel()
        if starting in done and not starting.cancelled() and starting.exception() is not None:
            self._fail(_meaning(starting.exception()))
        elif crashed in done:
            self._fail(_meaning(app.crash_reason))

    async def _tick(self, app: WorkerApp, lanes: Lanes) -> None:
        """Beat, and tell how far behind each partition is."""
        topics = {
            self._settings.names.of(topic): topic for agent in self._agents for topic in agent.reads
        }
        while True:
            self._health.beat()
            with suppress(Exception):  # not assigned yet, or not any more
                for tp in app.member.assignment():
                    end, reached = app.member.highwater(tp), app.member.known_next(tp)
                    if end is not None:
                        lag = max(0, end - (reached or 0))
                        self._telemetry.emit(WorkerLag(topics[tp.topic], tp.partition, lag))
            await asyncio.sleep(TICK_SECONDS)

    def _has_twin(self) -> bool:
        """Ask the group whether another member has this worker's name. Blocks."""
        group = group_of(self._settings)
        answers = self._admin.describe_consumer_groups([group], request_timeout=ANSWER_SECONDS)
        try:
            members = answers[group].result().members
        except KafkaException:
            return False
        return any(member.group_instance_id == instance_of(self._settings) for member in members)


@contextmanager
def assembled(
    settings: Settings,
    telemetry: Telemetry,
    health: Health,
    *,
    agents: Sequence[MakeAgent],
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Runtime]:
    """
    Give a worker that is ready to :meth:`~Runtime.run`; release everything at the end.

    Waits for Kafka as long as it does not answer, telling so, until ``stopping``; then raises the
    last :class:`Retry`. Raises the :class:`streams.errors.Stop` of what a person must put right.
    """
    instance = instance_of(settings)
    keyring = open_keyring(settings.secrets_dir)
    with ExitStack() as stack:
        _lock(settings, instance, stack)
        complaints = Complaints()
        admin = opened(AdminClient, admin_config(settings) | {"error_cb": complaints})
        until_answered = UntilAnswered(telemetry, health, stopping, admin, complaints)
        # A question with a short answer first: a Kafka that is away is told of within seconds.
        until_answered(lambda: _cluster(admin))
        for warning in until_answered(lambda: ensure_fit(settings, admin)):
            telemetry.emit(TopicsWarned(warning))
        requests = settings.names.of(SMS_REQUESTED)
        partitions = until_answered(lambda: len(_cluster(admin).topics[requests].partitions))

        def tools() -> Tools:
            codecs = open_codecs(
                settings.schema_registry_url, settings.schema_registry, settings.names
            )
            return Tools(settings, codecs, keyring, partitions)

        made = [agent for make in agents if (agent := make(tools())) is not None]
        _refuse_what_cannot_be_kept_apart(made, settings)
        yield Runtime(settings, made, admin, telemetry, health)


def _cluster(admin: AdminClient) -> Any:
    try:
        return admin.list_topics(timeout=ANSWER_SECONDS)
    except KafkaException as error:
        raise meaning_of(error, "asking Kafka for its topics") from error


def _refuse_what_cannot_be_kept_apart(agents: Sequence[Agent], settings: Settings) -> None:
    """An agent's lane is one partition of all its topics; a topic's offset is one agent's."""
    if not agents:
        raise ConfigError("There are no agents to run.")
    if len(topics_read(agents, settings.names)) != sum(len(agent.reads) for agent in agents):
        raise ConfigError("Two agents read the same topic: its offset is kept once.")
    if len({agent.name for agent in agents}) != len(agents):
        raise ConfigError("Two agents have the same name: their state would be one.")
    for agent in agents:
        if len({topic.partitions for topic in agent.reads}) > 1:
            raise ConfigError(f"Agent {agent.name} reads topics of different partitions.")


def _lock(settings: Settings, instance: str, stack: ExitStack) -> None:
    """Keep a second process of the same name on this machine out, before it joins the group."""
    folder = settings.state_dir / f"{instance}-worker"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = stack.enter_context((folder / "lock").open("w"))
    except OSError as error:
        raise ConfigError(f"state_dir: {folder} cannot be written ({error.strerror}).") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StoreInUse(
            f"Another worker runs here under the instance_id {instance!r} ({folder} is locked). "
            "Give each worker an instance_id of its own."
        ) from error


def _meaning(reason: BaseException | None) -> BaseException:
    if isinstance(reason, ConsentGateError):
        return reason
    failed = WorkerFailed(
        f"The worker's Kafka client failed ({type(reason).__name__}), so the worker ends. Nothing "
        "is lost: start it again."
    )
    failed.__cause__ = reason
    return failed


async def _stopped(app: WorkerApp) -> None:
    """Stop Faust, as far as it can be stopped in time. What failed before is what counts."""
    stopping = asyncio.get_running_loop().create_task(app.stop())
    await asyncio.wait({stopping}, timeout=STOP_SECONDS)
    stopping.cancel()
    with suppress(Exception, asyncio.CancelledError):
        await stopping


def _clear(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what Faust leaves behind and close the loop."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=0.5))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
