"""What is made by way of a draft is the record that its class makes."""

from dataclasses import replace

import pytest

from streams.records.drafts import draft_of, making, names_of, replacing
from streams.records.record import Record
from streams.records.subject import SubjectState
from streams.testing.records import a_grant, a_subject_state


def test_a_made_record_is_that_of_its_class() -> None:
    state = a_subject_state(grants=(a_grant(),))
    values = {name: getattr(state, name) for name in names_of(SubjectState)}

    made = making(SubjectState)(**values)

    assert type(made) is SubjectState
    assert made == state
    assert hash(made) == hash(state)


def test_a_made_record_is_frozen() -> None:
    state = replacing(SubjectState)(a_subject_state(), placed=True)

    with pytest.raises(AttributeError):
        state.placed = False


def test_a_replaced_field_is_changed_and_the_others_and_the_original_are_not() -> None:
    state = a_subject_state(grants=(a_grant(),), region="CN")

    changed = replacing(SubjectState)(state, grants=(), region=None)

    assert changed == replace(state, grants=(), region=None)
    assert state == a_subject_state(grants=(a_grant(),), region="CN")


def test_a_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError):
        replacing(SubjectState)(a_subject_state(), grant=())


def test_a_record_that_does_more_than_hold_its_fields_has_no_draft() -> None:
    class Checking(SubjectState):
        def __post_init__(self) -> None: ...

    for unfit in (Checking, Record):
        with pytest.raises(NotImplementedError):
            draft_of(unfit)
