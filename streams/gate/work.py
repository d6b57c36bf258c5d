"""One partition's share of a batch: what was taken, what was folded, what will be written."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from streams.audit.chain import body_hash, with_signature
from streams.codec.codec import RecordCodec
from streams.gate.owned import Owned
from streams.gate.transaction import Output
from streams.policy.reasons import Reason, ReasonKind
from streams.policy.verdicts import Allow, Verdict
from streams.records.decisions import LedgerRecord, Outcome, Refusal, SmsDecision
from streams.records.events import ConsentKind
from streams.records.subject import Position
from streams.sealing.signatures import Signer
from streams.state.log_reader import At, Fetched

Chained = TypeVar("Chained", SmsDecision, LedgerRecord)


@dataclass(slots=True)
class Tally:
    """What a batch did, to be told once, after it was committed."""

    verdicts: Counter[tuple[str, Outcome | str]] = field(default_factory=Counter)
    reasons: Counter[tuple[str, Reason | str, ReasonKind | str]] = field(default_factory=Counter)
    dead_letters: Counter[tuple[str, str]] = field(default_factory=Counter)
    consent: Counter[tuple[ConsentKind | str, Refusal | str]] = field(default_factory=Counter)
    contacts: Counter[str] = field(default_factory=Counter)
    resent: Counter[str] = field(default_factory=Counter)
    appended_at: list[int] = field(default_factory=list)

    def decided(self, purpose: str, verdict: Verdict, outcome: Outcome, appended_at: int) -> None:
        """Count one decision. ``purpose`` is one that the policy registers, or ``other``."""
        self.verdicts[purpose, outcome] += 1
        if not isinstance(verdict, Allow):
            for reason in verdict.reasons:
                self.reasons[purpose, reason, reason.kind] += 1
        self.appended_at.append(appended_at)

    def add(self, other: Tally) -> None:
        """Add another partition's."""
        self.verdicts += other.verdicts
        self.reasons += other.reasons
        self.dead_letters += other.dead_letters
        self.consent += other.consent
        self.contacts += other.contacts
        self.resent += other.resent
        self.appended_at += other.appended_at


@dataclass(slots=True)
class Chain(Generic[Chained]):
    """
    The tail of one partition's chain while a batch is added to it.

    The last record added is kept back until :meth:`seal`, because it alone is signed.
    """

    codec: RecordCodec[Chained]
    topic: str
    partition: int
    sequence: int
    hash: bytes
    outputs: list[Output] = field(default_factory=list)
    _key: bytes = b""
    _body: bytes | None = None

    def add(self, record: Chained, key: bytes) -> None:
        """Append a record whose ``sequence`` and ``previous`` are this chain's."""
        self._put(self._body)
        body = self.codec.encode_body(record)
        self._body, self._key = body, key
        self.hash = body_hash(body)
        self.sequence += 1

    def seal(self, signer: Signer) -> None:
        """Sign the last record added, if there is one."""
        if self._body is not None:
            self._put(with_signature(self._body, signer.sign(self.hash)))
            self._body = None

    def _put(self, body: bytes | None) -> None:
        if body is not None:
            self.outputs.append(
                Output(self.topic, self.partition, self._key, self.codec.frame(body))
            )


@dataclass(slots=True)
class Work:
    """
    One partition in one batch.

    Nothing in it touches the partition's committed position or the store: it is either committed
    as a whole or thrown away.
    """

    owned: Owned
    requests: list[Fetched]
    decisions: Chain[SmsDecision]
    ledger: Chain[LedgerRecord]
    tally: Tally = field(default_factory=Tally)
    outputs: list[Output] = field(default_factory=list)
    resends: list[Output] = field(default_factory=list)
    folded: dict[At, list[Fetched]] = field(default_factory=dict)
    targets: dict[At, int] = field(default_factory=dict)
    consent_offset: int = 0
    contacts_offset: int = 0
    consent_append_at: int = 0
    contacts_append_at: int = 0

    @property
    def partition(self) -> int:
        """The number of the partition."""
        return self.owned.partition

    @property
    def moved(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self.requests) or any(self.folded.values())

    def position(self, now_ms: int) -> Position:
        """The position after this batch."""
        last = self.requests[-1].offset() if self.requests else None
        return replace(
            self.owned.position,
            request_offset=self.owned.next_request if last is None else last + 1,
            consent_offset=self.consent_offset,
            contacts_offset=self.contacts_offset,
            consent_append_at=self.consent_append_at,
            contacts_append_at=self.contacts_append_at,
            decision_sequence=self.decisions.sequence,
            decision_hash=self.decisions.hash,
            ledger_sequence=self.ledger.sequence,
            ledger_hash=self.ledger.hash,
            written_at=now_ms,
        )
