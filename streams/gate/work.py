"""One partition's share of a batch: what was taken, what was folded, what will be written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from streams.audit.chain import body_hash, with_signature
from streams.gate.owned import Owned
from streams.gate.shadow import Judged
from streams.gate.splicing import VerdictBytes
from streams.gate.transaction import Output
from streams.policy.reasons import Reason, ReasonKind
from streams.records.decisions import Outcome, Refusal
from streams.records.events import ConsentKind
from streams.records.subject import Position
from streams.sealing.signatures import Signer
from streams.state.holds import Held
from streams.state.log_reader import At, Fetched
from streams.state.sends import Noted

_new = tuple.__new__
"""A named tuple's own ``__new__`` is Python code."""


@dataclass(slots=True)
class Tally:
    """What a batch did, to be told once, after it was committed."""

    by_verdict: dict[int, list[Any]] = field(default_factory=dict)
    """Verdict and count, by the identity of the verdict: hashing one costs more than deciding."""
    by_candidate: dict[tuple[int, int], list[Any]] = field(default_factory=dict)
    """The same of the verdict and of what the candidate made of it, which stands between."""
    dead_letters: Counter[tuple[str, str]] = field(default_factory=Counter)
    consent: Counter[tuple[ConsentKind | str, Refusal | str]] = field(default_factory=Counter)
    contacts: Counter[str] = field(default_factory=Counter)
    resent: Counter[str] = field(default_factory=Counter)
    appended_at: list[int] = field(default_factory=list)

    def decided(self, verdict: VerdictBytes, appended_at: int) -> None:
        """Count one decision."""
        counted = self.by_verdict.get(id(verdict))
        if counted is None:
            self.by_verdict[id(verdict)] = [verdict, 1]
        else:
            counted[1] += 1
        self.appended_at.append(appended_at)

    def decided_again(self, verdict: VerdictBytes) -> None:
        """Count the decision of a hold, which says nothing about how long requests wait."""
        counted = self.by_verdict.setdefault(id(verdict), [verdict, 0])
        counted[1] += 1

    def judged(self, verdict: VerdictBytes, candidate: Judged) -> None:
        """Count what the candidate made of one decision."""
        pair = id(verdict), id(candidate)
        counted = self.by_candidate.get(pair)
        if counted is None:
            self.by_candidate[pair] = [verdict, candidate, 1]
        else:
            counted[2] += 1

    def candidates(self) -> Counter[tuple[str, Outcome, Outcome]]:
        """Decisions by purpose, outcome, and the outcome that the candidate would have had."""
        counts: Counter[tuple[str, Outcome, Outcome]] = Counter()
        for verdict, candidate, count in self.by_candidate.values():
            counts[verdict.purpose, verdict.outcome, candidate.outcome] += count
        return counts

    def observed(self) -> Counter[str]:
        """Matches of rules that are only observed, by id."""
        counts: Counter[str] = Counter()
        for verdict, count in self.by_verdict.values():
            for rule in verdict.observed:
                counts[rule] += count
        return counts

    def verdicts(self) -> Counter[tuple[str, Outcome | str]]:
        """Decisions by purpose and outcome."""
        counts: Counter[tuple[str, Outcome | str]] = Counter()
        for verdict, count in self.by_verdict.values():
            counts[verdict.purpose, verdict.outcome] += count
        return counts

    def reasons(self) -> Counter[tuple[str, Reason | str, ReasonKind | str]]:
        """Objections by purpose, reason and kind."""
        counts: Counter[tuple[str, Reason | str, ReasonKind | str]] = Counter()
        for verdict, count in self.by_verdict.values():
            for reason in verdict.reasons:
                counts[verdict.purpose, reason, reason.kind] += count
        return counts

    def add(self, other: Tally) -> None:
        """Add another partition's."""
        for identity, (verdict, count) in other.by_verdict.items():
            counted = self.by_verdict.setdefault(identity, [verdict, 0])
            counted[1] += count
        for pair, (verdict, candidate, count) in other.by_candidate.items():
            together = self.by_candidate.setdefault(pair, [verdict, candidate, 0])
            together[2] += count
        self.dead_letters += other.dead_letters
        self.consent += other.consent
        self.contacts += other.contacts
        self.resent += other.resent
        self.appended_at += other.appended_at


