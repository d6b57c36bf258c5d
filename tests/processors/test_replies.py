"""Replies through a worker and a gate, on the real broker."""

from __future__ import annotations

import pytest

from streams.processors.replies import replies
from streams.records.events import ConsentEvent, ConsentKind, Source
from streams.records.inbound import InboundSms
from streams.telemetry.labels import EventOutcome
from streams.testing.records import (
    a_consent_event,
    a_number,
    an_inbound_sms,
    an_sms_requested,
)
from streams.topology import CONSENT_EVENTS, INBOUND_UNCERTAIN, SMS_INBOUND
from tests.gate.bed import Bed
from tests.processors.bed import working

pytestmark = pytest.mark.kafka


def reply(bed: Bed, number: str, body: str, **changes: object) -> None:
    said: InboundSms = an_inbound_sms(
        message_id=f"message-{bed.partition(number)}-{hash((number, body))}",
        sender=number,
        body=body,
        **changes,
    )
    topic = bed.settings.names.of(SMS_INBOUND)
    bed.write(topic, number.encode(), bed.codecs.inbound.encode(said), bed.partition(number))
    bed.flush()


def events(bed: Bed) -> list[ConsentEvent]:
    read = bed.read(bed.settings.names.of(CONSENT_EVENTS))
    found = [bed.codecs.consent_events.decode(record.value()) for record in read]
    for record, event in zip(read, found, strict=True):
        assert record.key() == event.subject.encode()
        assert record.partition() == bed.partition(event.subject)
    return found


def test_each_meaning_becomes_its_event(bed: Bed) -> None:
    stop, start, doubt, help_, thanks = (a_number(n) for n in range(10, 15))
    with working(bed, replies) as worker:
        reply(bed, stop, "Stop. Thank you")
        reply(bed, start, "START")
        reply(bed, doubt, "STOP this terrible bill", recipient="36111")
        reply(bed, help_, "HELP")
        reply(bed, thanks, "thanks, see you at the bus stop")
        worker.until(lambda: worker.handled("replies") == 5)
    by = {event.subject: event for event in events(bed)}
    assert set(by) == {stop, start, doubt}
    assert by[stop].kind is ConsentKind.WITHDRAWN
    assert (by[stop].purpose, by[stop].scope.sender_id) == (None, None)
    assert (by[start].kind, by[start].purpose) == (ConsentKind.GRANTED, "marketing")
    assert (by[doubt].kind, by[doubt].scope.sender_id) == (ConsentKind.WITHDRAWN, "36111")
    assert {event.source for event in by.values()} == {Source.INBOUND_SMS}
    (note,) = bed.read(bed.settings.names.of(INBOUND_UNCERTAIN))
    told = bed.codecs.uncertain.decode(note.value())
    assert told.inbound_partition == bed.partition(doubt)
    assert b"terrible" not in (note.value() or b"")
    assert doubt.encode() not in (note.value() or b"") + (note.key() or b"")


def test_a_stop_that_comes_twice_is_one_event_to_the_fold(bed: Bed) -> None:
    number = a_number(10)
    with working(bed, replies) as worker:
        reply(bed, number, "STOP")
        reply(bed, number, "STOP")
        worker.until(lambda: worker.handled("replies") == 2)
    first, second = events(bed)
    assert first == second


def test_after_a_stop_the_gate_allows_nothing(bed: Bed) -> None:
    number = a_number(10)
    bed.consent(a_consent_event(subject=number))
    with bed.ready_gate(), working(bed, replies) as worker:
        bed.request(an_sms_requested(request_id="before", recipient=number, valid_until=None))
        before = bed.decided(1)["before"]
        reply(bed, number, "退订")
        worker.until(lambda: worker.handled("replies") == 1)
        bed.request(an_sms_requested(request_id="after", recipient=number, valid_until=None))
        after = bed.decided(2)["after"]
    assert before.verdict.value == "ALLOWED"
    assert after.verdict.value == "DROPPED"
    assert "CONSENT_WITHDRAWN" in after.reasons or "SUPPRESSED" in after.reasons


def test_hostile_replies_are_dead_lettered_and_nothing_stops(bed: Bed) -> None:
    with working(bed, replies) as worker:
        topic = bed.settings.names.of(SMS_INBOUND)
        bed.write(topic, a_number(1).encode(), b"\x00garbage", bed.partition(a_number(1)))
        reply(bed, "36111", "STOP")
        reply(bed, a_number(11), "STOP", recipient="x" * 300)
        reply(bed, a_number(12), "STOP" * 20_000)
        worker.until(lambda: worker.handled("replies") == 1)
        worker.until(lambda: worker.handled("replies", EventOutcome.DEAD_LETTERED) == 3)
    (event,) = events(bed)
    assert event.scope.sender_id == "36111"  # what is too long is uncertain
