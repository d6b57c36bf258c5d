"""Holds that end: unread, past their time or with their person's key; and how any of them does."""

from __future__ import annotations

from typing import Final

from streams.codec.codec import Codecs
from streams.gate.ground import PartitionGround, decision_id
from streams.gate.topics import GateTopics
from streams.gate.transaction import Output
from streams.gate.work import Work
from streams.policy.caps import KIND_BYTES
from streams.policy.facts import nothing_known
from streams.policy.reasons import Reason
from streams.policy.verdicts import Drop
from streams.records.decisions import Outcome, QuarantinedSms, SmsDecision
from streams.state.holds import Held
from streams.state.sends import entry, request_digest

PAST_ITS_END: Final = Drop((Reason.EXPIRED,))
GONE_WITH_ITS_KEY: Final = Drop((Reason.ERASED,))


def drop_unread(
    work: Work,
    ground: PartitionGround,
    held: Held,
    record: QuarantinedSms,
    verdict: Drop,
    codecs: Codecs,
    topics: GateTopics,
) -> None:
    """Decide to drop what is held without looking into it: no facts are read, and none recorded."""
    attempt, chain, now_ms = held.attempt + 1, work.decisions, ground.now_ms
    chain.add(
        codecs.decisions.encode_body(
            SmsDecision(
                decision_id=decision_id(work.partition, held.offset, attempt).decode(),
                request_id=record.request_id,
                subject_id=record.subject_id,
                purpose=record.purpose,
                campaign_id=record.campaign_id,
                sender_id="",
                template_id=None,
                verdict=Outcome.DROPPED,
                basis=None,
                consent_event_id=None,
                reasons=tuple(reason.value for reason in verdict.reasons),
                hold_until=None,
                policy_version=ground.version,
                facts={},
                request_partition=work.partition,
                request_offset=held.offset,
                attempt=attempt,
                sequence=chain.sequence,
                consent_offset=work.consent_offset,
                contacts_offset=work.contacts_offset,
                broadcast_offsets=ground.broadcast_offsets,
                decided_at=now_ms,
                previous=chain.hash,
            )
        ),
        record.subject_id,
    )
    request, memory = request_digest(record.request_id), ground.memory
    remembered = entry(Outcome.DROPPED, now_ms, None, request, bytes(KIND_BYTES), again=True)
    known = memory.of(record.subject_id, now_ms)
    memory.note(ground.noted, record.subject_id, known, remembered, now_ms)
    told = ground.verdicts.of(nothing_known(record.purpose), verdict)
    work.tally.decided_again(told._replace(observed=()))
    settle(work, held.offset, topics)


def settle(work: Work, offset: int, topics: GateTopics) -> None:
    """End a hold: its tombstone stands in the transaction that says what came of it."""
    hold_id = f"{work.partition}-{offset}".encode()
    work.outputs.append(Output(topics.quarantined, work.partition, hold_id, None))
    work.settled.append(offset)
