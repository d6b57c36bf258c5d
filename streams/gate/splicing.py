"""
Splicing: decisions and holds put together from bytes that were encoded before.

Encoding a decision field by field takes longer than everything else that is done for a message.
Most of it repeats: what comes from the content within a campaign, what comes from the facts within
a policy version, what is stamped within a batch. Each is encoded once, and a decision is the
pieces joined. The bytes are those of the codec, which a property test shows.
"""

from __future__ import annotations

from typing import Final, NamedTuple, assert_never

from streams.codec.encoder import (
    LENGTHS,
    array_of,
    encode_bytes,
    encode_long,
    encode_string,
    map_of,
    nullable,
)
from streams.policy.facts import Assessment, Facts
from streams.policy.policy import Policy
from streams.policy.reasons import Reason
from streams.policy.verdicts import Allow, Drop, Quarantine, Verdict
from streams.records.decisions import Outcome, Shadow
from streams.records.requests import SmsRequested
from streams.telemetry.series import OTHER

MOST_FACTS: Final = 20_000
"""Fact tuples whose bytes are kept, about 500 bytes each; as with verdicts, a few hundred occur."""

_text = nullable(encode_string)
_time = nullable(encode_long)
_texts = array_of(encode_string)
_facts = map_of(encode_string)
_offsets = map_of(encode_long)
_OUTCOMES: Final = {
    outcome: encode_long(place)
    for place, outcome in enumerate((Outcome.ALLOWED, Outcome.QUARANTINED, Outcome.DROPPED))
}
"""In the order of the symbols in ``schemas/sms_decision.avsc``."""

_MANY: Final = len(LENGTHS)
_NONE: Final = b"\x00"
_SOME: Final = b"\x02"
"""The branches of a union of null and something."""
NO_SHADOW: Final = _NONE
"""The field ``shadow`` of a decision where no candidate spoke."""


class ContentBytes(NamedTuple):
    """What decisions and holds repeat of a request's content."""

    decision: bytes
    hold: bytes


def content_bytes(request: SmsRequested) -> ContentBytes:
    """Encode it: purpose, campaign, sender and template."""
    shared = encode_string(request.purpose) + _text(request.campaign_id)
    return ContentBytes(
        shared + encode_string(request.sender_id) + _text(request.template_id), shared
    )


class VerdictBytes(NamedTuple):
    """What decisions and holds repeat of one verdict on one fact tuple, of one purpose."""

    purpose: str
    verdict: Verdict
    outcome: Outcome
    reasons: tuple[Reason, ...]
    codes: tuple[str, ...]
    hold_until: int | None
    observed: tuple[str, ...]
    """The ids of the rules that are only observed and matched."""
    before_event: bytes
    after_event: bytes
    hold: bytes
    observed_encoded: bytes


class Verdicts:
    """
    The verdicts of one policy version and their bytes, while the same rules are in force.

    To be replaced once :meth:`hold_good` denies it.
    """

    def __init__(self, policy: Policy, now_ms: int) -> None:
        self.policy = policy
        self.observing = policy.observing(now_ms)
        self._period = policy.period(now_ms)
        self._version = encode_string(policy.version)
        self._kept: dict[Facts, VerdictBytes] = {}
        self._given: dict[Facts, VerdictBytes] = {}

    def hold_good(self, policy: Policy, now_ms: int) -> bool:
        """Whether these are the verdicts of this policy at this time."""
        return (
            self.policy is policy
            and self._period == policy.period(now_ms)
            and self.observing == policy.observing(now_ms)
        )

    def on(self, assessment: Assessment) -> VerdictBytes:
        """
        Give the policy's verdict on what was assessed at a time for which these hold good.

        One look-up by facts where no time of the person's own has a part in it, as for nearly all:
        hashing three dozen facts twice, for the verdict and for its bytes, cost as much again.
        """
        facts, _, _, opens_at, slot_at = assessment
        if opens_at is not None or slot_at is not None:
            return self.of(facts, self.policy.decide(assessment))
        given = self._given.get(facts)
        if given is None:
            given = self.of(facts, self.policy.decide(assessment))
            if len(self._given) >= MOST_FACTS:
                self._given.clear()
            self._given[facts] = given
        return given

    def of(self, facts: Facts, verdict: Verdict) -> VerdictBytes:
        """Return the pieces for this verdict on these facts."""
        kept = self._kept.get(facts)
        if kept is not None and kept.verdict is verdict:
            return kept
        made = self._made(facts, verdict)
        if len(self._kept) >= MOST_FACTS:
            self._kept.clear()
        self._kept[facts] = made
        return made

    def _made(self, facts: Facts, verdict: Verdict) -> VerdictBytes:
        outcome, reasons = outcome_of(verdict)
        basis = verdict.basis if isinstance(verdict, Allow) else None
        hold_until = verdict.hold_until if isinstance(verdict, Quarantine) else None
        matched = self.policy.matching(self.observing, facts)
        observed = tuple(rule.id for rule in matched)
        objections = _texts(tuple(reason.value for reason in reasons)) + _time(hold_until)
        return VerdictBytes(
            purpose=facts.purpose if facts.purpose in self.policy.purposes else OTHER,
            verdict=verdict,
            outcome=outcome,
            reasons=reasons,
            codes=tuple(reason.value for reason in reasons),
            hold_until=hold_until,
            observed=observed,
            before_event=_OUTCOMES[outcome] + _text(basis),
            after_event=objections + self._version + _facts(facts.as_map()),
            hold=objections,
            observed_encoded=_texts(observed),
        )


