"""
Deciding: what becomes of each request of a batch, once its state stands at the barrier.

For every request exactly one of these is written: its own bytes to ``sms.allowed``; a sealed copy
to ``sms.quarantined``; nothing but the decision, when it is dropped (dropped bodies are not kept);
or its own bytes to ``dead-letters``, when nobody can judge it. All but the last come with a record
in ``sms.decisions`` that stamps what was seen.
"""

from __future__ import annotations

from typing import Final, assert_never

from streams.codec.codec import Codecs
from streams.errors import DeadLetter, ProofBroken, TooLarge
from streams.gate.consequences import Consequences
from streams.gate.contents import Contents
from streams.gate.dead_letters import dead_letter
from streams.gate.ending_holds import GONE_WITH_ITS_KEY, PAST_ITS_END, drop_unread, settle
from streams.gate.ground import FIRST_ATTEMPT, Ground, PartitionGround, decision_id
from streams.gate.holding import Holding
from streams.gate.recipients import Recipients
from streams.gate.sealers import Sealers
from streams.gate.splicing import NO_SHADOW, Verdicts, decision_body, hold_body
from streams.gate.topics import GateTopics
from streams.gate.transaction import Output
from streams.gate.work import Work
from streams.kafka.bounds import (
    HEADERS_MAX_BYTES,
    IDENTIFIERS_MAX_CHARACTERS,
    REQUEST_MAX_BYTES,
    refuse_long,
)
from streams.kafka.record_headers import Headers, headers_of
from streams.kafka.record_size import size_of
from streams.policy.facts import NOTHING_SENT, Campaigns, NameConsents, assess_content
from streams.policy.reasons import Reason
from streams.policy.templates import Templates
from streams.records.decisions import Outcome, QuarantinedSms
from streams.records.sends import SendsRemembered
from streams.sealing.data_keys import DataKeys
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
    without,
)
from streams.state.subjects import Subjects
from streams.topology import SMS_REQUESTED

