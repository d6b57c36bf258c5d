"""What entries of address books leave behind."""

from __future__ import annotations

from dataclasses import replace

from streams.records.events import ContactKind
from streams.records.subject import SubjectState
from streams.state.fold_contacts import MOST_UPLOADS, fold_contact
from streams.testing.records import A_SUBJECT_ID, NOON, a_contact_entry
from streams.topology import DAY_MS

EMPTY = SubjectState(A_SUBJECT_ID)


def test_an_upload_taints_until_it_expires_or_is_taken_back() -> None:
    entry = a_contact_entry(mandatory=True, uploaded_at=NOON, expires_at=None)
    tainted = fold_contact(EMPTY, entry, appended_at=NOON, kept_days=30)
    assert [trace.mandatory for trace in tainted.uploads] == [True]
    assert tainted.uploads[0].expires_at == NOON + 30 * DAY_MS
    back = replace(entry, kind=ContactKind.WITHDRAWN)
    assert fold_contact(tainted, back, appended_at=NOON + 1, kept_days=30).uploads == ()


def test_an_entry_that_comes_after_its_upload_was_taken_back_adds_nothing() -> None:
    entry = a_contact_entry(uploaded_at=NOON)
    back = replace(entry, kind=ContactKind.WITHDRAWN)
    state = fold_contact(EMPTY, back, appended_at=NOON, kept_days=30)
    assert fold_contact(state, entry, appended_at=NOON + 1, kept_days=30).uploads == ()


def test_too_many_uploads_taint_as_much_and_as_long_as_all_of_them() -> None:
    state = EMPTY
    for number in range(MOST_UPLOADS + 5):
        entry = a_contact_entry(
            upload_id=f"u{number}", mandatory=number == 0, uploaded_at=NOON + number
        )
        state = fold_contact(state, entry, appended_at=NOON + number, kept_days=30)
    assert len(state.uploads) == MOST_UPLOADS
    assert any(trace.mandatory for trace in state.uploads)
