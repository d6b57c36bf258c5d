"""
Deciding: what becomes of each request of a batch, once its state stands at the barrier.

For every request exactly one of these is written: its own bytes to ``sms.allowed``; a sealed copy
to ``sms.quarantined``; nothing but the decision, when it is dropped (dropped bodies are not kept);
or its own bytes to ``dead-letters``, when nobody can judge it. All but the last come with a record
in ``sms.decisions`` that stamps what was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, assert_never

from streams.codec.codec import Codecs
from streams.codec.recogniser import Recogniser
from streams.errors import DeadLetter, KeyMismatch, Misplaced, NotE164, ProofBroken, TooLarge
from streams.gate.dead_letters import dead_letter
from streams.gate.holding import Holding
from streams.gate.shadow import Candidate
from streams.gate.splicing import (
    NO_SHADOW,
    ContentBytes,
    Verdicts,
    content_bytes,
    decision_body,
    hold_body,
    stamp,
)
from streams.gate.topics import GateTopics
from streams.gate.transaction import Output
from streams.gate.work import Work
from streams.kafka.bounds import (
    HEADERS_MAX_BYTES,
    IDENTIFIERS_MAX_CHARACTERS,
    REQUEST_MAX_BYTES,
    refuse_long,
)
from streams.kafka.placement import partition_of
from streams.kafka.record_headers import Headers, headers_of
from streams.kafka.record_size import size_of
from streams.policy.asking import after_asking
from streams.policy.caps import KIND_BYTES, kind_of
from streams.policy.facts import (
    NOTHING_SENT,
    Campaigns,
    Content,
    NameConsents,
    assess_content,
    content_of,
    nothing_known,
    repeats,
)
from streams.policy.once import after_sending
from streams.policy.policy import Policy
from streams.policy.reasons import Reason
from streams.policy.templates import Templates
from streams.policy.verdicts import Drop
from streams.records.decisions import Outcome, QuarantinedSms, SmsDecision
from streams.records.e164 import is_e164
from streams.records.numbers import NumberUnchecked
from streams.records.requests import SmsRequested
from streams.records.sends import SendsRemembered
from streams.records.subject import SubjectState
from streams.sealing.data_keys import DataKeys, Sealer
from streams.sealing.subject_ids import SubjectIds
from streams.state.holds import Held
from streams.state.holds import hold as hold_of
from streams.state.log_reader import Fetched
from streams.state.sends import (
    Memory,
    Sends,
    entry,
    pack_head,
    request_digest,
    sent_before,
    sent_tail,
    without,
)
from streams.state.subjects import Subjects
from streams.topology import SMS_REQUESTED

OUR_HEADERS: Final = "consent-gate-"
"""Headers of this prefix on a request are not passed on: only the gate may say these things."""

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


class _Kept(NamedTuple):
    """What is made of a request's content once for all recipients of a campaign."""

    content: Content
    encoded: ContentBytes
    kind: bytes
    """What caps look at; see :mod:`streams.policy.caps`."""
    sent_tail: bytes
    """The same, as the send memory has it of what was allowed."""


class _Batch:
    """What the decisions of one partition in one batch repeat, made once."""

    __slots__ = (
        "broadcast_offsets",
        "candidate",
        "caps",
        "decision_ids",
        "hold_ids",
        "memory",
        "noted",
        "policy",
        "said",
        "stamped",
        "verdicts",
    )

    def __init__(self, work: Work, ground: Ground, verdicts: Verdicts, memory: Memory) -> None:
        partition = work.partition
        self.memory = memory
        self.noted = work.noted = memory.begin(ground.now_ms)
        self.policy = ground.policy
        self.candidate = ground.candidate
        self.caps = ground.policy.caps
        self.broadcast_offsets = ground.broadcast_offsets
        self.verdicts = verdicts
        self.stamped = stamp(
            partition,
            work.consent_offset,
            work.contacts_offset,
            ground.broadcast_offsets,
            ground.now_ms,
        )
        self.decision_ids = f"{SMS_REQUESTED.name}-{partition}-%d-{FIRST_ATTEMPT}".encode()
        self.hold_ids = f"{partition}-%d".encode()
        self.said: Headers = [
            ("consent-gate-policy-version", ground.policy.version),
            ("consent-gate-consent-offset", str(work.consent_offset)),
        ]


