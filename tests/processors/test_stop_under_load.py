"""While everybody is written to without a pause, each STOP counts from its append on."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from streams.processors.replies import replies
from streams.records.decisions import Outcome
from streams.records.events import ConsentKind
from streams.testing.records import a_consent_event, a_number, an_inbound_sms, an_sms_requested
from streams.topology import SMS_INBOUND, SMS_REQUESTED
from tests.gate.bed import Bed, now_ms
from tests.processors.bed import working

pytestmark = pytest.mark.kafka

PEOPLE = [a_number(n) for n in range(10, 40)]


def test_nothing_is_allowed_that_was_appended_after_the_withdrawal(bed: Bed) -> None:
    topic = bed.settings.names.of(SMS_INBOUND)
    ids = (f"r-{n}" for n in itertools.count())
    for number in PEOPLE:
        bed.consent(a_consent_event(event_id=number, subject=number))
    bed.flush()

    def everybody() -> None:
        for number in PEOPLE:
            bed.request(an_sms_requested(request_id=next(ids), recipient=number, valid_until=None))
        bed.flush()

    with bed.ready_gate(), working(bed, replies) as worker:
        everybody()
        bed.decided(len(PEOPLE))
        for at, number in enumerate(PEOPLE):
            reply = an_inbound_sms(
                message_id=f"m-{at}", sender=number, body="STOP", received_at=now_ms()
            )
            bed.write(
                topic, number.encode(), bed.codecs.inbound.encode(reply), bed.partition(number)
            )
            bed.flush()
            everybody()
        worker.until(lambda: worker.handled("replies") == len(PEOPLE))
        everybody()
        bed.decided(len(PEOPLE) * (len(PEOPLE) + 2) + len(PEOPLE))  # and the confirmations

    withdrawn = {}
    for record in bed.read(bed.topics.consent):
        event = bed.codecs.consent_events.decode(record.value())
        if event.kind is ConsentKind.WITHDRAWN:
            withdrawn[event.subject] = record.timestamp()[1]
    asked = {
        (record.partition(), record.offset()): (
            bed.codecs.requests.decode(record.value()),
            record.timestamp()[1],
        )
        for record in bed.read(bed.settings.names.of(SMS_REQUESTED))
    }
    allowed: Counter[str] = Counter()
    for decision in bed.decisions():
        request, at = asked[decision.request_partition, decision.request_offset]
        if request.purpose == "marketing" and decision.verdict is Outcome.ALLOWED:
            allowed[request.recipient] += 1
            assert at <= withdrawn[request.recipient]
        if request.purpose == "marketing" and decision.verdict is Outcome.DROPPED:
            assert decision.reasons == ("SUPPRESSED",)
    assert set(allowed) == set(PEOPLE)
    confirmations = [each for each in bed.allowed() if each.purpose == "service_reply"]
    assert sorted(each.recipient for each in confirmations) == PEOPLE
