"""What a gate holds of one partition that was assigned to it, and what that partition waits for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from streams.records.subject import Position
from streams.state.log_reader import At
from streams.telemetry.labels import StallCause


class Phase(Enum):
    """
    Where a partition is on its way to being decided.

    Its requests are read in no phase but LIVE.
    """

    RESTORING = auto()
    """Its offsets are being asked for and its state is read from the changelog."""
    STALLED = auto()
    """
    Its state is known up to its position, but not up to the barrier.

    Nothing of it is folded on ticks. What could be lies below the record that it waits for, only
    requests that wait as well would need it, and consent events stay readable for far longer than
    those requests (30 days against 7). The reader goes on fetching; when it has all or its buffer
    is full, the partition goes on.
    """
    LIVE = auto()
    HELD = auto()
    """A person must act: records are gone, or the store is full."""


@dataclass(slots=True)
class Owned:
    """
    One assigned partition.

    ``position`` is the committed one; ``next_request`` the offset of the next request to be taken
    from the consumer, equal to it between batches. ``waits_for`` are the offsets that the state
    must reach before a stalled partition goes on; None where nobody has answered yet.
    """

    partition: int
    phase: Phase = Phase.RESTORING
    position: Position = field(default_factory=lambda: Position(partition=-1))
    waits_for: dict[At, int | None] = field(default_factory=dict)
    stall: StallCause | None = StallCause.RESTORING
    stalled_at: float = 0.0
    """Monotonic time since which it waits for its state; 0 while it does not."""
    locked: bytes | None = None
    """The subject whose data key cannot be opened, while that is what it waits for."""
    not_before: float = 0.0
    """Monotonic time before which a failed step is not tried again."""

    decided_at: int = 0
    """When the last request that this gate decided in it was appended; 0 before the first."""

    end: int = 0
    """
    Where its requests ended when the broker last said so: all below was taken, or is nobody's.

    Markers of transactions take offsets and are never delivered: behind them there is no request
    to tell by how far they go. 0 once anything that was taken goes back, until it is said again.
    """

    @property
    def restored(self) -> bool:
        """Whether its position is known."""
        return self.position.partition == self.partition

    @property
    def next_request(self) -> int:
        """Offset of the next request to decide."""
        return self.position.request_offset
