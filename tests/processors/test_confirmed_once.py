"""From a reply through worker and gate: one confirmation of a STOP, and a yes that confirms."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.processors.replies import replies
from streams.records.decisions import Outcome
from streams.records.events import Source
from streams.records.requests import Occasion
from streams.testing.records import a_consent_event, a_number, an_inbound_sms, an_sms_requested
from streams.topology import SMS_INBOUND, SMS_REQUESTED
from tests.gate.bed import Bed, now_ms
from tests.processors import killed_before_asking
from tests.processors.bed import policy_wanting_confirmations, working
from tests.processors.worker_process import worker_process

pytestmark = pytest.mark.kafka

NUMBER = a_number(10)


def reply(bed: Bed, body: str, message_id: str = "m-1") -> None:
    said = an_inbound_sms(
        message_id=message_id, sender=NUMBER, body=body, received_at=now_ms(), recipient="36111"
    )
    value = bed.codecs.inbound.encode(said)
    topic = bed.settings.names.of(SMS_INBOUND)
    bed.write(topic, NUMBER.encode(), value, bed.partition(NUMBER))
    bed.flush()


def advert(bed: Bed, request_id: str) -> None:
    bed.request(an_sms_requested(request_id=request_id, recipient=NUMBER, valid_until=None))


def ask(bed: Bed, request_id: str, event_id: str) -> None:
    bed.request(
        an_sms_requested(
            request_id=request_id,
            recipient=NUMBER,
            valid_until=None,
            purpose="confirmation",
            campaign_id=None,
            occasion=Occasion("confirmation", event_id),
        )
    )


def test_a_stop_is_confirmed_once_though_the_worker_dies_before_asking(bed: Bed) -> None:
    bed.consent(a_consent_event(subject=NUMBER))
    reply(bed, "STOP")
    with worker_process(bed, module=killed_before_asking.__name__) as process:
        assert process.wait(60) == -signal.SIGKILL
    assert len(bed.read(bed.topics.consent)) == 2
    assert bed.read(bed.settings.names.of(SMS_REQUESTED)) == []

    reply(bed, "STOP")  # as a carrier delivers it twice
    with bed.ready_gate(), working(bed, replies) as worker:
        worker.until(lambda: worker.handled("replies") == 2)
        advert(bed, "advert")
        bed.decided(3)

    (confirmation,) = bed.allowed()
    assert (confirmation.purpose, confirmation.request_id) == ("service_reply", "inbound/m-1")
    assert confirmation.body == "You have opted out and will get no more messages from us."
    outcomes = [(each.request_id, each.verdict) for each in bed.decisions()]
    assert sorted(outcomes, key=lambda each: (each[0], each[1].value)) == [
        ("advert", Outcome.DROPPED),
        ("inbound/m-1", Outcome.ALLOWED),
        ("inbound/m-1", Outcome.DROPPED),
    ]


def test_a_consent_waits_for_a_yes_and_is_asked_for_once_where_the_policy_wants_it(
    kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path
) -> None:
    policy = policy_wanting_confirmations(tmp_path)
    bed = Bed(kafka.bootstrap_servers, topic_prefix, tmp_path, policy_dir=policy)

    with bed.ready_gate(), working(bed, replies) as worker:
        given = a_consent_event(subject=NUMBER, occurred_at=now_ms(), source=Source.SELF_SERVICE)
        bed.consent(given)
        bed.flush()
        advert(bed, "before")
        for request_id in ("question", "again"):  # they may come in one batch
            ask(bed, request_id, given.event_id)
        decided = bed.decided(3)
        reply(bed, "Yes please", "m-2")
        worker.until(lambda: worker.handled("replies") == 1)
        advert(bed, "after")
        ask(bed, "late", given.event_id)
        decided = bed.decided(5)

    before, after = decided["before"], decided["after"]
    assert (before.reasons, before.facts["consent"]) == (("CONSENT_PENDING",), "PENDING")
    assert decided["question"].verdict is Outcome.ALLOWED
    assert decided["again"].reasons == ("DUPLICATE_REQUEST",)
    assert decided["late"].reasons == ("NO_CONSENT",)
    assert before.consent_event_id == given.event_id
    assert (after.verdict, after.consent_event_id) == (Outcome.ALLOWED, given.event_id)
