"""
All lanes of a worker: opened with an assignment, ended before it is given up.

The group's protocol is eager: at every rebalance all partitions are given up and assigned anew. So
all lanes end then, and new ones begin with the state read back from Kafka, even where the partition
stays: whether somebody else had it meanwhile need not be known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from streams.errors import Retry
from streams.processors.agent import Agent, Place
from streams.processors.lane import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Hands, Lane
from streams.processors.message import Message
from streams.processors.restoring import Restoring
from streams.processors.state_log import Restored
from streams.telemetry.catalogue import ErrorMet, Rebalanced, StateRestored
from streams.telemetry.health import Health
from streams.telemetry.labels import Condition, RebalanceKind
from streams.topology import TopicNames

GIVING_UP_SECONDS: Final = 30.0
"""How long a rebalance waits for batches under way; the group waits 60 s. What takes longer is
cancelled, and handled again by whoever gets the partition."""
STOPPING_SECONDS: Final = 2.0
"""The same where the worker ends, which has five seconds for everything."""


class Lanes:
    """The lanes of one worker. Of one event loop."""

    def __init__(
        self,
        agents: Sequence[Agent],
        hands: Hands,
        restoring: Restoring,
        health: Health,
        fail: Callable[[BaseException], None],
    ) -> None:
        """``fail`` is called with what must end the worker."""
        self._agents = agents
        self._hands = hands
        self._restoring = restoring
        self._health = health
        self._fail = fail
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Task[None] | None = None
        self._partitions: list[int] = []
        self._round = 0
        self._stopping = False
        # One thread: the restore's reader is not thread-safe.
        self._reading = ThreadPoolExecutor(1, "worker-restore")
        self._threads: Mapping[str, Executor] = {
            agent.name: ThreadPoolExecutor(1, f"agent-{agent.name}")
            for agent in agents
            if agent.place is Place.THREAD
        }

    def take(self, agent: Agent, message: Message) -> None:
        """Pass a record to its lane. Without one it is left out: it will come again."""
        lane = self._lanes.get((agent.name, message.partition))
        if lane is not None:
            lane.take(message)

    def open(self, assigned: Collection[tuple[str, int]]) -> None:
        """
        Make the lanes for topics (by their names on the cluster) and partitions, and restore them.

        Returns at once: they take records from here on and handle them once restored.
        """
        self._round += 1
        names = self._hands.names
        for agent in self._agents:
            read = {names.of(topic) for topic in agent.reads}
            for partition in sorted({number for topic, number in assigned if topic in read}):
                executor = self._threads.get(agent.name)
                hands = replace(self._hands, executor=executor)
                self._lanes[agent.name, partition] = Lane(agent, partition, hands)
        self._partitions = sorted({partition for _, partition in self._lanes})
        self._hands.telemetry.emit(Rebalanced(RebalanceKind.ASSIGNED, self._partitions))
        self._health.set(Condition.ASSIGNED, True)
        self._opening = asyncio.get_running_loop().create_task(self._open(self._round))

    async def _open(self, this_round: int) -> None:
        try:
            states = await self._states(this_round)
        except Exception as error:  # noqa: BLE001 - told by whoever ends the worker
            self._fail(error)
            return
        for (name, partition), lane in self._lanes.items():
            state = states.get(partition, {}).get(name, Restored())
            task = asyncio.get_running_loop().create_task(lane.run(state))
            self._running.add(task)
            task.add_done_callback(self._ended)
        self._health.set(Condition.RESTORED, True)

    async def _states(self, this_round: int) -> Mapping[int, Mapping[str, Restored]]:
        if not self._partitions:
            return {}
        self._health.set(Condition.RESTORED, False, "its state is being read")
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            try:
                states = await asyncio.get_running_loop().run_in_executor(
                    self._reading,
                    lambda: self._restoring.state_of(
                        self._partitions, abandoned=lambda: self._round != this_round
                    ),
                )
                break
            except Retry as error:
                self._hands.telemetry.emit(ErrorMet(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        found = [state for agents in states.values() for state in agents.values()]
        self._hands.telemetry.emit(
            StateRestored(
                seconds=time.monotonic() - began,
                partitions=len(states),
                keys=sum(len(state.kept) for state in found),
                repaired=sum(len(state.repairs) for state in found),
            )
        )
        return states

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    async def settle(self) -> None:
        """
        End all lanes: each after the batch it is in, none later than the bound.

        What was not acknowledged by then never is by this lane. Safe to call again.
        """
        self._round += 1
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
            self._opening = None
        for lane in self._lanes.values():
            lane.close()
        if self._running:
            seconds = STOPPING_SECONDS if self._stopping else GIVING_UP_SECONDS
            await asyncio.wait(set(self._running), timeout=seconds)
        late = set(self._running)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
        self._lanes.clear()
        if self._partitions:
            self._hands.telemetry.emit(Rebalanced(RebalanceKind.REVOKED, self._partitions))
        self._partitions = []

    def hurry(self) -> None:
        """From here on :meth:`settle` has less time: the worker ends."""
        self._stopping = True

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))

    def close(self) -> None:
        """Release the threads; waits for none of them."""
        self._reading.shutdown(wait=False, cancel_futures=True)
        for executor in self._threads.values():
            executor.shutdown(wait=False, cancel_futures=True)


def topics_read(agents: Sequence[Agent], names: TopicNames) -> set[str]:
    """Return the names on the cluster of all topics that are read."""
    return {names.of(topic) for agent in agents for topic in agent.reads}
