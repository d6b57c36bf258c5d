"""
Holding: taking holds that are due, opening what is sealed in them, and following a commit.

Memory and store change after the transaction only. What a batch takes is out of everybody's reach
until it is committed or given back, so that no hold is decided in two batches at once.
"""

from __future__ import annotations

from typing import Final

from streams.codec.codec import Codecs
from streams.errors import PartitionLost, Undecodable
from streams.gate.work import Work
from streams.records.decisions import QuarantinedSms
from streams.sealing.data_keys import DataKeys
from streams.state.broadcast import CampaignTable
from streams.state.holds import Held, Holds
from streams.state.store import Store
from streams.state.subjects import Subjects
from streams.telemetry.catalogue import HoldsWaiting

MOST_AT_ONCE: Final = 500
"""Holds decided in one batch of a partition, some 30 ms, after its live requests: what a password
waits for at most when very many fall due together. Fewer would decide them more slowly than the
markers of transactions allow anyway."""


class Holding:
    """Used by the loop's thread only."""

    def __init__(
        self,
        *,
        holds: Holds,
        store: Store,
        subjects: Subjects,
        data_keys: DataKeys,
        codecs: Codecs,
    ) -> None:
        self._holds = holds
        self._store = store
        self._subjects = subjects
        self._data_keys = data_keys
        self._codecs = codecs

    @property
    def retention_ms(self) -> int:
        """How long a hold is kept in its topic."""
        return self._holds.retention_ms

    # --------------------------------------------------------------------------- what is to be done

    def is_due(self, partition: int, now_ms: int) -> bool:
        """Whether a batch of this partition would decide any hold."""
        return self._holds.of(partition).is_due(now_ms)

    def policy_changed(self) -> None:
        """Another policy version decides from now on."""
        for waiting in self._holds.all():
            waiting.policy_changed()

    def campaigns_folded(self, campaigns: CampaignTable) -> None:
        """The campaigns' table is folded up to the barrier of a batch."""
        ended = campaigns.take_ended()
        for waiting in self._holds.all():
            waiting.campaigns_resumed(ended, campaigns.paused)

    def waiting(self, partition: int, now_ms: int) -> HoldsWaiting:
        """What waits in a partition that was restored, to be told on ticks."""
        waiting = self._holds.of(partition)
        return HoldsWaiting(partition, dict(waiting.by_reason), waiting.overdue_ms(now_ms) / 1000)

    def take(self, work: Work, now_ms: int) -> list[Held]:
        """Take what this batch decides again, now that its state stands at the barrier."""
        waiting = self._holds.of(work.partition)
        waiting.subjects_changed(self._subjects.changed(work.partition).states)
        if waiting.is_due(now_ms):
            work.taken = waiting.take(now_ms, MOST_AT_ONCE)
        return work.taken

    # -------------------------------------------------------------------------------- what is in it

    def record(self, partition: int, held: Held) -> QuarantinedSms:
        """Read a hold. Raises :class:`PartitionLost` where the store has lost it."""
        try:
            return self._codecs.quarantined.decode(self._store.hold(partition, held.offset))
        except Undecodable as error:
            raise PartitionLost(
                f"A hold of partition {partition} is not in the store: it is read again from its "
                "topic when the gate is started again."
            ) from error

    def opened(self, partition: int, record: QuarantinedSms) -> bytes | None:
        """
        Give the request's bytes; None where its data key is gone: the person was erased.

        Raises :class:`streams.errors.KeyMissing` while the key-encryption key is away, and
        :class:`streams.errors.ProofBroken` where it was changed after it was sealed.
        """
        key = self._subjects.key(partition, record.subject_id)
        if key is None or key.key_id != record.key_id:
            return None
        return self._data_keys.sealer(key).unseal(record.sealed, record.decision_id.encode())

    # ------------------------------------------------------------------------------ what came of it

    def committed(self, work: Work, now_ms: int) -> None:
        """Follow a batch that was committed. Raises :class:`streams.errors.StoreFull`."""
        if not (work.taken or work.held):
            return
        waiting = self._holds.known(work.partition)
        if waiting is None:
            return  # it has left, and is restored by whoever has it
        changes: dict[int, bytes | None] = dict.fromkeys(work.settled)
        for held, value in work.held:
            changes[held.offset] = value
        if changes:
            self._store.change_holds(work.partition, changes)
        for held, _ in work.held:
            waiting.add(held)
        for held in work.unchanged:
            waiting.unchanged(held, now_ms)

    def put_back(self, work: Work) -> None:
        """Give back what a batch took that is not committed."""
        waiting = self._holds.known(work.partition)
        if work.taken and waiting is not None:
            waiting.put_back(work.taken)
        work.taken = []
