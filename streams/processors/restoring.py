"""
Reading ``worker.state`` back, before the first event of a partition is handled.

The whole partition is read, from its first record to where it ended after it was assigned: what
the worker that had it before wrote is below that. The reader is librdkafka's, apart from Faust's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.config import Settings
from streams.errors import KafkaUnavailable, StateLost
from streams.kafka.clients import admin_config, opened, reader_config
from streams.kafka.error_mapping import meaning_of
from streams.processors.state_log import KeyValue, Restored, restored
from streams.state.log_reader import At, LogReader
from streams.topology import WORKER_STATE, Partitions, Topic

ANSWER_SECONDS: Final = 5.0
READ_SECONDS: Final = 60.0
"""A state that takes longer to read is too large for a worker; it is tried again all the same."""

Sources = Mapping[str, Collection[Topic]]
"""The topics that each agent reads, by the agent's name."""


class Restoring:
    """Reads states. Blocks; for one thread, but not for the event loop's."""

    def __init__(self, settings: Settings, sources: Sources) -> None:
        self._names = settings.names
        self._sources = sources
        self._admin = opened(AdminClient, admin_config(settings))
        self._reader = LogReader(reader_config(settings))

    def close(self) -> None:
        """Release the clients."""
        self._reader.close()

    def state_of(
        self, partitions: Iterable[int], *, abandoned: Callable[[], bool]
    ) -> dict[int, dict[str, Restored]]:
        """
        Return every agent's state of these partitions; agents that never had one are left out.

        Raises :class:`KafkaUnavailable` when it cannot be read now, or once ``abandoned``, and
        :class:`StateLost` when it cannot be right: a record nobody here wrote, or a source topic
        that ends below what was applied of it, because it was made anew.
        """
        state = self._names.of(WORKER_STATE)
        wanted = [At(state, partition) for partition in partitions]
        sources = {
            At(self._names.of(topic), at.partition)
            for topics in self._sources.values()
            for topic in topics
            for at in wanted
            if at.partition == 0 or topic.partitions is not Partitions.ONE
        }
        first = self._offsets(wanted, OffsetSpec.earliest())
        ends = self._offsets({*wanted, *sources}, OffsetSpec.latest())
        records = self._read(wanted, first, ends, abandoned)
        found = {
            at.partition: restored(records[at], f"{state} partition {at.partition}")
            for at in wanted
        }
        for partition, agents in found.items():
            for agent, each in agents.items():
                self._refuse_what_is_ahead(agent, partition, each, ends)
        return found

    def _refuse_what_is_ahead(
        self, agent: str, partition: int, state: Restored, ends: Mapping[At, int]
    ) -> None:
        for topic in self._sources.get(agent, ()):
            applied = state.mark.applied.get(topic.name, -1)
            at = At(self._names.of(topic), partition)
            if applied >= ends.get(at, applied + 1):
                raise StateLost(
                    f"Agent {agent} has applied {at.topic} partition {partition} up to offset "
                    f"{applied}, but it ends at {ends[at]}: the topic was made anew, and its "
                    f"events would be taken for known ones. If the state shall begin anew with it, "
                    f"empty {self._names.of(WORKER_STATE)} too."
                )

    def _read(
        self,
        wanted: list[At],
        first: Mapping[At, int],
        ends: Mapping[At, int],
        abandoned: Callable[[], bool],
    ) -> dict[At, list[KeyValue]]:
        records: dict[At, list[KeyValue]] = {at: [] for at in wanted}
        waiting = {at for at in wanted if ends[at] > first[at]}
        self._reader.start({at: first[at] for at in waiting})
        deadline = time.monotonic() + READ_SECONDS
        try:
            while waiting:
                if abandoned() or time.monotonic() > deadline:
                    raise KafkaUnavailable("The worker's state could not be read to its end.")
                self._reader.fetch(0.1)
                for at in list(waiting):
                    for message in self._reader.take_below(at, ends[at]):
                        records[at].append((message.key(), message.value()))
                    fault = self._reader.fault(at)
                    if fault is not None:
                        raise meaning_of(fault, f"reading {at.topic} partition {at.partition}")
                    if self._reader.reached(at, ends[at]):
                        waiting.discard(at)
        finally:
            self._reader.stop(wanted)
        return records

    def _offsets(self, wanted: Iterable[At], which: OffsetSpec) -> dict[At, int]:
        asked = {TopicPartition(at.topic, at.partition): which for at in wanted}
        answers = self._admin.list_offsets(
            asked,
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=ANSWER_SECONDS,
        )
        try:
            return {
                At(tp.topic, tp.partition): int(answer.result().offset)
                for tp, answer in answers.items()
            }
        except KafkaException as error:
            raise meaning_of(error, "asking how far the worker's topics go") from error
