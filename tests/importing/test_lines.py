"""A file, line by line."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.importing.lines import (
    LONGEST_LINE,
    MOST_LINES,
    CsvRecord,
    LineReader,
    delimiter_of,
)


def reader(text: str, width: int | None = None, delimiter: str | None = ",") -> LineReader:
    lines = LineReader(io.StringIO(text, newline=""), delimiter)
    if width is not None:
        lines.expect(width)
    return lines


def read(text: str, width: int | None = None) -> list[tuple[int, int, list[str] | None]]:
    return [(each.first, each.last, each.fields) for each in reader(text, width)]


def test_records_know_their_lines() -> None:
    text = 'a,b\r\n\r\n2,"x\ny"\n  \n3,4'
    assert read(text, 2) == [
        (1, 1, ["a", "b"]),
        (3, 4, ["2", "x\ny"]),
        (6, 6, ["3", "4"]),
    ]


def test_a_quotation_mark_left_open_takes_no_other_line_with_it() -> None:
    lines = ['1,"open', *(f"{n},fine" for n in range(2, 60)), '60,"open too', '61,"fine"']
    records = read("\n".join(lines), 2)
    assert [first for first, _, fields in records if fields is None] == [1, 60]
    assert [first for first, _, fields in records if fields is not None] == [*range(2, 60), 61]


@pytest.mark.parametrize("between", ["", "2,fine\n"])
def test_two_open_marks_that_close_each_other_take_nothing_with_them(between: str) -> None:
    """As CSV these lines are one record; as a list they are people who would be left out."""
    records = read(f'1,"open\n{between}3,open"\n4,fine', 2)
    assert records[0][2] is None
    assert [fields[0] for _, _, fields in records if fields] == [
        *(["2"] if between else []),
        "3",
        "4",
    ]


def test_a_record_of_too_many_lines_is_none() -> None:
    long = '1,"' + "x\n" * MOST_LINES + '"\n2,fine'
    records = read(long, 2)
    assert records[0] == (1, 1, None)
    assert records[-1][2] == ["2", "fine"]


def test_empty_fields_at_the_end_are_no_fault_and_missing_ones_are() -> None:
    assert read("1,2,,\n1,2,3\n1\n", 2) == [(1, 1, ["1", "2"]), (2, 2, None), (3, 3, None)]


def test_a_line_that_is_too_long_is_named_and_passed_over() -> None:
    records = list(reader("a\n" + "x" * (3 * LONGEST_LINE) + "\nb\n" + "y" * LONGEST_LINE, 1))
    assert [(each.first, each.fields) for each in records] == [
        (1, ["a"]),
        (2, None),
        (3, ["b"]),
        (4, None),
    ]
    assert records[1].text is None


@pytest.mark.parametrize("delimiter", [None, ";"])
def test_reading_goes_on_after_a_line(delimiter: str | None) -> None:
    for line in range(6):
        lines = reader("a;b\n1;1\n\n2;2\n3;3\n", delimiter=delimiter)
        if line:
            next(iter(lines))
        lines.skip_to(line)
        assert [each.first for each in lines] == [n for n in (1, 2, 4, 5) if n > line]


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [
        ("a,b;c,d", ","),
        ("a;b;c,d", ";"),
        ("a\tb", "\t"),
        ('"a,b,c";d', ";"),
        ("phone", ","),
        ("", ","),
    ],
)
def test_the_first_line_tells_the_delimiter(line: str, delimiter: str) -> None:
    assert delimiter_of(line) == delimiter
    assert LineReader(io.StringIO(line, newline=""), None).delimiter == delimiter


_ONE_LINE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8)
_A_FEW_LINES = st.text(st.characters(codec="utf-8", exclude_characters=","), max_size=8)


@given(st.lists(st.tuples(_ONE_LINE.filter(str.strip), _A_FEW_LINES), max_size=8))
def test_what_is_written_as_csv_is_read_as_it_was(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    assert [fields for _, _, fields in read(out.getvalue(), 2)] == [list(row) for row in rows]


@given(st.text(alphabet='a1,;"\n\r\0', max_size=200))
def test_every_line_is_in_one_record_or_blank(text: str) -> None:
    taken = [n for first, last, _ in read(text, 2) for n in range(first, last + 1)]
    assert len(taken) == len(set(taken))
    lines = list(io.StringIO(text, newline=""))
    assert {n for n, line in enumerate(lines, 1) if line.strip()} <= set(taken)


def test_a_record_does_not_show_what_it_says() -> None:
    assert "555" not in repr(CsvRecord(1, 2, "+12025550123", ["+12025550123"]))
