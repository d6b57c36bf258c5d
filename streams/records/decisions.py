"""What the gate says: decisions, holds, the ledger of consent events, archived policies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Final

from streams.records.events import Basis, ConsentKind, Origin, Source
from streams.records.record import Record


class Outcome(Enum):
    """How a decided request ended at this attempt."""

    ALLOWED = "ALLOWED"
    QUARANTINED = "QUARANTINED"
    DROPPED = "DROPPED"


@dataclass(frozen=True, slots=True, repr=False)
class Shadow(Record):
    """
    What a candidate policy would have decided; ``reasons`` severest first.

    ``policy_version`` is the first :data:`SHADOW_VERSION_DIGITS` hex digits of its version.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("policy_version", "verdict", "reasons")

    policy_version: str
    verdict: Outcome
    reasons: tuple[str, ...] = ()


SHADOW_VERSION_DIGITS: Final = 16
"""Enough to tell the versions of one folder apart; each decision carries them."""


@dataclass(frozen=True, slots=True, repr=False)
class SmsDecision(Record):
    """
    One decision, chained to the one before it in its partition.

    ``sequence`` counts the partition's decisions from 0. ``previous`` is the SHA-256 of the one
    before (empty for the first), ``signature`` is Ed25519 over this one's hash, on the last of each
    transaction. The hash is taken over the Avro body with a null signature, which is why
    ``signature`` is and stays the last field. Reasons come severest first. ``observed`` are the ids
    of rules that are not enforced yet and matched, ``shadow`` is what a candidate policy said:
    neither had a part in the verdict.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("decision_id", "verdict", "reasons", "sequence")

    decision_id: str
    request_id: str
    subject_id: bytes
    purpose: str
    campaign_id: str | None
    sender_id: str
    template_id: str | None
    verdict: Outcome
    basis: str | None
    consent_event_id: str | None
    reasons: tuple[str, ...]
    hold_until: int | None
    policy_version: str
    facts: dict[str, str]
    request_partition: int
    request_offset: int
    attempt: int
    sequence: int
    consent_offset: int
    contacts_offset: int
    broadcast_offsets: dict[str, int]
    decided_at: int
    previous: bytes
    observed: tuple[str, ...] = ()
    shadow: Shadow | None = None
    signature: bytes | None = None


@dataclass(frozen=True, slots=True, repr=False)
class QuarantinedSms(Record):
    """
    One request that is held, sealed under its subject's data key (``key_id``).

    ``sealed`` is a 12-byte nonce and the AES-256-GCM ciphertext of the request's bytes as they
    came, with the decision id as associated data. ``quarantined_at`` is when it was first held,
    ``attempt`` which attempt at it held it this time.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("hold_id", "decision_id", "reasons")

    hold_id: str
    decision_id: str
    request_id: str
    subject_id: bytes
    purpose: str
    campaign_id: str | None
    reasons: tuple[str, ...]
    hold_until: int | None
    sealed: bytes
    key_id: str
    quarantined_at: int
    valid_until: int | None = None
    attempt: int = 0


class Refusal(Enum):
    """Why the fold did not apply a consent event. It stands in the ledger all the same."""

    CLOCK_AHEAD = "CLOCK_AHEAD"
    """A grant dated more than five minutes after its append time."""
    DUPLICATE = "DUPLICATE"
    """The same event was applied before."""
    NO_PURPOSE = "NO_PURPOSE"
    """A grant that names no purpose."""
    NO_ORIGIN = "NO_ORIGIN"
    """A NUMBER_ORIGIN that names no origin."""
    WEAK_SOURCE = "WEAK_SOURCE"
    """A grant from an import, an operator or a carrier against a withdrawal."""
    LATE = "LATE"
    """A grant, registration or origin that counts from before what ended it."""
    KEY_MISMATCH = "KEY_MISMATCH"
    """Its key is another number than its subject: nothing it grants counts for the key."""


@dataclass(frozen=True, slots=True, repr=False)
class LedgerRecord(Record):
    """
    One consent event as the gate applied or refused it: the proof, kept three years.

    Everything the fold needs to run again, with the subject id in place of the number. Chained and
    signed like :class:`SmsDecision`. ``evidence`` is the event's ConsentEvidence as JSON, sealed
    under the subject's data key with ``ledger_id`` as associated data.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("ledger_id", "kind", "refusal", "sequence")

    ledger_id: str
    subject_id: bytes
    partition: int
    offset: int
    event_id: str
    kind: ConsentKind
    purpose: str | None
    basis: Basis
    conditional: bool
    sender_id: str | None
    campaign_id: str | None
    source: Source
    origin: Origin | None
    occurred_at: int
    appended_at: int
    effective_at: int | None
    expires_at: int | None
    time_zone: str | None
    region: str | None
    refusal: Refusal | None
    evidence: bytes | None
    key_id: str | None
    sequence: int
    recorded_at: int
    previous: bytes
    signature: bytes | None = None


class LossAnswer(Enum):
    """What a person decided about records that were gone before a gate had read them."""

    SKIPPED = "SKIPPED"
    """Requests: never decided, passed over."""
    CONSENTS_ENDED = "CONSENTS_ENDED"
    """Withdrawals may be among them: everybody counts as having withdrawn everything."""
    RESTORED = "RESTORED"
    """They were written again, or nothing that restricts was among them: consents stand."""


@dataclass(frozen=True, slots=True, repr=False)
class LossRecord(Record):
    """
    A range of offsets that nobody read, and a person's answer. Kept and chained with the ledger.

    ``topic`` is the project's own name; ``first`` to ``end`` (excluded) are offsets, of which not
    every one holds a record. Where ``answer`` is CONSENTS_ENDED, only consents count that count
    from after ``counts_from`` and stand above ``offset`` in ``consent.events``. RESTORED makes
    every earlier answer of the partition void. ``reason`` is the person's, and names nobody.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("loss_id", "topic", "partition", "first", "end", "answer")

    loss_id: str
    partition: int
    topic: str
    first: int
    end: int
    answer: LossAnswer
    reason: str
    counts_from: int
    offset: int
    sequence: int
    recorded_at: int
    previous: bytes
    signature: bytes | None = None


@dataclass(frozen=True, slots=True, repr=False)
class PolicyArchived(Record):
    """The files of one policy version that was live, by name; the version is their hash."""

    SHOWN: ClassVar[tuple[str, ...]] = ("version",)

    version: str
    files: dict[str, str]
    loaded_at: int
