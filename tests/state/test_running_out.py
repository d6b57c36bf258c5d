"""Every state of a partition is looked at in its turn, and what has run out leaves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.codec.codec import open_codecs
from streams.records.subject import Position, SubjectState, UploadTaken, UploadTrace
from streams.state import running_out
from streams.state.fold_contacts import without_what_ran_out
from streams.state.running_out import RunningOut
from streams.state.store import PartitionWrite, Reached, Store
from streams.state.subjects import Encoded, Subjects
from streams.testing.records import NOON, a_grant

CODECS = open_codecs()
REACHED = Reached(CODECS.positions.encode(Position(0)), 1, 0, NOON)


def number(index: int) -> bytes:
    return index.to_bytes(16, "big")


def traced(index: int, until: int, **changes: object) -> SubjectState:
    trace = UploadTrace("upload-1", number(99), True, True, NOON - 1, until)
    return SubjectState(number(index), uploads=(trace,), **changes)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, map_bytes=2**22, written_by="test")
    yield store
    store.close()


def subjects_of(store: Store, *states: SubjectState) -> Subjects:
    encode = CODECS.subject_states.encode
    store.write([PartitionWrite(0, {s.subject_id: encode(s) for s in states}, {}, REACHED)])
    store.write([PartitionWrite(1, {number(0): encode(traced(0, NOON))}, {}, None)])
    return Subjects(store, CODECS.subject_states, CODECS.subject_keys)


def commit(subjects: Subjects) -> None:
    encoded = Encoded(
        {
            subject_id: None if state is None else CODECS.subject_states.encode(state)
            for subject_id, state in subjects.changed(0).states.items()
        }
    )
    subjects.committed({0: REACHED}, {0: encoded})


def test_a_few_are_looked_at_each_time_until_all_have_been(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_out, "MOST_LOOKED_AT", 3)
    subjects = subjects_of(store, *(traced(index, NOON + index % 2) for index in range(10)))
    going = RunningOut(subjects)
    counts = []
    for _ in range(4):
        counts.append(going.step(0, NOON))
        commit(subjects)
    assert counts == [2, 1, 2, 0]
    left = [subject_id for subject_id, _ in store.states(0)]
    assert left == [number(index) for index in (1, 3, 5, 7, 9)]
    assert subjects.state(0, number(0)) is None
    assert len(list(store.states(1))) == 1, "another partition's are its own"
    for _ in range(3):
        going.step(0, NOON + 1)
        commit(subjects)
    assert list(store.states(0)) == []


def test_what_else_is_known_stays(store: Store) -> None:
    granted = a_grant()
    subjects = subjects_of(store, traced(1, NOON, grants=(granted,)), traced(2, NOON + 1))
    assert RunningOut(subjects).step(0, NOON) == 1
    commit(subjects)
    assert subjects.state(0, number(1)) == SubjectState(number(1), grants=(granted,))
    assert subjects.state(0, number(2)) == traced(2, NOON + 1)


def test_what_the_batch_has_changed_counts_and_not_what_is_stored(store: Store) -> None:
    subjects = subjects_of(store, traced(1, NOON), traced(2, NOON + 1))
    subjects.change(0, traced(1, NOON + 1))
    subjects.change(0, traced(2, NOON))
    RunningOut(subjects).step(0, NOON)
    assert subjects.state(0, number(1)) == traced(1, NOON + 1)
    assert subjects.state(0, number(2)) is None
    subjects.discard(0)
    assert subjects.state(0, number(2)) == traced(2, NOON + 1)


def test_a_state_that_cannot_be_read_is_left_to_whoever_needs_it(store: Store) -> None:
    subjects = subjects_of(store, traced(1, NOON))
    store.write([PartitionWrite(0, {number(0): b"of a newer version"}, {}, None)])
    assert RunningOut(subjects).step(0, NOON) == 1
    commit(subjects)
    assert [subject_id for subject_id, _ in store.states(0)] == [number(0)]


def test_the_note_of_a_withdrawn_upload_runs_out_too() -> None:
    state = SubjectState(number(1), uploads_taken=(UploadTaken("upload-1", NOON),))
    assert without_what_ran_out(state, NOON - 1) is state
    assert without_what_ran_out(state, NOON) is None
