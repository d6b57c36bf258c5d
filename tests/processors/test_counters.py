"""Answers are counted, campaigns and uploaders paused, on the real broker."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

import pytest

from streams.counting.answers import HOUR_MS, hour_of
from streams.processors.counters import answers
from streams.processors.pauses import pauses
from streams.processors.uploads import uploads
from streams.records.contacts import UploadedContact
from streams.records.counted import HourCounted, uploader
from streams.records.decisions import Outcome, Refusal
from streams.records.events import Campaign, CampaignState, ConsentKind, Source
from streams.state.broadcast import CampaignTable
from streams.testing.records import (
    a_campaign,
    a_ledger_record,
    a_number,
    an_hour_counted,
    an_sms_decision,
    an_upload,
)
from streams.topology import (
    CAMPAIGNS,
    CONSENT_LEDGER,
    CONTACTS_UPLOADED,
    HOURS_COUNTED,
    SMS_DECISIONS,
)
from tests.gate.bed import Bed, now_ms, wait_for
from tests.processors.bed import working
from tests.processors.worker_process import worker_process

pytestmark = pytest.mark.kafka

THEN = hour_of(now_ms()) - 5 * HOUR_MS

LIMITS: dict[str, Any] = {
    "campaign_withdrawals_per_1000": 100,
    "campaign_least_withdrawals": 1,
    "uploader_contacts_per_hour": 5,
    "uploader_new_numbers_per_hour": 3,
}


def subject(number: int) -> bytes:
    return number.to_bytes(16, "big")


def allowed(bed: Bed, person: int, **changes: Any) -> None:
    record = an_sms_decision(**{"subject_id": subject(person), "decided_at": THEN, **changes})
    write(bed, SMS_DECISIONS, bed.codecs.decisions.encode(record), person % 2)


def withdrew(bed: Bed, person: int, **changes: Any) -> None:
    values: dict[str, Any] = {
        "subject_id": subject(person),
        "kind": ConsentKind.WITHDRAWN,
        "source": Source.INBOUND_SMS,
        "appended_at": THEN + 1_000,
        **changes,
    }
    record = a_ledger_record(**values)
    write(bed, CONSENT_LEDGER, bed.codecs.ledger.encode(record), person % 2)


def write(bed: Bed, topic: Any, value: bytes, place: int, key: bytes = b"key") -> None:
    bed.write(bed.settings.names.of(topic), key, value, place)


def counted(bed: Bed) -> dict[tuple[str, int], list[tuple[int, int, int]]]:
    """What each campaign's hour came to last, by partition."""
    last: dict[tuple[str, int, int], HourCounted] = {}
    for message in bed.read(bed.settings.names.of(HOURS_COUNTED)):
        record = bed.codecs.counted.decode(message.value())
        last[record.about, record.hour, record.partition] = record
    found: dict[tuple[str, int], list[tuple[int, int, int]]] = {}
    for (about, hour, _), record in sorted(last.items()):
        found.setdefault((about, hour), []).append(
            (record.sends, record.withdrawals, record.complaints)
        )
    return found


def paused(bed: Bed) -> list[Campaign]:
    found = bed.read(bed.settings.names.of(CAMPAIGNS))
    values = [message.value() for message in found]
    records = [bed.codecs.campaigns.decode(value) for value in values if value is not None]
    return [record for record in records if record.state is CampaignState.PAUSED]


def test_answers_are_counted_for_the_message_they_answer(bed: Bed) -> None:
    for person in range(10):
        allowed(bed, person)
        allowed(bed, person, verdict=Outcome.DROPPED)
        allowed(bed, person, campaign_id=None)
    withdrew(bed, 0)
    withdrew(bed, 0, event_id="again")
    withdrew(bed, 2, source=Source.CARRIER, appended_at=THEN + 3 * HOUR_MS)
    withdrew(bed, 1, source=Source.BULK_IMPORT)
    withdrew(bed, 3, refusal=Refusal.DUPLICATE)
    withdrew(bed, 5, campaign_id="autumn")
    bed.flush()
    with working(bed, answers) as worker:
        worker.until(lambda: worker.handled("answers") == 36)
        allowed(bed, 0, campaign_id="autumn", decided_at=THEN + HOUR_MS)
        bed.flush()
        worker.until(lambda: worker.handled("answers") == 37)
    assert counted(bed) == {
        ("spring", THEN): [(5, 2, 1), (5, 0, 0)],
        ("autumn", THEN + HOUR_MS): [(1, 0, 0)],
    }


def test_the_same_counts_come_of_an_answer_that_is_read_before_its_message(bed: Bed) -> None:
    withdrew(bed, 0)
    bed.flush()
    with working(bed, answers) as worker:
        worker.until(lambda: worker.handled("answers") == 1)
    allowed(bed, 0)
    bed.flush()
    with working(bed, answers) as worker:
        worker.until(lambda: worker.handled("answers") == 1)
    assert counted(bed) == {("spring", THEN): [(1, 1, 0)]}


def an_hour(**changes: Any) -> HourCounted:
    return an_hour_counted(**{"hour": THEN, **changes})


def say(bed: Bed, *records: HourCounted) -> None:
    for record in records:
        write(bed, HOURS_COUNTED, bed.codecs.counted.encode(record), 0)
    bed.flush()


