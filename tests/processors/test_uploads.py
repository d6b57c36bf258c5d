"""Address books through a worker, on the real broker."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import pytest
from confluent_kafka import Producer

from streams.kafka.clients import producer_config
from streams.processors.replies import replies
from streams.processors.uploads import FORGET_SECONDS, UPLOAD_MAX_BYTES, uploads
from streams.records.contacts import (
    ContactsUploaded,
    UploadedContact,
    UploadSplit,
    UploadWithdrawn,
)
from streams.records.events import ContactEntry, ContactKind
from streams.telemetry import metrics
from streams.telemetry.labels import EventOutcome
from streams.testing.records import a_number, an_inbound_sms, an_upload, an_upload_withdrawn
from streams.topology import (
    CONSENT_EVENTS,
    CONTACTS_ENTRIES,
    CONTACTS_UPLOADED,
    DEAD_LETTERS,
    SHORT_MS,
    SMS_INBOUND,
    UPLOADS_SPLIT,
    WORKER_STATE,
)
from tests.gate.bed import Bed, now_ms
from tests.processors.bed import working

pytestmark = pytest.mark.kafka

assert FORGET_SECONDS > 0


def say(bed: Bed, record: ContactsUploaded | UploadWithdrawn, key: str | None = None) -> None:
    """Write one record of ``contacts.uploaded`` to where its uploader's number belongs."""
    codec = (
        bed.codecs.uploads
        if isinstance(record, ContactsUploaded)
        else bed.codecs.upload_withdrawals
    )
    place = bed.partition(record.uploader)
    topic = bed.settings.names.of(CONTACTS_UPLOADED)
    bed.write(topic, (key or record.uploader).encode(), codec.encode(record), place)  # type: ignore[arg-type]
    bed.flush()


def entries(bed: Bed) -> list[ContactEntry]:
    read = bed.read(bed.settings.names.of(CONTACTS_ENTRIES))
    found = [bed.codecs.contact_entries.decode(record.value()) for record in read]
    for record, entry in zip(read, found, strict=True):
        assert record.partition() == entry.partition
        assert record.key() == entry.subject_id
    return found


def book(numbers: Sequence[str]) -> tuple[UploadedContact, ...]:
    return tuple(UploadedContact(number, "a name") for number in numbers)


def test_an_upload_becomes_entries_and_is_taken_back(bed: Bed) -> None:
    upload = an_upload(contacts=book([a_number(n) for n in (23, 24, 23)]))
    with working(bed, uploads) as worker:
        say(bed, upload)
        worker.until(lambda: worker.handled("uploads") == 1)
        added = entries(bed)
        say(bed, upload)  # the app sends it again
        say(bed, an_upload_withdrawn(upload_id="another"))
        worker.until(lambda: worker.handled("uploads") == 3)
    again = entries(bed)
    assert [entry.kind for entry in added] == [ContactKind.ADDED] * 2
    assert {entry.entry_id for entry in again} == {entry.entry_id for entry in added}
    # Another worker, which has only what the first one kept, takes it back.
    with working(bed, uploads) as worker:
        say(bed, an_upload_withdrawn(upload_id=upload.upload_id))
        worker.until(lambda: worker.handled("uploads") == 1)
    back = [entry for entry in entries(bed) if entry.kind is ContactKind.WITHDRAWN]
    assert {(e.subject_id, e.partition, e.position) for e in back} == {
        (e.subject_id, e.partition, e.position) for e in added
    }


def test_a_withdrawal_by_somebody_else_takes_nothing_back(bed: Bed) -> None:
    upload = an_upload(contacts=book([a_number(23)]))
    with working(bed, uploads) as worker:
        say(bed, upload)
        say(bed, an_upload_withdrawn(upload_id=upload.upload_id, uploader=a_number(2)))
        worker.until(lambda: worker.handled("uploads") == 2)
    assert [entry.kind for entry in entries(bed)] == [ContactKind.ADDED]


def test_a_large_upload_stalls_no_reply_and_loses_no_contact(bed: Bed) -> None:
    areas = (212, 213, 214, 215, 216)
    many = [f"+1{area}555{n:04d}" for area in areas for n in range(10_000)]
    person = a_number(3)
    stop = an_inbound_sms(sender=person, body="STOP", received_at=now_ms())
    with working(bed, uploads, replies) as worker:
        # With names as long as people's are, of which no compression makes less than 1 MiB.
        named = tuple(UploadedContact(number, secrets.token_hex(24)) for number in many)
        say(bed, an_upload(upload_id="large", contacts=named))
        # Of another partition: it has turns in the agent's thread beside the large one.
        say(bed, an_upload(upload_id="small", uploader=a_number(2), contacts=book(many[:3])))
        topic = bed.settings.names.of(SMS_INBOUND)
        bed.write(topic, person.encode(), bed.codecs.inbound.encode(stop), bed.partition(person))
        bed.flush()
        worker.until(lambda: worker.handled("uploads") == 2, 90)
        worker.until(lambda: worker.handled("replies") == 1)
        (withdrawal,) = bed.read(bed.settings.names.of(CONSENT_EVENTS))
        found = entries(bed)
        written = [
            record.timestamp()[1]
            for record in bed.read(bed.settings.names.of(CONTACTS_ENTRIES))
            if bed.codecs.contact_entries.decode(record.value()).upload_id == "large"
        ]
        say(bed, an_upload_withdrawn(upload_id="large"))
        worker.until(lambda: worker.handled("uploads") == 3, 90)
    assert sum(entry.upload_id == "large" for entry in found) == len(many)
    assert sum(entry.upload_id == "small" for entry in found) == 3
    # It came behind the large upload, and counted before that was split.
    assert withdrawal.timestamp()[1] < min(written)
    back = [entry for entry in entries(bed) if entry.kind is ContactKind.WITHDRAWN]
    assert len({entry.subject_id for entry in back}) == len(many)