OUR_HEADERS: Final = "consent-gate-"
"""Headers of this prefix on a request are not passed on: only the gate may say these things."""


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
        self._recipients = Recipients(subjects, subject_ids, partitions)
        self._sealers = Sealers(subjects, data_keys)
        self._consequences = Consequences(subjects, codecs, topics)
        self._contents = Contents(codecs.requests, names, campaigns)
        self._sends = sends
        self._holding = holding
        self._codecs = codecs
        self._campaigns = campaigns
        self._templates = templates
        self._topics = topics
        self._group_id = group_id
        self._verdicts: Verdicts | None = None

    def decide(self, work: Work, ground: Ground) -> None:
        """
        Decide every request of ``work``.

        Raises :class:`streams.errors.RegistryUnavailable` where a request cannot be read before the
        registry can be asked; the caller then throws the work away.
        """
        now_ms = ground.now_ms
        if self._verdicts is None or not self._verdicts.hold_good(ground.policy, now_ms):
            self._verdicts = Verdicts(ground.policy, now_ms)
        if ground.candidate is not None:
            ground.candidate.beside(ground.policy)
        self._contents.now_ms = now_ms
        memory = self._sends.of(work.partition)
        here = PartitionGround(work, ground, self._verdicts, memory)
        for message in work.requests:
            try:
                self._first(work, message, here)
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
            for held in self._holding.take(work, now_ms):
                self._again(work, held, here)
        if (work.requests or work.taken) and memory.due(work.decisions.sequence, now_ms):
            self._checkpoint(work, memory, now_ms)
        work.send_checkpoint = memory.checkpoint

    def _checkpoint(self, work: Work, memory: Memory, now_ms: int) -> None:
        """Write what the send memory learnt since the last checkpoint, in this transaction."""
        partition, sequence = work.partition, work.decisions.sequence
        for packed in memory.take(sequence, now_ms):
            record = SendsRemembered(partition, sequence, packed, now_ms)
            value = self._codecs.sends.encode(record)
            work.outputs.append(Output(self._topics.sends, partition, None, value))

    def _first(self, work: Work, message: Fetched, here: PartitionGround) -> None:
        """Decide a request that came in."""
        raw, key, offset = message.value(), message.key(), message.offset() or 0
        if raw is not None and len(raw) > REQUEST_MAX_BYTES:
            raise TooLarge(
                f"The request has {len(raw)} bytes; at most {REQUEST_MAX_BYTES} may pass."
            )
        own_headers = headers_of(message)
        if own_headers and size_of(None, None, own_headers) > HEADERS_MAX_BYTES:
            raise TooLarge(f"The headers are larger than the {HEADERS_MAX_BYTES} bytes that pass.")
        self._judge(work, here, raw, key, own_headers, offset, message.timestamp()[1], None)

    def _again(self, work: Work, held: Held, here: PartitionGround) -> None:
        """
        Decide what is held once more: a new attempt, with a decision of its own.

        One that comes out as before is left as it is, with nothing written. One that has come to
        its end, or whose person was erased, is dropped without looking into it.
        """
        record = self._holding.record(work.partition, held)
        if here.now_ms >= held.ends_at:
            drop_unread(work, here, held, record, PAST_ITS_END, self._codecs, self._topics)
            return
        try:
            raw = self._holding.opened(work.partition, record)
            if raw is None:
                drop_unread(work, here, held, record, GONE_WITH_ITS_KEY, self._codecs, self._topics)
                return
            self._judge(work, here, raw, None, [], held.offset, 0, (held, record))
        except (DeadLetter, ProofBroken):
            # It was read when it was held. Who cannot be judged now is dropped at the hold's end.
            work.unchanged.append(held)

    def _judge(
        self,
        work: Work,
        here: PartitionGround,
        raw: bytes | None,
        key: bytes | None,
        own_headers: Headers,
        offset: int,
        appended_at: int,
        again: tuple[Held, QuarantinedSms] | None,
    ) -> None:
        """Decide one request: for the first time, or ``again`` after it was held."""
        request_id, recipient, valid_until, parameters, body, kept = self._contents.read(raw)
        if raw is not None and len(raw) > IDENTIFIERS_MAX_CHARACTERS:
            refuse_long(request_id)  # else its texts are not longer than that either
        partition, now_ms, memory = here.partition, here.now_ms, here.memory
        if again is not None:
            key = recipient.encode()
        subject_id, state = self._recipients.of(partition, recipient, key)
        content, encoded, kind, sent_tail, waiting_tail = kept
        request = request_digest(request_id)
        known = memory.of(subject_id, now_ms)
        sent, others = NOTHING_SENT, known
        if known is not None:
            erased_at = None if state is None else state.erased_at
            others = known if again is None else without(known, request)
            sent = sent_before(others, request, kind, here.caps, now_ms, erased_at)
        assessment = assess_content(
            content,
            valid_until,
            state,
            self._campaigns,
            now_ms,
            recipient,
            body,
            here.registers,
            here.confirming,
            here.lapses,
            sent,
            parameters,
            self._templates,
        )
        consent_event_id = assessment.consent_event_id
        verdict = here.verdicts.on(assessment)
        outcome, attempt, held_since = verdict.outcome, FIRST_ATTEMPT, now_ms
        decided = here.decision_ids % offset
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
            decided = decision_id(partition, offset, attempt)
        shadow = NO_SHADOW
        if here.candidate is not None:
            judged = here.candidate.judge(
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
                decided,
                request_id,
                subject_id,
                encoded,
                verdict,
                consent_event_id,
                here.stamped,
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
            memory.note(here.noted, subject_id, known, remembered, now_ms)
        elif outcome is _ALLOWED:
            remembered = pack_head(now_ms, request) + sent_tail
            memory.note(here.noted, subject_id, known, remembered, now_ms)
        elif outcome is _QUARANTINED:
            # What waits has the time that it waits for.
            hold_until = verdict.hold_until
            at = now_ms if hold_until is None else hold_until
            remembered = pack_head(at, request) + waiting_tail
            memory.note(here.noted, subject_id, known, remembered, now_ms)
        if outcome is _ALLOWED:
            if content.answers is not None or content.asks is not None or content.refers:
                self._consequences.sent(partition, subject_id, state, content, now_ms)
            headers = _headers(own_headers, decided, here.said, valid_until)
            work.outputs.append(_new(Output, (self._topics.allowed, partition, key, raw, headers)))
        elif outcome is _QUARANTINED:
            hold_id = here.hold_ids % offset
            sealer = self._sealers.of(partition, subject_id, now_ms)
            hold = hold_body(
                hold_id,
                decided,
                request_id,
                subject_id,
                encoded,
                verdict,
                sealer.seal(raw or b"", decided),
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
                self._consequences.unchecked(work, recipient, state, consent_event_id, now_ms)
        elif outcome is not _DROPPED:
            assert_never(outcome)
        if again is None:
            work.tally.decided(verdict, appended_at)
            return
        work.tally.decided_again(verdict)
        if outcome is not _QUARANTINED:
            settle(work, offset, self._topics)


def _headers(
    own_headers: Headers, decided: bytes, said: Headers, valid_until: int | None
) -> Headers:
    """The request's own headers, and ours, which nobody else may say."""
    headers: Headers = [("consent-gate-decision-id", decided), *said]
    if valid_until is not None:
        headers.append(("consent-gate-valid-until", str(valid_until)))
    if own_headers:
        return [*(h for h in own_headers if not h[0].startswith(OUR_HEADERS)), *headers]
    return headers


_new = tuple.__new__
"""A named tuple's own ``__new__`` is Python code."""

# Looking a member up in its enum takes longer than comparing with it.
_ALLOWED: Final = Outcome.ALLOWED
_QUARANTINED: Final = Outcome.QUARANTINED
_DROPPED: Final = Outcome.DROPPED
_UNCHECKED: Final = Reason.NUMBER_UNCHECKED
