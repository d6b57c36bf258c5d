"""Every reason that can be given by now is given through the gate, and none that comes later."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.policy.policy import Policy
from streams.policy.reasons import GIVEN_BY_THE_GATE, Reason, ReasonKind
from streams.records.decisions import Outcome, SmsDecision
from streams.records.events import CampaignState, ConsentEvent, ConsentKind, Origin
from streams.records.requests import (
    Claim,
    ClaimEvidence,
    Initiator,
    InitiatorEvidence,
    NamedPerson,
    Occasion,
    TextAuthor,
)
from streams.telemetry import metrics
from streams.testing.records import (
    a_campaign,
    a_consent_event,
    a_contact_entry,
    a_number,
    a_withdrawal,
)
from tests.gate.asking import Asking
from tests.gate.bed import Bed, now_ms, wait_for
from tests.policy.messages import plain_policy

pytestmark = pytest.mark.kafka

A_MINUTE = 60_000
ORDER, LOGIN = Occasion("order", "4711"), Occasion("login", "session")


class Street:
    """A running gate, and people who have said nothing yet."""

    def __init__(self, asking: Asking) -> None:
        self.ask = asking.ask
        self.bed = asking.bed
        self.gate = asking.running.gate
        self.telemetry = asking.running.telemetry
        self._people = map(a_number, itertools.count())

    def somebody(self, *said: ConsentEvent) -> str:
        """A new person who said this, in this order."""
        number = next(self._people)
        for place, event in enumerate(said):
            self.bed.consent(replace(event, subject=number, event_id=f"{number} {place}"))
            self.bed.flush()
        return number

    def uploaded(self, **how: bool) -> str:
        """A new person whose number stands in somebody's address book."""
        number = self.somebody()
        entry = a_contact_entry(
            subject_id=self.bed.keyring.subject_ids.of(number),
            partition=self.bed.partition(number),
            expires_at=now_ms() + A_MINUTE,
            **how,
        )
        value = self.bed.codecs.contact_entries.encode(entry)
        self.bed.write(self.bed.topics.contacts, entry.subject_id, value, entry.partition)
        self.bed.flush()
        return number


