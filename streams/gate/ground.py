"""The ground of decisions: what all of a batch share, and what those of one partition repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from streams.gate.shadow import Candidate
from streams.gate.splicing import Verdicts, stamp
from streams.gate.work import Work
from streams.kafka.record_headers import Headers
from streams.policy.policy import Policy
from streams.state.sends import Memory
from streams.topology import SMS_REQUESTED

FIRST_ATTEMPT: Final = 0


@dataclass(frozen=True, slots=True)
class Ground:
    """
    What all decisions of a batch share.

    ``broadcast_offsets`` are stamped as they are; ``now_ms`` is read after the barrier. The
    ``candidate`` is asked beside the policy, and has no part in any outcome.
    """

    policy: Policy
    broadcast_offsets: dict[str, int]
    now_ms: int
    candidate: Candidate | None = None


class PartitionGround:
    """
    What the decisions of one partition in one batch repeat, made once.

    ``decision_ids`` and ``hold_ids`` are to be filled in with an offset, the former for a first
    attempt; ``said`` are headers of every message that is allowed.
    """

    __slots__ = (
        "broadcast_offsets",
        "candidate",
        "caps",
        "confirming",
        "decision_ids",
        "hold_ids",
        "lapses",
        "memory",
        "noted",
        "now_ms",
        "partition",
        "registers",
        "said",
        "stamped",
        "verdicts",
        "version",
    )

    def __init__(self, work: Work, ground: Ground, verdicts: Verdicts, memory: Memory) -> None:
        """Begin a batch in the partition's send ``memory``; the work notes what it changes."""
        policy, partition = ground.policy, work.partition
        self.partition = partition
        self.now_ms = ground.now_ms
        self.memory = memory
        self.noted = work.noted = memory.begin(ground.now_ms)
        self.candidate = ground.candidate
        self.version = policy.version
        self.caps = policy.caps
        self.registers = policy.registers
        self.confirming = policy.confirming
        self.lapses = policy.lapses
        self.broadcast_offsets = ground.broadcast_offsets
        self.verdicts = verdicts
        self.stamped = stamp(
            partition,
            work.consent_offset,
            work.contacts_offset,
            ground.broadcast_offsets,
            ground.now_ms,
        )
        self.decision_ids = decision_id(partition, "%d", FIRST_ATTEMPT)
        self.hold_ids = f"{partition}-%d".encode()
        self.said: Headers = [
            ("consent-gate-policy-version", policy.version),
            ("consent-gate-consent-offset", str(work.consent_offset)),
        ]


def decision_id(partition: int, offset: int | str, attempt: int) -> bytes:
    """Name the decision on the request at ``offset``, by the attempt that it is."""
    return f"{SMS_REQUESTED.name}-{partition}-{offset}-{attempt}".encode()
