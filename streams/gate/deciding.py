"""
Deciding: what becomes of each request of a batch, once its state stands at the barrier.

For every request exactly one of these is written: its own bytes to ``sms.allowed``; a sealed copy
to ``sms.quarantined``; nothing but the decision, when it is dropped (dropped bodies are not kept);
or its own bytes to ``dead-letters``, when nobody can judge it. All but the last come with a record
in ``sms.decisions`` that stamps what was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

from streams.codec.codec import Codecs
from streams.errors import DeadLetter, KeyMismatch, Misplaced, NotE164, TooLarge
from streams.gate.dead_letters import dead_letter, headers_of
from streams.gate.topics import GateTopics
from streams.gate.transaction import Headers, Output
from streams.gate.work import Work
from streams.kafka.placement import partition_of
from streams.policy.facts import Assessment, Campaigns, NameConsents, assess
from streams.policy.policy import Policy
from streams.policy.reasons import Reason
from streams.policy.verdicts import Allow, Drop, Quarantine, Verdict
from streams.records.decisions import Outcome, QuarantinedSms, SmsDecision
from streams.records.e164 import is_e164
from streams.records.requests import SmsRequested
from streams.records.subject import SubjectState
from streams.sealing.data_keys import DataKeys
from streams.sealing.subject_ids import SubjectIds
from streams.state.log_reader import Fetched
from streams.state.subjects import Subjects
from streams.telemetry.series import OTHER
from streams.topology import INPUT_MAX_BYTES, SMS_REQUESTED

OUR_HEADERS: Final = "consent-gate-"
"""Headers of this prefix on a request are not passed on: only the gate may say these things."""

FIRST_ATTEMPT: Final = 0


@dataclass(frozen=True, slots=True)
class Ground:
    """
    What all decisions of a batch share.

    ``broadcast_offsets`` are stamped as they are; ``now_ms`` is read after the barrier.
    """

    policy: Policy
    broadcast_offsets: dict[str, int]
    now_ms: int


class Deciding:
    """Decides whole batches. Reads state through the overlay; writes only into the work."""

    def __init__(
        self,
        *,
        subjects: Subjects,
        codecs: Codecs,
        subject_ids: SubjectIds,
        data_keys: DataKeys,
        names: NameConsents,
        campaigns: Campaigns,
        topics: GateTopics,
        partitions: int,
        group_id: str,
    ) -> None:
        self._subjects = subjects
        self._codecs = codecs
        self._subject_ids = subject_ids
        self._data_keys = data_keys
        self._names = names
        self._campaigns = campaigns
        self._topics = topics
        self._partitions = partitions
        self._group_id = group_id

    def decide(self, work: Work, ground: Ground) -> None:
        """
        Decide every request of ``work``.

        Raises :class:`streams.errors.RegistryUnavailable` where a request cannot be read before the
        registry can be asked; the caller then throws the work away.
        """
        for message in work.requests:
            try:
                self._one(work, message, ground)
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

    def _one(self, work: Work, message: Fetched, ground: Ground) -> None:
        raw, key = message.value(), message.key()
        partition = work.partition
        if raw is not None and len(raw) > INPUT_MAX_BYTES:
            raise TooLarge(f"The request has {len(raw)} bytes; at most {INPUT_MAX_BYTES} may pass.")
        request = self._codecs.requests.decode(raw)
        subject_id, state = self._recipient(partition, request, key)
        assessment = assess(request, state, self._names, self._campaigns, ground.now_ms)
        verdict = ground.policy.decide(assessment)
        decision = _decision(work, message, request, subject_id, assessment, verdict, ground)
        work.decisions.add(decision, subject_id)
        match decision.verdict:
            case Outcome.ALLOWED:
                headers = _headers(message, request, decision)
                work.outputs.append(Output(self._topics.allowed, partition, key, raw, headers))
            case Outcome.QUARANTINED:
                self._hold(work, raw or b"", decision)
            case Outcome.DROPPED:
                pass
            case _:
                assert_never(decision.verdict)
        purpose = request.purpose if request.purpose in ground.policy.purposes else OTHER
        work.tally.decided(purpose, verdict, decision.verdict, message.timestamp()[1])

    def _recipient(
        self, partition: int, request: SmsRequested, key: bytes | None
    ) -> tuple[bytes, SubjectState | None]:
        """Return whose message this is and what is known of them, if it lies where they are."""
        recipient = request.recipient
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

    def _hold(self, work: Work, raw: bytes, decision: SmsDecision) -> None:
        """Write the request into the table of holds, sealed under its subject's key."""
        partition, subject_id = work.partition, decision.subject_id
        subject_key = self._subjects.key(partition, subject_id)
        if subject_key is None:
            subject_key = self._data_keys.new_key(subject_id, decision.decided_at)
            self._subjects.change_key(partition, subject_id, subject_key)
        sealer = self._data_keys.sealer(subject_key)
        hold_id = f"{partition}-{decision.request_offset}"
        held = QuarantinedSms(
            hold_id=hold_id,
            decision_id=decision.decision_id,
            request_id=decision.request_id,
            subject_id=subject_id,
            purpose=decision.purpose,
            campaign_id=decision.campaign_id,
            reasons=decision.reasons,
            hold_until=decision.hold_until,
            sealed=sealer.seal(raw, decision.decision_id.encode()),
            key_id=sealer.key_id,
            quarantined_at=decision.decided_at,
        )
        value = self._codecs.quarantined.encode(held)
        work.outputs.append(Output(self._topics.quarantined, partition, hold_id.encode(), value))