def outcome_of(verdict: Verdict) -> tuple[Outcome, tuple[Reason, ...]]:
    """Return how a request ends by this verdict, and what objected."""
    match verdict:
        case Allow():
            return Outcome.ALLOWED, ()
        case Drop():
            return Outcome.DROPPED, verdict.reasons
        case Quarantine():
            return Outcome.QUARANTINED, verdict.reasons
        case _:
            assert_never(verdict)


def shadow_bytes(shadow: Shadow) -> bytes:
    """Encode the field ``shadow`` of a decision."""
    return (
        _SOME
        + encode_string(shadow.policy_version)
        + _OUTCOMES[shadow.verdict]
        + _texts(shadow.reasons)
    )


class Stamp(NamedTuple):
    """What all decisions of one partition in one batch repeat."""

    partition: bytes
    seen: bytes


def stamp(
    partition: int,
    consent_offset: int,
    contacts_offset: int,
    broadcast_offsets: dict[str, int],
    decided_at: int,
) -> Stamp:
    """Encode what was seen, and when."""
    return Stamp(
        encode_long(partition),
        encode_long(consent_offset)
        + encode_long(contacts_offset)
        + _offsets(broadcast_offsets)
        + encode_long(decided_at),
    )


def decision_body(
    decision_id: bytes,
    request_id: str,
    subject_id: bytes,
    content: ContentBytes,
    verdict: VerdictBytes,
    consent_event_id: str | None,
    stamped: Stamp,
    offset: int,
    attempt: int,
    sequence: int,
    previous: bytes,
    shadow: bytes = NO_SHADOW,
) -> bytes:
    """
    Return the Avro body of an SmsDecision with a null signature.

    ``shadow`` is of :func:`shadow_bytes`.
    ``decision_id`` is UTF-8: a string is written as bytes are. It, ``subject_id`` and ``previous``
    have fewer than 8192 bytes; no number is negative. Lengths are looked up here and not asked for,
    since the calls took a quarter of the time.
    """
    request = request_id.encode()
    size = len(request)
    return b"".join(
        (
            LENGTHS[len(decision_id)],
            decision_id,
            LENGTHS[size] if size < _MANY else encode_long(size),
            request,
            LENGTHS[len(subject_id)],
            subject_id,
            content.decision,
            verdict.before_event,
            _NONE if consent_event_id is None else _SOME + encode_string(consent_event_id),
            verdict.after_event,
            stamped.partition,
            LENGTHS[offset] if offset < _MANY else encode_long(offset),
            LENGTHS[attempt] if attempt < _MANY else encode_long(attempt),
            LENGTHS[sequence] if sequence < _MANY else encode_long(sequence),
            stamped.seen,
            LENGTHS[len(previous)],
            previous,
            verdict.observed_encoded,
            shadow,
            _NONE,
        )
    )


def hold_body(
    hold_id: bytes,
    decision_id: bytes,
    request_id: str,
    subject_id: bytes,
    content: ContentBytes,
    verdict: VerdictBytes,
    sealed: bytes,
    key_id: str,
    quarantined_at: int,
    valid_until: int | None,
    attempt: int,
) -> bytes:
    """Return the Avro body of a QuarantinedSms. The ids are UTF-8."""
    return b"".join(
        (
            encode_bytes(hold_id),
            encode_bytes(decision_id),
            encode_string(request_id),
            encode_bytes(subject_id),
            content.hold,
            verdict.hold,
            encode_bytes(sealed),
            encode_string(key_id),
            encode_long(quarantined_at),
            _time(valid_until),
            encode_long(attempt),
        )
    )
