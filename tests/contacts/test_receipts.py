"""Receipts: exact, whatever comes first, twice or in which pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streams.contacts.receipts import (
    MOST_POSITIONS,
    PAGE_POSITIONS,
    Counting,
    end_those_gone,
    head_key,
)
from streams.records.contacts import ContactsScreened, UploadCompleted, UploadSplit
from streams.testing.records import (
    AN_UPLOADER_ID,
    NOON,
    a_contacts_screened,
    an_upload_split,
)

Told = UploadSplit | ContactsScreened

GONE = NOON + 1_000_000


class Bytes(dict[str, bytes]):
    """Keyed bytes, as an agent's state has them."""

    def put(self, key: str, value: bytes) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


def tell(kept: Bytes, told: Told, at_ms: int = NOON) -> UploadCompleted | None:
    counting = Counting.of(told.upload_id, told.uploader_id, kept)
    match told:
        case UploadSplit():
            return counting.split(told, at_ms)
        case ContactsScreened():
            return counting.screened(told, at_ms, gone_at=GONE)


def tell_all(kept: Bytes, all_told: Sequence[Told]) -> list[UploadCompleted]:
    found = [tell(kept, told, NOON + index) for index, told in enumerate(all_told)]
    return [receipt for receipt in found if receipt is not None]


def screened(positions: Sequence[int], members: Sequence[int] = ()) -> ContactsScreened:
    return a_contacts_screened(
        screened=tuple(positions), members=tuple(m for m in members if m in positions)
    )


def taken_back(positions: Sequence[int]) -> ContactsScreened:
    return a_contacts_screened(screened=(), members=(), taken_back=tuple(positions))


@st.composite
def runs(draw: st.DrawFn) -> tuple[set[int], set[int], list[Told]]:
    """Entries, members among them, and what is told of them: in any order, some of it again."""
    far = st.sampled_from([0, 7, 8, PAGE_POSITIONS - 1, PAGE_POSITIONS, MOST_POSITIONS - 1])
    entries = draw(st.sets(st.integers(0, 60) | far, max_size=30))
    members = draw(st.sets(st.sampled_from(sorted(entries)))) if entries else set()
    order = draw(st.permutations(sorted(entries)))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=4)))
    pieces = [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    told: list[Told] = [screened(piece, sorted(members)) for piece in pieces if piece]
    told.append(an_upload_split(contacts=99, entries=len(entries), gone_at=GONE))
    again = draw(st.lists(st.sampled_from(told), max_size=5))
    return entries, members, draw(st.permutations([*told, *again]))


@given(runs())
def test_one_exact_receipt_whatever_the_order(run: tuple[set[int], set[int], list[Told]]) -> None:
    entries, members, told = run
    kept = Bytes()
    [receipt] = tell_all(kept, told)
    assert (receipt.entries, receipt.matched) == (len(entries), len(members))
    assert receipt.forgotten == len(entries) - len(members)
    assert receipt.contacts == 99
    assert receipt.last_trace_at == (GONE if entries else None)
    assert not receipt.withdrawn
    assert list(kept) == [head_key("upload-1", AN_UPLOADER_ID)], "its bits are kept no longer"


@given(runs())
def test_none_before_the_last_entry_is_screened(
    run: tuple[set[int], set[int], list[Told]],
) -> None:
    _, _, told = run
    last = [each for each in told if each != told[-1]]
    assert tell_all(Bytes(), last) == []


def test_what_changes_between_two_screenings_changes_no_receipt() -> None:
    told: list[Told] = [screened([0], [0]), screened([0]), screened([1]), an_upload_split()]
    [receipt] = tell_all(Bytes(), told)
    assert receipt.matched == 1


def test_a_withdrawn_upload_has_a_second_receipt_once_all_of_it_is_taken_back() -> None:
    kept = Bytes()
    withdrawn = an_upload_split(withdrawn=True, contacts=0, entries=2, gone_at=GONE + 1)
    first = tell_all(kept, [an_upload_split(), screened([0, 1], [1])])
    assert [receipt.withdrawn for receipt in first] == [False]
    assert tell_all(kept, [withdrawn, taken_back([0]), taken_back([0])]) == []
    [second] = tell_all(kept, [taken_back([0, 1]), taken_back([1]), withdrawn])
    assert second.withdrawn
    assert (second.contacts, second.entries, second.matched) == (2, 2, 1)
    assert second.last_trace_at == max(GONE + 1, an_upload_split().gone_at)
    assert list(kept) == [head_key("upload-1", AN_UPLOADER_ID)]


def test_withdrawn_before_it_was_screened_it_has_only_that_one() -> None:
    withdrawn = an_upload_split(withdrawn=True, contacts=0, entries=2)
    told: list[Told] = [
        an_upload_split(),
        screened([0]),
        withdrawn,
        screened([1]),
        taken_back([0, 1]),
    ]
    [receipt] = tell_all(Bytes(), told)
    assert receipt.withdrawn


def test_the_withdrawal_of_what_is_not_known_has_a_receipt_without_numbers() -> None:
    [receipt] = tell_all(Bytes(), [an_upload_split(withdrawn=True, contacts=0, entries=0)])
    assert receipt.withdrawn
    assert (receipt.contacts, receipt.entries, receipt.last_trace_at) == (0, 0, None)


def test_uploads_of_one_id_by_two_people_are_two() -> None:
    other = bytes(16)
    told: list[Told] = [
        an_upload_split(),
        an_upload_split(uploader_id=other, entries=1),
        replace(screened([0, 1], [0]), uploader_id=other),
    ]
    [receipt] = tell_all(Bytes(), told)
    assert receipt.uploader_id == other
    assert head_key("a", other) != head_key("a/", other) != head_key("a", AN_UPLOADER_ID)


def test_what_is_never_screened_has_its_receipt_when_it_is_gone() -> None:
    kept = Bytes()
    ended = an_upload_split(gone_at=GONE)
    assert tell_all(kept, [ended, screened([0], [0])]) == []
    assert list(end_those_gone(list(kept.items()), kept, GONE - 1)) == []
    [receipt] = end_those_gone(list(kept.items()), kept, GONE)
    assert (receipt.matched, receipt.forgotten, receipt.completed_at) == (1, 1, GONE)
    assert not kept


def test_what_is_gone_is_forgotten_without_a_second_receipt() -> None:
    kept = Bytes()
    tell_all(kept, [an_upload_split(gone_at=GONE), screened([0, 1])])
    tell(kept, replace(screened([5]), upload_id="never split"))
    assert list(end_those_gone(list(kept.items()), kept, GONE)) == []
    assert not kept


def test_positions_that_no_upload_has_are_not_counted() -> None:
    kept = Bytes()
    assert tell_all(kept, [an_upload_split(), screened([-1, MOST_POSITIONS, 2**31 - 1, 0])]) == []
    assert len(tell_all(kept, [screened([1])])) == 1