class Deciding:
    """Decides whole batches. Reads state through the overlay; writes only into the work."""

    def __init__(
        self,
        *,
        subjects: Subjects,
        sends: Sends,
        holding: Holding,
        codecs: Codecs,
        subject_ids: SubjectIds,
        data_keys: DataKeys,
        names: NameConsents,
        campaigns: Campaigns,
        templates: Templates,
        topics: GateTopics,
        partitions: int,
        group_id: str,
    ) -> None:
        self._subjects = subjects
        self._sends = sends
        self._holding = holding
        self._codecs = codecs
        self._subject_ids = subject_ids
        self._data_keys = data_keys
        self._names = names
        self._campaigns = campaigns
        self._templates = templates
        self._topics = topics
        self._partitions = partitions
        self._group_id = group_id
        self._recogniser = Recogniser(codecs.requests, self._keep)
        self._verdicts: Verdicts | None = None
        self._now_ms = 0

    def decide(self, work: Work, ground: Ground) -> None:
        """
        Decide every request of ``work``.

        Raises :class:`streams.errors.RegistryUnavailable` where a request cannot be read before the
        registry can be asked; the caller then throws the work away.
        """
        if self._verdicts is None or not self._verdicts.hold_good(ground.policy, ground.now_ms):
            self._verdicts = Verdicts(ground.policy, ground.now_ms)
        if ground.candidate is not None:
            ground.candidate.beside(ground.policy)
        self._now_ms = ground.now_ms
        memory = self._sends.of(work.partition)
        batch = _Batch(work, ground, self._verdicts, memory)
        for message in work.requests:
            try:
                self._one(work, message, batch)
            except DeadLetter as error:
                work.outputs.append(
                    dead_letter(
                        message,
                        error,
                        topic=self._topics.dead_letters,
                        stage="decide",
                        group_id=self._group_id,
                    )
                )
                work.tally.dead_letters[SMS_REQUESTED.name, error.cause] += 1
        if not work.catching_up:
            for held in self._holding.take(work, ground.now_ms):
                self._again(work, held, batch)
        if (work.requests or work.taken) and memory.due(work.decisions.sequence, ground.now_ms):
            self._checkpoint(work, memory)
        work.send_checkpoint = memory.checkpoint

    def _checkpoint(self, work: Work, memory: Memory) -> None:
        """Write what the send memory learnt since the last checkpoint, in this transaction."""
        partition, sequence = work.partition, work.decisions.sequence
        for packed in memory.take(sequence, self._now_ms):
            record = SendsRemembered(partition, sequence, packed, self._now_ms)
            value = self._codecs.sends.encode(record)
            work.outputs.append(Output(self._topics.sends, partition, None, value))

    def _one(self, work: Work, message: Fetched, batch: _Batch) -> None:
        raw, key, offset = message.value(), message.key(), message.offset() or 0
        size = 0 if raw is None else len(raw)
        if size > REQUEST_MAX_BYTES:
            raise TooLarge(f"The request has {size} bytes; at most {REQUEST_MAX_BYTES} may pass.")
        own_headers = headers_of(message)
        if own_headers and size_of(None, None, own_headers) > HEADERS_MAX_BYTES:
            raise TooLarge(f"The headers are larger than the {HEADERS_MAX_BYTES} bytes that pass.")
        self._judge(work, batch, raw, key, own_headers, offset, message.timestamp()[1], None)

    def _judge(
        self,
        work: Work,
        batch: _Batch,
        raw: bytes | None,
        key: bytes | None,
        own_headers: Headers,
        offset: int,
        appended_at: int,
        again: tuple[Held, QuarantinedSms] | None,
    ) -> None:
        """Decide one request: for the first time, or ``again`` after it was held."""
        request_id, recipient, valid_until, parameters, body, kept = self._recogniser.read(raw)
        if raw is not None and len(raw) > IDENTIFIERS_MAX_CHARACTERS:
            refuse_long(request_id)  # else its texts are not longer than that either
        partition = work.partition
        if again is not None:
            key = recipient.encode()
        subject_id, state = self._recipient(partition, recipient, key)
        content, encoded, kind, sent_tail = kept
        memory, now_ms = batch.memory, self._now_ms
        request = request_digest(request_id)
        known = memory.of(subject_id, now_ms)
        sent, others = NOTHING_SENT, known
        if known is not None:
            erased_at = None if state is None else state.erased_at
            others = known if again is None else without(known, request)
            sent = sent_before(others, request, kind, batch.caps, now_ms, erased_at)
        assessment = assess_content(
            content,
            valid_until,
            state,
            self._campaigns,
            now_ms,
            recipient,
            body,
            batch.policy.registers,
            batch.policy.confirming,
            sent,
            parameters,
            self._templates,
        )
        consent_event_id = assessment.consent_event_id
        verdict = batch.verdicts.on(assessment)
        outcome, attempt, held_since = verdict.outcome, FIRST_ATTEMPT, now_ms
        decision_id = batch.decision_ids % offset
        if again is not None:
            held, record = again
            if (
                outcome is _QUARANTINED
                and verdict.codes == held.reasons
                and verdict.hold_until == held.hold_until
            ):
                work.unchanged.append(held)
                return
            attempt, held_since = held.attempt + 1, record.quarantined_at
            decision_id = _decision_id(partition, offset, attempt)
        shadow = NO_SHADOW
        if batch.candidate is not None:
            judged = batch.candidate.judge(
                verdict,
                assessment,
                content,
                valid_until,
                state,
                self._campaigns,
                recipient,
                body,
                parameters,
                self._templates,
                others,
                request,
                kind,
            )
            if judged is not None:
                shadow = judged.encoded
                work.tally.judged(verdict, judged)
        chain = work.decisions
        chain.add(
            decision_body(
                decision_id,
                request_id,
                subject_id,
                encoded,
                verdict,
                consent_event_id,
                batch.stamped,
                offset,
                attempt,
                chain.sequence,
                chain.hash,
                shadow,
            ),
            subject_id,
        )
        if again is not None:
            remembered = entry(outcome, now_ms, verdict.hold_until, request, kind, again=True)
            memory.note(batch.noted, subject_id, known, remembered, now_ms)
        elif outcome is _ALLOWED:
            remembered = pack_head(now_ms, request) + sent_tail
            memory.note(batch.noted, subject_id, known, remembered, now_ms)
        elif outcome is _QUARANTINED:
            remembered = entry(outcome, now_ms, verdict.hold_until, request, kind, again=False)
            memory.note(batch.noted, subject_id, known, remembered, now_ms)
        if outcome is _ALLOWED:
            if content.answers is not None or content.asks is not None or content.refers:
                self._sent_once(partition, subject_id, state, content)
            headers = _headers(own_headers, decision_id, batch.said, valid_until)
            work.outputs.append(_new(Output, (self._topics.allowed, partition, key, raw, headers)))
        elif outcome is _QUARANTINED:
            hold_id = batch.hold_ids % offset
            sealer = self._sealer(partition, subject_id)
            hold = hold_body(
                hold_id,
                decision_id,
                request_id,
                subject_id,
                encoded,
                verdict,
                sealer.seal(raw or b"", decision_id),
                sealer.key_id,
                held_since,
                valid_until,
                attempt,
            )
            value = self._codecs.quarantined.frame(hold)
            work.outputs.append(
                _new(Output, (self._topics.quarantined, partition, hold_id, value, None))
            )
            waits = hold_of(
                offset,
                subject_id,
                content.campaign_id,
                verdict.codes,
                verdict.hold_until,
                attempt,
                quarantined_at=held_since,
                valid_until=valid_until,
                retention_ms=self._holding.retention_ms,
            )
            work.held.append((waits, value))
            if _UNCHECKED in verdict.reasons:
                self._have_looked_up(work, recipient, state, consent_event_id)
        elif outcome is not _DROPPED:
            assert_never(outcome)
        if again is None:
            work.tally.decided(verdict, appended_at)
            return
        work.tally.decided_again(verdict)
        if outcome is not _QUARANTINED:
            self._settle(work, offset)

    def _again(self, work: Work, held: Held, batch: _Batch) -> None:
        """
        Decide what is held once more: a new attempt, with a decision of its own.

        One that comes out as before is left as it is, with nothing written. One that has come to
        its end, or whose person was erased, is dropped without looking into it.
        """
        record = self._holding.record(work.partition, held)
        if self._now_ms >= held.ends_at:
            self._drop_unread(work, batch, held, record, _PAST_ITS_END)
            return
        try:
            raw = self._holding.opened(work.partition, record)
            if raw is None:
                self._drop_unread(work, batch, held, record, _GONE_WITH_ITS_KEY)
                return
            self._judge(work, batch, raw, None, [], held.offset, 0, (held, record))
        except (DeadLetter, ProofBroken):
            # It was read when it was held. Who cannot be judged now is dropped at the hold's end.
            work.unchanged.append(held)

    def _drop_unread(
        self, work: Work, batch: _Batch, held: Held, record: QuarantinedSms, verdict: Drop
    ) -> None:
        attempt, chain = held.attempt + 1, work.decisions
        chain.add(
            self._codecs.decisions.encode_body(
                SmsDecision(
                    decision_id=_decision_id(work.partition, held.offset, attempt).decode(),
                    request_id=record.request_id,
                    subject_id=record.subject_id,
                    purpose=record.purpose,
                    campaign_id=record.campaign_id,
                    sender_id="",
                    template_id=None,
                    verdict=_DROPPED,
                    basis=None,
                    consent_event_id=None,
                    reasons=tuple(reason.value for reason in verdict.reasons),
                    hold_until=None,
                    policy_version=batch.policy.version,
                    facts={},
                    request_partition=work.partition,
                    request_offset=held.offset,
                    attempt=attempt,
                    sequence=chain.sequence,
                    consent_offset=work.consent_offset,
                    contacts_offset=work.contacts_offset,
                    broadcast_offsets=batch.broadcast_offsets,
                    decided_at=self._now_ms,
                    previous=chain.hash,
                )
            ),
            record.subject_id,
        )
        request, now_ms = request_digest(record.request_id), self._now_ms
        known = batch.memory.of(record.subject_id, now_ms)
        remembered = entry(_DROPPED, now_ms, None, request, bytes(KIND_BYTES), again=True)
        batch.memory.note(batch.noted, record.subject_id, known, remembered, now_ms)
        told = batch.verdicts.of(nothing_known(record.purpose), verdict)
        work.tally.decided_again(told._replace(observed=()))
        self._settle(work, held.offset)

    def _settle(self, work: Work, offset: int) -> None:
        """End a hold: its tombstone stands in the transaction that says what came of it."""
        hold_id = f"{work.partition}-{offset}".encode()
        work.outputs.append(Output(self._topics.quarantined, work.partition, hold_id, None))
        work.settled.append(offset)

    def _have_looked_up(
        self, work: Work, recipient: str, state: SubjectState | None, event_id: str | None
    ) -> None:
        """Ask the worker to look up whose the number is, since the consent that is in force."""
        since = (
            [grant.counts_from for grant in state.grants if grant.event_id == event_id]
            if state
            else []
        )
        if since:
            unchecked = NumberUnchecked(recipient, min(since), self._now_ms)
            value = self._codecs.unchecked.encode(unchecked)
            topic, key = self._topics.unchecked, recipient.encode()
            work.outputs.append(Output(topic, work.partition, key, value, None))

    def _keep(self, request: SmsRequested) -> tuple[_Kept, bool]:
        refuse_long(request.purpose, request.campaign_id, request.sender_id, request.template_id)
        content = content_of(request, self._names, self._campaigns, self._now_ms)
        kind = kind_of(request.purpose, request.sender_id, request.campaign_id, request.template_id)
        return _Kept(content, content_bytes(request), kind, sent_tail(kind)), repeats(request)

    def _sent_once(
        self, partition: int, subject_id: bytes, state: SubjectState | None, content: Content
    ) -> None:
        """Remember at once what may be sent once: the next request of this batch sees it."""
        # Where nothing was known the number was computed to belong here.
        before = state or SubjectState(subject_id, placed=True)
        after = after_sending(before, content.answers, refers=content.refers)
        if content.asks is not None:
            after = after_asking(after, content.asks, self._now_ms)
        if after is not before:
            self._subjects.change(partition, after)

    def _sealer(self, partition: int, subject_id: bytes) -> Sealer:
        """Open the subject's data key, making one if there is none."""
        key = self._subjects.key(partition, subject_id)
        if key is None:
            key = self._data_keys.new_key(subject_id, self._now_ms)
            self._subjects.change_key(partition, subject_id, key)
        return self._data_keys.sealer(key)

    def _recipient(
        self, partition: int, recipient: str, key: bytes | None
    ) -> tuple[bytes, SubjectState | None]:
        """Return whose message this is and what is known of them, if it lies where they are."""
        if not is_e164(recipient):
            raise NotE164("The request's recipient is not an E.164 number.")
        encoded = recipient.encode()
        if key != encoded:
            raise KeyMismatch("The request's key is not its recipient.")
        subject_id = self._subject_ids.of(recipient)
        state = self._subjects.state(partition, subject_id)
        # A state with `placed` was folded from a record with this very number, found to belong
        # here. Anything else is computed: having been seen here before proves nothing.
        placed = state is not None and state.placed
        if not placed and partition_of(encoded, self._partitions) != partition:
            raise Misplaced("The request lies in a partition that its key does not belong to.")
        return subject_id, state


def _headers(
    own_headers: Headers, decision_id: bytes, said: Headers, valid_until: int | None
) -> Headers:
    """The request's own headers, and ours, which nobody else may say."""
    headers: Headers = [("consent-gate-decision-id", decision_id), *said]
    if valid_until is not None:
        headers.append(("consent-gate-valid-until", str(valid_until)))
    if own_headers:
        return [*(h for h in own_headers if not h[0].startswith(OUR_HEADERS)), *headers]
    return headers


def _decision_id(partition: int, offset: int, attempt: int) -> bytes:
    return f"{SMS_REQUESTED.name}-{partition}-{offset}-{attempt}".encode()


_PAST_ITS_END: Final = Drop((Reason.EXPIRED,))
_GONE_WITH_ITS_KEY: Final = Drop((Reason.ERASED,))

_new = tuple.__new__
"""A named tuple's own ``__new__`` is Python code."""

# Looking a member up in its enum takes longer than comparing with it.
_ALLOWED: Final = Outcome.ALLOWED
_QUARANTINED: Final = Outcome.QUARANTINED
_DROPPED: Final = Outcome.DROPPED
_UNCHECKED: Final = Reason.NUMBER_UNCHECKED