def _decision(
    work: Work,
    message: Fetched,
    request: SmsRequested,
    subject_id: bytes,
    assessment: Assessment,
    verdict: Verdict,
    ground: Ground,
) -> SmsDecision:
    """Write down the verdict with everything that it was reached on."""
    basis: str | None = None
    reasons: tuple[Reason, ...] = ()
    hold_until: int | None = None
    match verdict:
        case Allow():
            outcome, basis = Outcome.ALLOWED, verdict.basis
        case Drop():
            outcome, reasons = Outcome.DROPPED, verdict.reasons
        case Quarantine():
            outcome, reasons = Outcome.QUARANTINED, verdict.reasons
            hold_until = verdict.hold_until
        case _:
            assert_never(verdict)
    offset = message.offset() or 0
    return SmsDecision(
        decision_id=f"{SMS_REQUESTED.name}-{work.partition}-{offset}-{FIRST_ATTEMPT}",
        request_id=request.request_id,
        subject_id=subject_id,
        purpose=request.purpose,
        campaign_id=request.campaign_id,
        sender_id=request.sender_id,
        template_id=request.template_id,
        verdict=outcome,
        basis=basis,
        consent_event_id=assessment.consent_event_id,
        reasons=tuple(reason.value for reason in reasons),
        hold_until=hold_until,
        policy_version=ground.policy.version,
        facts=assessment.facts.as_map(),
        request_partition=work.partition,
        request_offset=offset,
        attempt=FIRST_ATTEMPT,
        sequence=work.decisions.sequence,
        consent_offset=work.consent_offset,
        contacts_offset=work.contacts_offset,
        broadcast_offsets=ground.broadcast_offsets,
        decided_at=ground.now_ms,
        previous=work.decisions.hash,
    )


def _headers(message: Fetched, request: SmsRequested, decision: SmsDecision) -> Headers:
    """The request's own headers, and ours, which nobody else may say."""
    headers = [h for h in headers_of(message) if not h[0].startswith(OUR_HEADERS)]
    headers.append((OUR_HEADERS + "decision-id", decision.decision_id))
    headers.append((OUR_HEADERS + "policy-version", decision.policy_version))
    headers.append((OUR_HEADERS + "consent-offset", str(decision.consent_offset)))
    if request.valid_until is not None:
        headers.append((OUR_HEADERS + "valid-until", str(request.valid_until)))
    return headers