@pytest.fixture(scope="module")
def street(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    bed = Bed(
        kafka.bootstrap_servers,
        f"t{secrets.token_hex(3)}.",
        tmp_path_factory.mktemp("reasons"),
    )
    with bed.ready_gate() as running:
        asking = Asking(bed, running)
        yield Street(asking)
        asking.close()


def yes(**changes: Any) -> ConsentEvent:
    return replace(a_consent_event(occurred_at=now_ms() - A_MINUTE), **changes)


def said(kind: ConsentKind, **changes: Any) -> ConsentEvent:
    return replace(a_withdrawal(kind=kind, occurred_at=now_ms() - A_MINUTE), **changes)


def confirmed(recipient: str, body: str) -> Initiator:
    """A user who was told, picked, saw, wrote and confirmed this text to this person."""
    evidence = InitiatorEvidence(
        recipient_hand_picked=True,
        effect_disclosed=True,
        text_shown=True,
        confirmed_at=now_ms(),
        confirmed_sha256=sha256(f"{recipient}\n{body}".encode()).hexdigest(),
        text_author=TextAuthor.USER,
    )
    return Initiator(a_number(99), "tap_invite", evidence)


def _state_undecodable(street: Street) -> SmsDecision:
    number = street.somebody(yes())
    street.bed.write(street.bed.topics.consent, number.encode(), b"garbage")
    street.bed.flush()
    return street.ask(number)


def _policy_error(street: Street) -> SmsDecision:
    """No policy that passes its checks is known to fail, so a rule is made to."""
    live, sound = street.gate._policy, street.gate._policy.current
    number = street.somebody(yes())
    live._current = unanswering(sound)
    try:
        return street.ask(number)
    finally:
        live._current = sound


class GivesNoAnswer:
    def holds(self, activation: object) -> None:
        return None


def unanswering(sound: Policy) -> Policy:
    rules = [replace(sound.rules[0], condition=GivesNoAnswer()), *sound.rules[1:]]  # type: ignore[arg-type]
    return Policy(
        name=sound.name,
        edition=sound.edition,
        version=sound.version,
        files=sound.files,
        purposes=sound.purposes,
        rules=tuple(rules),
        registers=sound.registers,
        language=sound._language,
    )


def _campaign_paused(street: Street) -> SmsDecision:
    record = a_campaign(campaign_id="paused", state=CampaignState.PAUSED, pause_id="1")
    value = street.bed.codecs.campaigns.encode(record)
    street.bed.write(street.bed.topics.campaigns, b"paused#1", value)
    street.bed.flush()
    return street.ask(street.somebody(yes()), campaign_id="paused")


def _evidence_contradictory(street: Street) -> SmsDecision:
    number = street.somebody(yes(purpose="invite"))
    initiator = confirmed(number, "what the user saw")
    return street.ask(number, purpose="invite", body="what is sent", initiator=initiator)


def _names_third_party(street: Street) -> SmsDecision:
    number = street.somebody(yes())
    return street.ask(number, named_persons=(NamedPerson("N.", a_number(98)),))


def _claim_unsupported(street: Street) -> SmsDecision:
    claim = Claim("former_colleague", ClaimEvidence.INFERRED)
    return street.ask(street.somebody(yes()), claims=(claim,))


def _duplicate_request(street: Street) -> SmsDecision:
    number, due_to = street.somebody(), Occasion("inbound_sms", "message-1")
    street.ask(number, purpose="service_reply", occasion=due_to)
    return street.ask(number, purpose="service_reply", occasion=due_to)


def _frequency(street: Street) -> SmsDecision:
    number = street.somebody(yes(purpose="invite"))
    for _ in range(3):
        decision = street.ask(
            number, purpose="invite", body="Join us", initiator=confirmed(number, "Join us")
        )
        assert decision.verdict is Outcome.ALLOWED
    return street.ask(
        number, purpose="invite", body="Join us", initiator=confirmed(number, "Join us")
    )


def _number_reassigned(street: Street) -> SmsDecision:
    now = now_ms()
    reassigned = said(ConsentKind.NUMBER_REASSIGNED, effective_at=now - A_MINUTE // 2)
    number = street.somebody(yes(), said(ConsentKind.REGISTERED), reassigned)
    return street.ask(number)


GIVEN: dict[Reason, Callable[[Street], SmsDecision]] = {
    Reason.STATE_UNDECODABLE: _state_undecodable,
    Reason.POLICY_ERROR: _policy_error,
    Reason.PURPOSE_UNKNOWN: lambda street: street.ask(street.somebody(yes()), purpose="raffle"),
    Reason.ERASED: lambda street: street.ask(
        street.somebody(yes(), said(ConsentKind.ERASURE_REQUESTED))
    ),
    Reason.SUPPRESSED: lambda street: street.ask(street.somebody(yes(), a_withdrawal())),
    Reason.CONSENT_WITHDRAWN: lambda street: street.ask(
        street.somebody(yes(), a_withdrawal(purpose="marketing"))
    ),
    Reason.NUMBER_REASSIGNED: _number_reassigned,
    Reason.THIRD_PARTY_NUMBER: lambda street: street.ask(
        street.somebody(said(ConsentKind.NUMBER_ORIGIN, origin=Origin.PURCHASED))
    ),
    Reason.UPLOAD_MANDATORY: lambda street: street.ask(street.uploaded(mandatory=True)),
    Reason.UPLOAD_UNDISCLOSED: lambda street: street.ask(street.uploaded(undisclosed=True)),
    Reason.PLATFORM_INITIATED: lambda street: street.ask(
        street.somebody(yes(purpose="invite")), purpose="invite"
    ),
    Reason.NAMES_THIRD_PARTY: _names_third_party,
    Reason.CLAIM_UNSUPPORTED: _claim_unsupported,
    Reason.CONSENT_NOT_FREE: lambda street: street.ask(street.somebody(yes(conditional=True))),
    Reason.CONSENT_EXPIRED: lambda street: street.ask(
        street.somebody(yes(expires_at=now_ms() - 1))
    ),
    Reason.NO_CONSENT: lambda street: street.ask(street.somebody()),
    Reason.NO_BASIS: lambda street: street.ask(
        street.somebody(), purpose="transactional", occasion=ORDER
    ),
    Reason.EXPIRED: lambda street: street.ask(street.somebody(yes()), valid_until=now_ms() - 1),
    Reason.DUPLICATE_REQUEST: _duplicate_request,
    Reason.EVIDENCE_CONTRADICTORY: _evidence_contradictory,
    Reason.PURPOSE_MISMATCH: lambda street: street.ask(
        street.somebody(), purpose="otp", occasion=LOGIN, claims=(Claim("admirer"),)
    ),
    Reason.OCCASION_MISSING: lambda street: street.ask(street.somebody(), purpose="otp"),
    Reason.CAMPAIGN_PAUSED: _campaign_paused,
    Reason.FREQUENCY: _frequency,
}

NOT_ALONE: dict[Reason, tuple[Reason, ...]] = {
    Reason.ERASED: (Reason.NO_CONSENT,),
    Reason.NUMBER_REASSIGNED: (Reason.NO_CONSENT,),
    Reason.THIRD_PARTY_NUMBER: (Reason.NO_CONSENT,),
    Reason.UPLOAD_MANDATORY: (Reason.THIRD_PARTY_NUMBER, Reason.NO_CONSENT),
    Reason.UPLOAD_UNDISCLOSED: (Reason.THIRD_PARTY_NUMBER, Reason.NO_CONSENT),
}
"""What else objects where one thing cannot be so without another."""


def test_every_reason_that_the_policy_or_the_gate_gives_has_its_request_here() -> None:
    by_rules = {rule.reason for rule in plain_policy().rules if rule.reason is not None}
    assert GIVEN.keys() == by_rules | GIVEN_BY_THE_GATE


@pytest.mark.parametrize("reason", GIVEN, ids=lambda reason: reason.value)
def test_the_reason_is_given_with_its_outcome_and_counted_with_its_kind(
    street: Street, reason: Reason
) -> None:
    decision = GIVEN[reason](street)

    expected = {reason, *NOT_ALONE.get(reason, ())}
    assert set(decision.reasons) == {each.value for each in expected}
    assert decision.reasons[0] == min(expected, key=lambda each: each.severity).value
    blocked = any(each.kind is ReasonKind.BLOCK for each in expected)
    assert decision.verdict is (Outcome.DROPPED if blocked else Outcome.QUARANTINED)
    kind = reason.kind.value.lower()

    def counted() -> bool:
        # The metrics are moved after the commit that the decision was read from.
        told = street.telemetry.values(metrics.REASONS)
        return any((code, of) == (reason.value, kind) for _, code, of in told)

    wait_for(counted, what="for the reason to be counted")


def test_without_any_the_same_requests_are_allowed(street: Street) -> None:
    number = street.somebody(yes(), yes(purpose="invite"))
    initiator = confirmed(number, "Join us")
    for changes in (
        {},
        {"purpose": "otp", "occasion": LOGIN},
        {"purpose": "invite", "body": "Join us", "initiator": initiator},
    ):
        assert street.ask(number, **changes).verdict is Outcome.ALLOWED