def test_a_campaign_is_paused_once_and_again_only_after_a_person_resumed(bed: Bed) -> None:
    parts: Sequence[HourCounted] = [
        an_hour(partition=0, sends=50, withdrawals=5),
        an_hour(partition=1, sends=50, withdrawals=5),
        an_hour(partition=1, sends=50, withdrawals=5),
    ]
    with working(bed, pauses, **LIMITS) as worker:
        say(bed, an_hour(about="long ago", hour=THEN - 100 * HOUR_MS, withdrawals=100))
        say(bed, *parts, an_hour(about="autumn", withdrawals=10))
        worker.until(lambda: worker.handled("pauses") == 5)
        assert paused(bed) == []
        say(bed, an_hour(partition=0, sends=50, withdrawals=6))
        say(bed, an_hour(partition=0, sends=50, withdrawals=30))
        worker.until(lambda: worker.handled("pauses") == 8)  # with the pause itself
    (pause,) = paused(bed)
    assert pause.campaign_id == "spring"
    assert pause.by == "worker"
    assert (pause.reason or "").startswith("TOO_MANY_WITHDRAWALS: 11 of 100 ")
    end = a_campaign(campaign_id="spring", resumes=pause.pause_id)
    # Another worker, which knows only what the first one kept.
    with working(bed, pauses, **LIMITS) as worker:
        write(bed, CAMPAIGNS, bed.codecs.campaigns.encode(end), 0, b"spring#x")
        bed.flush()
        worker.until(lambda: worker.handled("pauses") == 1)
        say(bed, an_hour(partition=0, sends=50, withdrawals=40))
        worker.until(lambda: worker.handled("pauses") == 2)
        assert len(paused(bed)) == 1
        say(bed, an_hour(partition=0, sends=50, withdrawals=41))
        worker.until(lambda: len(paused(bed)) == 2)
    assert paused(bed)[1].pause_id != pause.pause_id


def test_an_uploader_over_the_limit_is_paused_and_an_upload_sent_twice_counts_once(
    bed: Bed,
) -> None:
    topic = bed.settings.names.of(CONTACTS_UPLOADED)

    def upload(upload_id: str, *numbers: int) -> None:
        contacts = tuple(UploadedContact(a_number(n)) for n in numbers)
        record = an_upload(upload_id=upload_id, contacts=contacts)
        place = bed.partition(record.uploader)
        bed.write(topic, record.uploader.encode(), bed.codecs.uploads.encode(record), place)
        bed.flush()

    user = an_upload().uploader
    with working(bed, uploads, pauses, **LIMITS) as worker:
        for _ in range(4):
            upload("one", 30, 31)
        upload("two", 30, 31, 32)
        worker.until(lambda: worker.handled("uploads") == 5)
        worker.until(lambda: worker.handled("pauses") == 2)
        assert paused(bed) == []
        upload("three", 32, 33)
        worker.until(lambda: len(paused(bed)) == 1)
    (pause,) = paused(bed)
    assert (pause.reason or "").startswith("TOO_MANY_NEW_NUMBERS: 4 numbers")
    table = CampaignTable(bed.keyring.subject_ids.of)
    table.apply(pause)
    assert table.user_paused(user)
    assert not table.user_paused(a_number(40))
    assert pause.campaign_id == uploader(bed.keyring.subject_ids.of(user))


def test_what_neither_is_a_count_nor_a_campaign_stops_nothing(bed: Bed) -> None:
    with working(bed, pauses, **LIMITS) as worker:
        write(bed, HOURS_COUNTED, b"garbage", 0)
        bed.write(bed.settings.names.of(CAMPAIGNS), b"spring", None, 0)
        say(bed, an_hour(withdrawals=11))
        worker.until(lambda: len(paused(bed)) == 1)


@pytest.mark.slow
def test_killed_again_and_again_it_counts_exactly_and_pauses_once(bed: Bed) -> None:
    choose = random.Random(6)
    kills, people = 3, 2_400

    def happens(some: range) -> None:
        for person in some:
            allowed(bed, person, decided_at=THEN + choose.randrange(HOUR_MS))
        for person in some[::4]:
            withdrew(bed, person, appended_at=THEN + 2 * HOUR_MS, event_id=f"first {person}")
            withdrew(bed, person, appended_at=THEN + 3 * HOUR_MS, event_id=f"again {person}")
        bed.flush()

    def said() -> int:
        return len(bed.read(bed.settings.names.of(HOURS_COUNTED)))

    limits = {**LIMITS, "campaign_least_withdrawals": 100}
    for turn in range(kills):
        before = said()
        # Something new for each: the one before may have come to its end before it was killed.
        happens(range(turn * people // kills, (turn + 1) * people // kills))
        with worker_process(bed, agents="answers", **limits) as process:
            wait_for(lambda: said() > before, 60)  # noqa: B023
            time.sleep(choose.uniform(0, 0.5))  # the moment of the kill is the test's subject
            process.kill()
    with working(bed, answers, pauses, **limits) as worker:
        exact = {("spring", THEN): [(people // 2, people // 4, 0), (people // 2, 0, 0)]}
        worker.until(lambda: counted(bed) == exact, 60)
        worker.until(lambda: len(paused(bed)) > 0)
    assert len({pause.pause_id for pause in paused(bed)}) == 1