def splits(bed: Bed) -> list[UploadSplit]:
    """What the agent said of uploads, for the receipts."""
    read = bed.read(bed.settings.names.of(UPLOADS_SPLIT))
    found = [bed.codecs.splits.decode(record.value()) for record in read]
    for record, split in zip(read, found, strict=True):
        assert record.key() == split.upload_id.encode()
        assert record.partition() == bed.partition(split.upload_id)
    return found


def test_an_upload_that_comes_after_its_withdrawal_makes_nothing(bed: Bed) -> None:
    upload = an_upload(contacts=book([a_number(23)]), uploaded_at=now_ms())
    with working(bed, uploads) as worker:
        for record in (upload, an_upload_withdrawn(upload_id=upload.upload_id), upload):
            say(bed, record)
        worker.until(lambda: worker.handled("uploads") == 3)
    assert [entry.kind for entry in entries(bed)] == [ContactKind.ADDED, ContactKind.WITHDRAWN]
    added, back = entries(bed)
    # Until the entry would have run out by itself; one that comes again counts no longer.
    assert back.expires_at == added.expires_at
    assert [split.withdrawn for split in splits(bed)] == [False, True]
    assert [split.entries for split in splits(bed)] == [1, 1]


def test_where_nothing_is_kept_the_worker_keeps_nothing_either(bed: Bed) -> None:
    upload = an_upload(contacts=book([a_number(23)]))
    with working(bed, uploads, contact_entry_days=0) as worker:
        say(bed, upload)
        worker.until(lambda: worker.handled("uploads") == 1)
        of_contact = bed.keyring.subject_ids.of(a_number(23))
        kept = bed.read(bed.settings.names.of(WORKER_STATE))
        assert not [each for each in kept if of_contact in (each.value() or b"")]
        say(bed, an_upload_withdrawn(upload_id=upload.upload_id))
        worker.until(lambda: worker.handled("uploads") == 2)
    assert len(entries(bed)) == 1
    first, second = splits(bed)
    # It lies in its topic for a week at least, and until its segment is closed.
    assert first.gone_at - first.split_at == SHORT_MS + SHORT_MS // 4
    assert (second.withdrawn, second.entries) == (True, 0)


def test_hostile_uploads_are_counted_or_put_aside_and_nothing_stops(bed: Bed) -> None:
    topic = bed.settings.names.of(CONTACTS_UPLOADED)
    uploader = a_number(1)
    names = [UploadedContact(a_number(40), "\x00\x1b[2J\u202e\ud7ff" * 50)]
    million = an_upload(upload_id="million", contacts=(UploadedContact(a_number(41)),) * 1_000_000)
    large = Producer({**producer_config(bed.settings), "message.max.bytes": 40_000_000})
    with working(bed, uploads) as worker:
        for value in (bed.codecs.uploads.encode(million), bytes(UPLOAD_MAX_BYTES + 1)):
            large.produce(topic, value, uploader.encode(), bed.partition(uploader))
        assert large.flush(60) == 0
        say(bed, an_upload(upload_id="empty", contacts=()))
        say(bed, an_upload(upload_id="names", contacts=tuple(names)))
        say(bed, an_upload(upload_id="\x00/\n", contacts=book(["9" * 10_000, "\x00", ""])))
        worker.until(lambda: worker.handled("uploads") == 4, 60)
        worker.until(lambda: worker.handled("uploads", EventOutcome.DEAD_LETTERED) == 1)
    found = {split.upload_id: split for split in splits(bed)}
    assert {upload_id: split.entries for upload_id, split in found.items()} == {
        "million": 1,
        "empty": 0,
        "names": 1,
        "\x00/\n": 0,
    }
    assert found["million"].duplicates == 999_999
    assert found["\x00/\n"].invalid == 3
    [letter] = bed.read(bed.settings.names.of(DEAD_LETTERS))
    assert letter.value() is None, "it stays where it stands: it would not fit"


def test_what_cannot_be_judged_is_dead_lettered_and_nothing_stops(bed: Bed) -> None:
    with working(bed, uploads) as worker:
        topic = bed.settings.names.of(CONTACTS_UPLOADED)
        for value in (b"garbage", b"", None):
            bed.write(topic, a_number(1).encode(), value, bed.partition(a_number(1)))
        say(bed, an_upload(uploader="12"))
        say(bed, an_upload(), key=a_number(3))
        say(bed, an_upload(upload_id="x" * 300))
        say(bed, an_upload(contacts=book([a_number(30), "9" * 10_000, "\x00"])))
        worker.until(lambda: worker.handled("uploads") == 1)
        worker.until(lambda: worker.handled("uploads", EventOutcome.DEAD_LETTERED) == 6)
        assert worker.telemetry.values(metrics.DEAD_LETTERS)
    assert len(entries(bed)) == 1