@dataclass(slots=True)
class Chain:
    """
    The tail of one partition's chain while a batch is added to it.

    ``outputs`` is whole after :meth:`seal`, which signs the last record added.
    """

    frame: Callable[[bytes], bytes]
    topic: str
    partition: int
    sequence: int
    hash: bytes
    outputs: list[Output] = field(default_factory=list)
    _last: bytes | None = None

    def add(self, body: bytes, key: bytes) -> None:
        """Append an unsigned body whose ``sequence`` and ``previous`` are this chain's."""
        output = (self.topic, self.partition, key, self.frame(body), None)
        self.outputs.append(_new(Output, output))
        self._last = body
        self.hash = body_hash(body)
        self.sequence += 1

    def seal(self, signer: Signer) -> None:
        """Sign the last record added, if there is one."""
        if self._last is not None:
            signed = with_signature(self._last, signer.sign(self.hash))
            self.outputs[-1] = self.outputs[-1]._replace(value=self.frame(signed))
            self._last = None


@dataclass(slots=True)
class Work:
    """
    One partition in one batch.

    Nothing in it touches the partition's committed position or the store: it is either committed
    as a whole or thrown away.
    """

    owned: Owned
    requests: list[Fetched]
    decisions: Chain
    ledger: Chain
    tally: Tally = field(default_factory=Tally)
    outputs: list[Output] = field(default_factory=list)
    resends: list[Output] = field(default_factory=list)
    folded: dict[At, list[Fetched]] = field(default_factory=dict)
    targets: dict[At, int] = field(default_factory=dict)
    consent_offset: int = 0
    contacts_offset: int = 0
    consent_append_at: int = 0
    contacts_append_at: int = 0
    catching_up: bool = False
    ran_out: int = 0
    """States changed because a trace in them has ended."""
    taken: list[Held] = field(default_factory=list)
    """Holds that it decides again."""
    held: list[tuple[Held, bytes]] = field(default_factory=list)
    """What it holds, for the first time or again, with the framed records."""
    settled: list[int] = field(default_factory=list)
    """Offsets of the requests whose hold it ends."""
    unchanged: list[Held] = field(default_factory=list)
    """Holds that came out as before: nothing is written of them."""
    noted: Noted | None = None
    """What it changed in the send memory; None before anything was decided."""
    send_checkpoint: int = 0

    @property
    def partition(self) -> int:
        """The number of the partition."""
        return self.owned.partition

    def catches_up(self) -> None:
        """Give the requests back: the state has not reached the barrier with this turn."""
        self.requests = []
        self.catching_up = True

    @property
    def moved(self) -> bool:
        """
        Whether there is anything to commit.

        An offset that moved without a record (an aborted transaction of somebody else) counts: were
        it left behind, the topic's retention would in time overtake it.
        """
        committed = self.owned.position
        return (
            self.next_request != committed.request_offset
            or self.consent_offset != committed.consent_offset
            or self.contacts_offset != committed.contacts_offset
            or self.ran_out > 0
            or bool(self.taken)
        )

    @property
    def next_request(self) -> int:
        """The offset of the next request after this batch, behind markers at the end if known."""
        if self.catching_up:
            return self.owned.next_request
        last = self.requests[-1].offset() if self.requests else None
        following = self.owned.next_request if last is None else last + 1
        return max(following, self.owned.end)

    def position(self, now_ms: int) -> Position:
        """The position after this batch."""
        return replace(
            self.owned.position,
            request_offset=self.next_request,
            consent_offset=self.consent_offset,
            contacts_offset=self.contacts_offset,
            consent_append_at=self.consent_append_at,
            contacts_append_at=self.contacts_append_at,
            decision_sequence=self.decisions.sequence,
            decision_hash=self.decisions.hash,
            ledger_sequence=self.ledger.sequence,
            ledger_hash=self.ledger.hash,
            send_checkpoint=self.send_checkpoint,
            written_at=now_ms,
        )
