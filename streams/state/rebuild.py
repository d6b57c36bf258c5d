"""
Rebuilding a partition's states: what the ledger, what is left of the topics, and the old state say.

Pure: the caller reads and writes. The rule for every doubt is guarantee I5: what is not known never
allows.

* **The ledger** holds each consent event as the gate saw it, with all that the fold reads, so that
  the same fold runs over it (:meth:`Rebuild.ledgered`). An event that was refused stays refused,
  also where what refused it is gone from the ledger by now.
* **``consent.events``** tells who is held for an event that could not be read, as far back as it is
  kept: a record whose key belongs here and that is not in the ledger is one
  (:meth:`Rebuild.passed`).
* **The old state**, as far as it can be read, adds what only it knows, and nothing of it is dropped
  that restricts: withdrawals and erasures older than the ledger, people who are held, traces of
  address books (:meth:`Rebuild.remembered`). Grants older than the ledger are taken over only from
  an old state that is current.
* **Losses** that a person answered with CONSENTS_ENDED put a withdrawal of everything on everybody
  (:meth:`Rebuild.ended`), which the Position carries for those of whom nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from streams.records.decisions import LedgerRecord, LossAnswer, LossRecord, Refusal
from streams.records.events import ConsentEvent, Scope, Source
from streams.records.subject import Grant, SubjectState, Withdrawal
from streams.state.fold import fold_consent, with_withdrawal
from streams.state.unreadable import mark_undecodable
from streams.topology import CONSENT_EVENTS

EVERYBODY: Final = "loss"
"""Where the event id of a withdrawal that stands for lost events begins."""


def event_of(record: LedgerRecord) -> ConsentEvent:
    """
    Give the event that a ledger record is of, without its subject's number and its evidence.

    The fold reads neither, and :func:`streams.state.fold.event_digest` covers neither.
    """
    return ConsentEvent(
        event_id=record.event_id,
        subject="",
        kind=record.kind,
        occurred_at=record.occurred_at,
        source=record.source,
        purpose=record.purpose,
        basis=record.basis,
        conditional=record.conditional,
        scope=Scope(record.sender_id, record.campaign_id),
        effective_at=record.effective_at,
        expires_at=record.expires_at,
        origin=record.origin,
        time_zone=record.time_zone,
        region=record.region,
    )


def doubt_of(loss: LossRecord) -> Withdrawal:
    """Give the withdrawal of everything that stands for what was lost."""
    return Withdrawal(
        purpose=None,
        sender_id=None,
        campaign_id=None,
        at=loss.counts_from,
        offset=loss.offset,
        source=Source.OPERATOR,
        event_id=f"{EVERYBODY}-{loss.partition}-{loss.offset}",
    )


@dataclass(slots=True)
class Tally:
    """What a rebuild came across, for the report."""

    events: int = 0
    kept_refused: int = 0
    """Refused as the ledger has it, though the fold would apply it now."""
    newly_refused: int = 0
    """Applied as the ledger has it, though the fold refuses it now."""


@dataclass(slots=True)
class Rebuild:
    """
    The states of one partition while they are put together; in memory, some 2 KB a subject.

    Call :meth:`ledgered` and :meth:`lost` in the order of the chain, then :meth:`remembered`, then
    :meth:`passed` and :meth:`resolved` in offset order unless the old state is current and says it
    all, then :meth:`ended`.
    """

    states: dict[bytes, SubjectState] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    offsets_from: int = 0
    """Where consent.events begins now: which offsets are older does not matter."""
    offsets: set[int] = field(default_factory=set)
    """Offsets of consent.events, from there on, that the ledger has."""
    first_consent: int | None = None
    """The offset of the oldest event in the ledger."""
    next_consent: int = 0
    """The offset after the newest event in the ledger, or after what was answered as lost."""
    newest_append: int = 0
    losses: list[LossRecord] = field(default_factory=list)
    """The losses whose answer still stands: everything before a RESTORED is void."""
    _all_losses: list[LossRecord] = field(default_factory=list)

    # ------------------------------------------------------------------------------- the ledger

    def ledgered(self, record: LedgerRecord) -> None:
        """Fold one ledger record."""
        self.tally.events += 1
        if record.offset >= self.offsets_from:
            self.offsets.add(record.offset)
        if self.first_consent is None:
            self.first_consent = record.offset
        self.next_consent = max(self.next_consent, record.offset + 1)
        self.newest_append = max(self.newest_append, record.appended_at)
        before = self.states.get(record.subject_id) or SubjectState(record.subject_id)
        self.states[record.subject_id] = self._folded(before, record)

    def _folded(self, before: SubjectState, record: LedgerRecord) -> SubjectState:
        event = event_of(record)
        folded = fold_consent(
            before,
            event,
            offset=record.offset,
            appended_at=record.appended_at,
            placed=True,
            for_key_only=record.refusal is Refusal.KEY_MISMATCH,
        )
        if record.refusal is None:
            if folded.refusal is not None:
                self.tally.newly_refused += 1
            return folded.state
        if folded.refusal is not None:
            return folded.state
        # What refused it then is gone from the ledger; that it was refused is not.
        self.tally.kept_refused += 1
        return replace(before, placed=True, applied=folded.state.applied)

    def lost(self, record: LossRecord) -> None:
        """Take over how a person answered a loss."""
        self._all_losses.append(record)
        if record.topic == CONSENT_EVENTS.name:
            self.next_consent = max(self.next_consent, record.end)
        match record.answer:
            case LossAnswer.RESTORED:
                self.losses.clear()
            case LossAnswer.CONSENTS_ENDED:
                self.losses.append(record)
            case LossAnswer.SKIPPED:
                pass

    # ----------------------------------------------------------------------------- the old state

    def remembered(
        self,
        old: Mapping[bytes, SubjectState],
        *,
        current: bool,
        ledger_from: int | None,
        doubt: Withdrawal | None = None,
    ) -> None:
        """
        Add what only the old state knows.

        ``ledger_from`` is the offset of the first event that the ledger still has, None where the
        ledger has lost none. ``current``: the old state was written up to the ledger's end, so that
        what it has allowed may still be allowed. ``doubt`` is the one that the old Position
        carries. Doubts are not taken over from the states: :meth:`ended` puts those that still
        stand; only where the ledger's beginning is gone they stay, since one of them may have taken
        the place of a withdrawal that nothing else knows of.
        """
        doubts: set[Withdrawal] = set()
        if ledger_from is None:
            doubts = {doubt_of(each) for each in self._all_losses}
            if doubt is not None:
                doubts.add(doubt)
        for subject_id, was in old.items():
            now = self.states.get(subject_id)
            self.states[subject_id] = _joined(
                now or SubjectState(subject_id),
                was,
                grants_before=ledger_from if current else None,
                applied=was.applied if current else None,
                doubts=doubts,
            )

    # ---------------------------------------------------------------------------- consent.events

    def passed(self, subject_id: bytes, offset: int, resent: bytes | None) -> None:
        """
        Hold this subject: the event at ``offset`` is theirs, and the gate could not read it.

        ``resent`` as in :func:`streams.state.unreadable.mark_undecodable`.
        """
        before = self.states.get(subject_id) or SubjectState(subject_id)
        self.states[subject_id] = mark_undecodable(before, offset=offset, resent=resent)

    def resolved(self, subject_id: bytes, offset: int | None, *, at: int) -> None:
        """
        Take a hold back that a person resolved, by a record at ``at``; ``offset`` None: all before.

        What holds since then stays, which an old state may have named already.
        """
        before = self.states.get(subject_id)
        if before is None:
            return
        rest = tuple(
            each
            for each in before.undecodable
            if (each != offset if offset is not None else each > at)
        )
        if rest != before.undecodable:
            self.states[subject_id] = replace(before, undecodable=rest)

    # --------------------------------------------------------------------------------- the losses

    def ended(self) -> Withdrawal | None:
        """Put what stands for lost events on everybody; return it, for the Position."""
        doubts = [doubt_of(each) for each in self.losses]
        for doubt in doubts:
            for subject_id, state in self.states.items():
                # No grant is dropped: which one the withdrawal ends is decided for each message,
                # and it may be lifted again.
                self.states[subject_id] = replace(
                    state, withdrawals=with_withdrawal(state.withdrawals, doubt)
                )
        return max(doubts, key=lambda doubt: (doubt.offset, doubt.at), default=None)


def _joined(
    now: SubjectState,
    was: SubjectState,
    *,
    grants_before: int | None,
    applied: tuple[bytes, ...] | None,
    doubts: set[Withdrawal],
) -> SubjectState:
    """Add to the rebuilt state what restricts in the old one, and what is older than the ledger."""
    withdrawals = now.withdrawals
    for each in was.withdrawals:
        if each not in withdrawals and each not in doubts:
            withdrawals = with_withdrawal(withdrawals, each)
    joined = replace(
        now,
        placed=now.placed or was.placed,
        withdrawals=withdrawals,
        unregistered_at=_later(now.unregistered_at, was.unregistered_at),
        reassigned_at=_later(now.reassigned_at, was.reassigned_at),
        erased_at=_later(now.erased_at, was.erased_at),
        uploads=was.uploads,
        uploads_taken=was.uploads_taken,
        undecodable=was.undecodable,
        applied=now.applied if applied is None else applied,
        answered=was.answered,
        referred=now.referred or was.referred,
    )
    if grants_before is None:
        return joined
    older = tuple(grant for grant in was.grants if grant.offset < grants_before)
    member = was.membership
    taken = member if member is not None and member.offset < grants_before else None
    return replace(
        joined,
        grants=_in_order((*older, *(each for each in now.grants if each not in older))),
        membership=joined.membership or taken,
        origin=joined.origin or was.origin,
        origin_at=joined.origin_at if joined.origin is not None else was.origin_at,
        time_zone=joined.time_zone or was.time_zone,
        region=joined.region or was.region,
    )


def _in_order(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    return tuple(sorted(grants, key=lambda grant: (grant.counts_from, grant.offset)))


def _later(one: int | None, other: int | None) -> int | None:
    known = [each for each in (one, other) if each is not None]
    return max(known, default=None)
