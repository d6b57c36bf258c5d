"""Which column of a file says what."""

from __future__ import annotations

import pytest

from streams.errors import ConfigError
from streams.importing.columns import Column, ListKind, columns_of, layout_by_place, layout_of


def test_columns_are_found_by_their_names_and_by_those_that_are_mapped() -> None:
    layout = layout_of(["Name", "Phone ", "PURPOSE"], ListKind.CONSENTS, {Column.SUBJECT: "phone"})
    assert layout.places == {Column.SUBJECT: 1, Column.PURPOSE: 2}
    assert layout.used == {"subject": "Phone", "purpose": "PURPOSE"}
    assert layout.unused == ("Name",)
    assert layout.width == 3


def test_a_suppression_has_no_end_and_no_basis() -> None:
    header = ["subject", "expires_at", "basis"]
    assert layout_of(header, ListKind.SUPPRESSIONS, {}).unused == ("expires_at", "basis")
    assert Column.EXPIRES_AT not in columns_of(ListKind.SUPPRESSIONS)


@pytest.mark.parametrize(
    ("header", "mapped", "told"),
    [
        (["phone", "list"], {}, "--map subject=NAME"),
        (["subject", "Subject"], {}, "two columns are called 'subject'"),
        (["subject"], {Column.PURPOSE: "list"}, "no column 'list'; the columns are subject"),
    ],
)
def test_a_heading_that_does_not_fit_is_explained(
    header: list[str], mapped: dict[Column, str], told: str
) -> None:
    with pytest.raises(ConfigError, match="line 1") as caught:
        layout_of(header, ListKind.CONSENTS, mapped)
    assert told in str(caught.value)


def test_what_may_be_somebodys_data_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        layout_of(["+12025550123", "li@example.org", ""], ListKind.CONSENTS, {})
    assert "202" not in str(caught.value)
    assert "example" not in str(caught.value)
    assert "--no-header" in str(caught.value)


def test_without_a_heading_columns_have_places() -> None:
    layout = layout_by_place(3, ListKind.SUPPRESSIONS, {Column.SUBJECT: "2", Column.PURPOSE: "3"})
    assert layout.places == {Column.SUBJECT: 1, Column.PURPOSE: 2}
    assert layout_by_place(1, ListKind.SUPPRESSIONS, {}).places == {Column.SUBJECT: 0}


@pytest.mark.parametrize(
    ("width", "mapped"),
    [
        (2, {}),
        (2, {Column.SUBJECT: "0"}),
        (2, {Column.SUBJECT: "3"}),
        (2, {Column.SUBJECT: "phone"}),
        (2, {Column.PURPOSE: "1"}),
    ],
)
def test_a_place_that_is_none_is_explained(width: int, mapped: dict[Column, str]) -> None:
    with pytest.raises(ConfigError, match="from 1"):
        layout_by_place(width, ListKind.CONSENTS, mapped)
