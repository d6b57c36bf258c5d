"""An address book, split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.config import load
from streams.contacts import splitting as splitting_module
from streams.contacts.numbers import as_e164
from streams.contacts.splitting import (
    DAY_MS,
    PIECE,
    Place,
    Splitting,
    undisclosed,
    withdrawn_entries,
)
from streams.errors import TooLarge
from streams.kafka.placement import partition_of
from streams.records.contacts import ContactsUploaded, UploadBasis, UploadedContact
from streams.records.events import ContactEntry, ContactKind
from streams.records.subject import SubjectState
from streams.sealing.subject_ids import SubjectIds
from streams.state.fold_contacts import fold_contact
from streams.testing.records import NOON, a_number, an_upload, an_upload_withdrawn

IDS = SubjectIds(bytes(32))
PARTITIONS = 8
TOLD = ("contact_a_friend",)


def split(upload: ContactsUploaded, keep_days: int = 30) -> tuple[Splitting, list[ContactEntry]]:
    splitting = Splitting(
        upload,
        subject_id=IDS.of,
        partition=lambda number: partition_of(number.encode(), PARTITIONS),
        keep_days=keep_days,
        appended_at=NOON + DAY_MS,
        contact_purposes=TOLD,
    )
    return splitting, [entry for piece in splitting.pieces() for entry in piece]


def book(numbers: Sequence[str], **changes: object) -> ContactsUploaded:
    return an_upload(contacts=tuple(UploadedContact(number) for number in numbers), **changes)


def test_each_distinct_number_makes_one_entry_that_names_nobody() -> None:
    splitting, entries = split(
        an_upload(
            uploader=a_number(1),
            contacts=(
                UploadedContact("(202) 555-0123", "Chen Li"),
                UploadedContact("no number", "Mum"),
                UploadedContact("+1 202 555 0123", "Li, work"),
                UploadedContact("202-555-0101", "me"),
                UploadedContact(a_number(24), None),
            ),
        )
    )
    assert [entry.position for entry in entries] == [0, 4]
    assert [entry.subject_id for entry in entries] == [IDS.of(a_number(23)), IDS.of(a_number(24))]
    assert [entry.partition for entry in entries] == [
        partition_of(a_number(n).encode(), PARTITIONS) for n in (23, 24)
    ]
    assert {entry.uploader_id for entry in entries} == {IDS.of(a_number(1))}
    counts = splitting.counts
    assert (counts.contacts, counts.entries, counts.invalid) == (5, 2, 1)
    assert (counts.duplicates, counts.own_number) == (1, 1)


def test_the_same_upload_gives_the_same_entries() -> None:
    assert split(an_upload())[1] == split(an_upload())[1]


@given(st.lists(st.sampled_from([a_number(n) for n in range(20)] + ["none"]), max_size=60))
def test_every_contact_is_counted_once(numbers: list[str]) -> None:
    splitting, entries = split(book(numbers, uploader=a_number(0)))
    counts = splitting.counts
    assert counts.contacts == len(numbers)
    assert counts.entries == len(entries) == len(set(numbers) - {"none", a_number(0)})
    assert counts.contacts == (
        counts.entries + counts.invalid + counts.duplicates + counts.own_number
    )
    assert len({entry.entry_id for entry in entries}) == len(entries)


@pytest.mark.parametrize(
    ("basis", "mandatory", "secret"),
    [
        (UploadBasis(True, ("contact_a_friend",), "notice-3"), False, False),
        (UploadBasis(False, ("contact_a_friend",), "notice-3"), True, False),
        (UploadBasis(True, ("find_friends",), "notice-3"), False, True),
        (UploadBasis(True, ("contact_a_friend",), None), False, True),
        (UploadBasis(False), True, True),
    ],
)
def test_the_uploads_own_record_says_how_it_came_about(
    basis: UploadBasis, mandatory: bool, secret: bool
) -> None:
    _, entries = split(an_upload(basis=basis))
    assert {(entry.mandatory, entry.undisclosed) for entry in entries} == {(mandatory, secret)}


def test_without_a_purpose_that_counts_every_upload_is_undisclosed() -> None:
    assert undisclosed(UploadBasis(True, ("contact_a_friend",), "notice-3"), ())


def test_an_entry_kept_for_no_day_leaves_no_trace() -> None:
    for days, kept in ((0, 0), (1, 1)):
        _, (entry, _) = split(an_upload(uploaded_at=NOON), keep_days=days)
        state = fold_contact(
            SubjectState(entry.subject_id), entry, appended_at=NOON + 1, kept_days=30
        )
        assert len(state.uploads) == kept


def test_where_nothing_is_kept_no_entry_changes_anything() -> None:
    upload = an_upload(uploaded_at=NOON)
    splitting, [added, _] = split(upload, keep_days=0)
    place = Place(added.subject_id, added.partition, added.position)
    [back] = withdrawn_entries(
        an_upload_withdrawn(), splitting.uploader_id, [place], splitting.expires_at
    )
    nobody = SubjectState(added.subject_id)
    for entry in (added, back):
        assert fold_contact(nobody, entry, appended_at=NOON + 1, kept_days=0) is nobody


def test_withdrawn_entries_take_the_trace_back() -> None:
    upload = an_upload(uploaded_at=NOON)
    splitting, entries = split(upload)
    places = [Place(entry.subject_id, entry.partition, entry.position) for entry in entries]
    back = list(
        withdrawn_entries(
            an_upload_withdrawn(), splitting.uploader_id, places, splitting.expires_at
        )
    )
    assert [entry.partition for entry in back] == [entry.partition for entry in entries]
    assert not {entry.entry_id for entry in back} & {entry.entry_id for entry in entries}
    for added, withdrawn in zip(entries, back, strict=True):
        assert withdrawn.kind is ContactKind.WITHDRAWN
        state = SubjectState(added.subject_id)
        for entry in (added, withdrawn, added):
            state = fold_contact(state, entry, appended_at=NOON + DAY_MS, kept_days=30)
        assert state.uploads == ()


def test_hostile_uploads_are_split_in_pieces_of_bounded_size() -> None:
    numbers = ["9" * 10_000, "\x00\u202e", "", *([a_number(7)] * (3 * PIECE))]
    splitting = Splitting(
        book(numbers, default_region="\ud800", uploader=a_number(1)),
        subject_id=IDS.of,
        partition=lambda number: 0,
        keep_days=30,
        appended_at=NOON + DAY_MS,
        contact_purposes=TOLD,
    )
    pieces = list(splitting.pieces())
    assert max(len(piece) for piece in pieces) <= PIECE
    assert len(pieces) == 4
    assert splitting.counts.entries == 1
    assert splitting.counts.duplicates == 3 * PIECE - 1


def test_a_million_duplicates_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def reading(written: str, region: str) -> str | None:
        read.append(written)
        return as_e164(written, region)

    monkeypatch.setattr(splitting_module, "as_e164", reading)
    upload = an_upload(contacts=(UploadedContact(a_number(7)), UploadedContact("none")) * 500_000)
    splitting, entries = split(upload)
    assert len(entries) == 1
    assert (splitting.counts.duplicates, splitting.counts.invalid) == (499_999, 500_000)
    assert read == [a_number(7), "none"]


def test_more_different_numbers_than_an_address_book_has_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(splitting_module, "MOST_WRITTEN", 3)
    many = [a_number(n) for n in range(4)]
    assert len(split(book(many[:3] * 2, uploader=a_number(9)))[1]) == 3
    with pytest.raises(TooLarge):
        split(book(many))


def test_an_upload_dated_ahead_is_kept_for_no_longer() -> None:
    splitting, [entry, _] = split(an_upload(uploaded_at=NOON + 900 * DAY_MS), keep_days=30)
    assert entry.expires_at == splitting.expires_at == NOON + (1 + 30) * DAY_MS


@pytest.mark.parametrize("keep_days", [0, 1, 30, 90])
def test_what_comes_again_after_its_withdrawal_never_counts(keep_days: int) -> None:
    """Whatever the gate's own setting has become meanwhile, and however late it comes."""
    upload = an_upload(uploaded_at=NOON)
    splitting, [added, _] = split(upload, keep_days=keep_days)
    place = Place(added.subject_id, added.partition, added.position)
    [back] = withdrawn_entries(
        an_upload_withdrawn(), splitting.uploader_id, [place], splitting.expires_at
    )
    for kept_days in (0, 30):
        for later in range(0, 100, 7):
            state = SubjectState(added.subject_id)
            for entry, day in ((added, 0), (back, 1), (added, 1 + later)):
                at = NOON + day * DAY_MS
                state = fold_contact(state, entry, appended_at=at, kept_days=kept_days)
            assert state.uploads == ()
            if later >= keep_days:
                assert state.uploads_taken == (), "nor is it remembered for longer"


def test_the_settings_say_which_purposes_count_and_for_how_long() -> None:
    settings = load(
        None,
        {"CONSENT_GATE_CONTACT_PURPOSES": "invite, refer", "CONSENT_GATE_CONTACT_ENTRY_DAYS": "0"},
    ).settings
    assert settings.contact_purposes == ("invite", "refer")
    assert settings.contact_entry_days == 0
    assert load(None, {}).settings.contact_purposes == TOLD


def test_an_entry_without_an_end_of_its_own_leaves_no_trace_where_none_is_to_be_kept() -> None:
    _, (entry, _) = split(an_upload(uploaded_at=NOON))
    endless = replace(entry, expires_at=None)
    state = fold_contact(SubjectState(entry.subject_id), endless, appended_at=NOON, kept_days=0)
    assert state.uploads == ()
