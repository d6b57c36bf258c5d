"""
What one transaction writes for a batch: outputs, chains, changelog, keys, Position, offsets.

And how far the store may say that it goes afterwards, which is learnt from the offsets that the
Position and the keys were given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from confluent_kafka import TopicPartition

from streams.codec.codec import Codecs
from streams.errors import Indefinite
from streams.gate.topics import GateTopics
from streams.gate.transaction import Output
from streams.gate.work import Work
from streams.records.subject import POSITION_KEY, Position
from streams.sealing.signatures import Signer
from streams.state.store import Reached, Store
from streams.state.subjects import Encoded, Subjects


class Commit:
    """
    What one transaction writes, and what is learnt from its delivery.

    Built before the transaction begins; nothing in it changes the committed state.
    """

    def __init__(
        self,
        works: Iterable[Work],
        *,
        topics: GateTopics,
        codecs: Codecs,
        subjects: Subjects,
        store: Store,
        signer: Signer,
        now_ms: int,
    ) -> None:
        self._topics = topics
        self._codecs = codecs
        self._subjects = subjects
        self._store = store
        self._signer = signer
        self.outputs: list[Output] = []
        self.offsets: list[TopicPartition] = []
        self.positions: dict[int, Position] = {}
        self.encoded: dict[int, Encoded] = {}
        self.on_delivery: dict[int, Callable[[int], None]] = {}
        self._position_bytes: dict[int, bytes] = {}
        self._changelog_next: dict[int, int] = {}
        self._keys_next: dict[int, int] = {}
        for work in works:
            self._add(work, now_ms)

    def _add(self, work: Work, now_ms: int) -> None:
        topics, codecs = self._topics, self._codecs
        partition = work.partition
        work.decisions.seal(self._signer)
        work.ledger.seal(self._signer)
        self.outputs += work.outputs
        self.outputs += work.decisions.outputs
        self.outputs += work.ledger.outputs
        overlay = self._subjects.changed(partition)
        encoded = self.encoded[partition] = Encoded()
        for subject_id, key in overlay.keys.items():
            value = None if key is None else codecs.subject_keys.encode(key)
            encoded.keys[subject_id] = value
            self.outputs.append(Output(topics.keys, partition, subject_id, value))
        if overlay.keys:
            self._learn(self._keys_next, partition)
        for subject_id, state in overlay.states.items():
            value = None if state is None else codecs.subject_states.encode(state)
            encoded.states[subject_id] = value
            self.outputs.append(Output(topics.changelog, partition, subject_id, value))
        position = self.positions[partition] = work.position(now_ms)
        raw = self._position_bytes[partition] = codecs.positions.encode(position)
        self.outputs.append(Output(topics.changelog, partition, POSITION_KEY, raw))
        self._learn(self._changelog_next, partition)
        # Sent for every partition, moved or not: it is the offsets that the broker refuses when
        # the partition belongs to another gate by now.
        self.offsets.append(TopicPartition(topics.requests, partition, position.request_offset))

    def _learn(self, into: dict[int, int], partition: int) -> None:
        """Note the offset behind the output added last, once it is known."""

        def delivered(offset: int) -> None:
            into[partition] = offset + 1

        self.on_delivery[len(self.outputs) - 1] = delivered

    def reached(self, now_ms: int) -> dict[int, Reached]:
        """How far each partition's store goes now. Only after the commit."""
        found = {}
        for partition, raw in self._position_bytes.items():
            if partition not in self._changelog_next:
                raise Indefinite("The broker did not say where a position was written.")
            before = self._store.reached(partition)
            keys_before = 0 if before is None else before.keys_next
            found[partition] = Reached(
                raw,
                self._changelog_next[partition],
                self._keys_next.get(partition, keys_before),
                now_ms,
            )
        return found
