"""What a gate says of address books: positions of members who let others find them."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from streams.broker.cluster import EmbeddedKafka
from streams.kafka.placement import partition_of
from streams.records.contacts import ContactsScreened
from streams.records.events import Basis, ConsentKind, ContactKind, Source
from streams.records.subject import POSITION_KEY
from streams.state import running_out
from streams.state.fold_contacts import without_what_ran_out
from streams.state.screening import DISCOVERABLE
from streams.testing.records import (
    a_consent_event,
    a_contact_entry,
    a_number,
    a_withdrawal,
)
from tests.gate.bed import Bed, now_ms, wait_for

pytestmark = pytest.mark.kafka

DAY_MS = 86_400_000


@pytest.fixture
def bed(kafka: EmbeddedKafka, topic_prefix: str, tmp_path: Path) -> Bed:
    return Bed(kafka.bootstrap_servers, topic_prefix, tmp_path, idle_tick_ms=50)


def say(bed: Bed, number: str, kind: ConsentKind, purpose: str | None = None) -> None:
    bed.consent(
        a_consent_event(
            event_id=f"{number}-{kind.value}",
            subject=number,
            kind=kind,
            purpose=purpose,
            basis=Basis.EXPRESS,
            source=Source.SELF_SERVICE,
            occurred_at=now_ms(),
        )
    )


def upload(
    bed: Bed, upload_id: str, numbers: list[str], kind: ContactKind = ContactKind.ADDED
) -> None:
    """Write what the worker makes of an address book, in which these stand from position 0."""
    for position, number in enumerate(numbers):
        subject_id = bed.keyring.subject_ids.of(number)
        entry = a_contact_entry(
            entry_id=f"{upload_id}/{position}",
            kind=kind,
            subject_id=subject_id,
            partition=bed.partition(number),
            upload_id=upload_id,
            position=position,
            uploaded_at=now_ms(),
            expires_at=now_ms() + 30 * DAY_MS,
        )
        value = bed.codecs.contact_entries.encode(entry)
        bed.write(bed.topics.contacts, subject_id, value, entry.partition)
    bed.flush()


def told(bed: Bed) -> list[ContactsScreened]:
    found = []
    for record in bed.read(bed.topics.screened):
        screened = bed.codecs.screened.decode(record.value())
        key = screened.upload_id.encode()
        assert record.key() == key
        assert record.partition() == partition_of(key, bed.settings.partitions)
        found.append(screened)
    return found


def positions(bed: Bed, upload_id: str) -> list[int]:
    mine = [each.screened for each in told(bed) if each.upload_id == upload_id]
    return sorted(itertools.chain.from_iterable(mine))


def members(bed: Bed, upload_id: str) -> list[int]:
    mine = [each.members for each in told(bed) if each.upload_id == upload_id]
    return sorted(itertools.chain.from_iterable(mine))


def test_members_who_let_others_find_them_are_told_by_position(bed: Bed) -> None:
    found, hidden, gone, _stranger, willing, erased = people = [a_number(n) for n in range(6)]
    for member in (found, hidden, gone, erased):
        say(bed, member, ConsentKind.REGISTERED)
    for yes in (found, gone, willing, erased):
        say(bed, yes, ConsentKind.GRANTED, DISCOVERABLE)
    bed.flush()
    bed.consent(a_withdrawal(subject=gone, purpose=None, occurred_at=now_ms()))
    say(bed, erased, ConsentKind.ERASURE_REQUESTED)
    bed.flush()
    with bed.ready_gate():
        upload(bed, "first", people)
        wait_for(lambda: positions(bed, "first") == [0, 1, 2, 3, 4, 5], what="for all six")
        assert members(bed, "first") == [0]
        # The worker died and writes its entries again; others have joined meanwhile.
        say(bed, willing, ConsentKind.REGISTERED)
        bed.flush()
        upload(bed, "first", people)
        upload(bed, "second", [willing, found])
        wait_for(lambda: positions(bed, "second") == [0, 1], what="for the second upload")
        assert members(bed, "second") == [0, 1]
        assert sorted(set(members(bed, "first"))) in ([0], [0, 4])
        upload(bed, "first", people, ContactKind.WITHDRAWN)
        wait_for(
            lambda: sorted(p for t in told(bed) for p in t.taken_back) == [0, 1, 2, 3, 4, 5],
            what="for it to be taken back",
        )
    together = {(t.upload_id, t.partition, t.screened_at) for t in told(bed) if t.screened}
    assert len(together) == len([t for t in told(bed) if t.screened]), "one record a turn"


def test_where_nothing_is_kept_not_even_the_hash_is(bed: Bed) -> None:
    numbers = [a_number(n) for n in range(4)]
    with bed.ready_gate(contact_entry_days=0):
        for kind in ContactKind:
            for number in numbers:
                subject_id = bed.keyring.subject_ids.of(number)
                entry = a_contact_entry(
                    kind=kind,
                    subject_id=subject_id,
                    partition=bed.partition(number),
                    uploaded_at=now_ms(),
                    expires_at=now_ms(),
                )
                value = bed.codecs.contact_entries.encode(entry)
                bed.write(bed.topics.contacts, subject_id, value, entry.partition)
        bed.flush()
        wait_for(lambda: len([p for t in told(bed) for p in t.taken_back]) == 4)
    keys = {record.key() for record in bed.read(bed.topics.changelog)}
    assert keys == {POSITION_KEY}


def test_what_has_run_out_is_forgotten(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [a_number(n) for n in range(4)]
    ids = {bed.keyring.subject_ids.of(number) for number in numbers}
    member = bed.keyring.subject_ids.of(numbers[0])
    say(bed, numbers[0], ConsentKind.REGISTERED)
    with bed.ready_gate() as running:
        upload(bed, "first", numbers)
        wait_for(lambda: positions(bed, "first") == [0, 1, 2, 3])
        wait_for(lambda: kept(bed).keys() == ids, what="for the traces")
        monkeypatch.setattr(
            running_out,
            "without_what_ran_out",
            lambda state, at: without_what_ran_out(state, at + 31 * DAY_MS),
        )
        wait_for(lambda: kept(bed).keys() == {member}, what="for them to be forgotten")
        wait_for(
            lambda: {each for n in (0, 1) for each, _ in running.gate._store.states(n)} == {member}
        )
        # It is known again when it is uploaded again.
        monkeypatch.undo()
        upload(bed, "second", numbers[:2])
        wait_for(lambda: len(kept(bed)) == 2)
    # A gate that builds its state anew finds nothing either.
    with bed.ready_gate("gate-2") as running:
        found = {each for n in (0, 1) for each, _ in running.gate._store.states(n)}
        assert found == kept(bed).keys()
    [trace] = bed.codecs.subject_states.decode(kept(bed)[member]).uploads
    assert trace.upload_id == "second"


def kept(bed: Bed) -> dict[bytes, bytes]:
    """What the changelog says is known, by subject."""
    last = {
        record.key() or b"": record.value()
        for record in bed.read(bed.topics.changelog)
        if record.key() != POSITION_KEY
    }
    return {key: value for key, value in last.items() if value is not None}
