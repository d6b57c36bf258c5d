"""
Restoring a partition's send memory, after its Position is known.

First ``sms.sends``, from one longest window ago: the checkpoints. Then ``sms.decisions``, from the
last checkpoint on. Where in it that is nobody notes: a transaction puts at least one decision and
one marker into the partition, so that the decisions since the checkpoint lie in the last twice as
many offsets, unless transactions were aborted; then it is looked for further back. Sequences below
the checkpoint are passed over, so nothing counts twice.

Both are read committed, up to the high watermarks that were asked for after the group's stable
offsets, as the changelog is.
"""

from __future__ import annotations

from typing import Final

from streams.codec.codec import RecordCodec
from streams.errors import PartitionLost, Undecodable
from streams.records.decisions import SmsDecision
from streams.records.sends import SendsRemembered
from streams.records.subject import Position
from streams.state.log_reader import LogReader
from streams.state.restore import Extent
from streams.state.sends import Sends, entry_of_decision

SLACK: Final = 64
"""Offsets more than the decisions since the checkpoint need: for markers of aborted transactions,
so that a single one does not have everything read again."""

DECIDED_AT_ONCE: Final = 2_000
"""Decisions read back in one step, some 20 ms: the loop must go on turning."""


class RestoreSends:
    """One partition's memory on its way. Drive it with :meth:`step` until it says it is done."""

    def __init__(
        self,
        position: Position,
        *,
        sends: Sends,
        reader: LogReader,
        checkpoints: Extent,
        decisions: Extent,
        remembered: RecordCodec[SendsRemembered],
        decided: RecordCodec[SmsDecision],
        now_ms: int,
    ) -> None:
        """The extents begin where what is older than the longest window ends."""
        self._position = position
        self._reader = reader
        self._checkpoints = checkpoints
        self._decisions = decisions
        self._remembered = remembered
        self._decided = decided
        self._now_ms = now_ms
        self._memory = sends.begin(position.partition, position.send_checkpoint, now_ms)
        self._start = -1
        """Where the decisions are read from; -1 while the checkpoints are read."""
        self._begun = False
        """Whether a decision was seen that the checkpoint holds, or there is none before it."""
        reader.start({checkpoints.at: checkpoints.low})

    def step(self) -> bool:
        """
        Take in what the reader has fetched; true when all of it is there. Does not wait.

        Raises :class:`PartitionLost` when it cannot be read.
        """
        extent = self._checkpoints if self._start < 0 else self._decisions
        fault = self._reader.fault(extent.at)
        if fault is not None:
            raise PartitionLost(
                f"{extent.at.topic} partition {extent.at.partition} cannot be read "
                f"({fault.name()}): what was sent is not known."
            )
        try:
            if self._start < 0:
                self._read_checkpoints()
            else:
                self._read_decisions()
        except Undecodable as error:
            raise PartitionLost(
                f"A record of {extent.at.topic} partition {extent.at.partition} cannot be read: "
                "was it written by a newer version? Start that version again."
            ) from error
        if self._reader.waiting(extent.at) or not self._reader.reached(extent.at, extent.high):
            return False
        self._reader.stop([extent.at])
        if self._start < 0:
            return self._look_back(2 * self._since() + SLACK) if self._since() > 0 else True
        if not self._begun and self._start > extent.low:
            # Aborted transactions take offsets too.
            return self._look_back(4 * (extent.high - self._start))
        return True

    def _since(self) -> int:
        """How many decisions were made since the checkpoint."""
        return self._position.decision_sequence - self._memory.checkpoint

    def _look_back(self, offsets: int) -> bool:
        decisions = self._decisions
        self._start = max(decisions.low, decisions.high - offsets)
        self._reader.start({decisions.at: self._start})
        return False

    def _read_checkpoints(self) -> None:
        extent = self._checkpoints
        for message in self._reader.take_below(extent.at, extent.high):
            record = self._remembered.decode(message.value())
            self._memory.read_packed(record.packed, self._now_ms)
            # Rebuilding a partition's state may lose its Position, never its checkpoints.
            self._memory.checkpoint = max(self._memory.checkpoint, record.next_sequence)

    def _read_decisions(self) -> None:
        extent, memory = self._decisions, self._memory
        for message in self._reader.take_below(extent.at, extent.high, DECIDED_AT_ONCE):
            decision = self._decided.decode(message.value())
            if not self._begun:
                if decision.sequence > memory.checkpoint and self._start > extent.low:
                    # Began too late: all of this is read again, from further back.
                    self._reader.take_below(extent.at, extent.high)
                    return
                self._begun = True
            if decision.sequence < memory.checkpoint:
                continue
            entry = entry_of_decision(decision)
            if entry is not None:
                memory.read_back(decision.subject_id, entry, self._now_ms)
                memory.pending.append(decision.subject_id + entry)

    def abandon(self) -> None:
        """Stop reading: the partition was taken away."""
        self._reader.stop([self._checkpoints.at, self._decisions.at])
