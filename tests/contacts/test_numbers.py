"""A number as people write it, as E.164."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.contacts.numbers import LONGEST_WRITTEN, as_e164
from streams.records.e164 import is_e164


@pytest.mark.parametrize(
    ("written", "region", "number"),
    [
        ("(202) 555-0123", "US", "+12025550123"),
        ("+1 202 555 0123", "CN", "+12025550123"),
        ("0031 6 12345678", "DE", "+31612345678"),
        ("011 31 6 12345678", "US", "+31612345678"),
        ("138 0013 8000", "CN", "+8613800138000"),
        ("１３８００１３８０００", "CN", "+8613800138000"),
        ("٠٦١٢٣٤٥٦٧٨", "FR", "+33612345678"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("+12025550123 ext. 5", "US", "+12025550123"),
        ("tel:+1-202-555-0123", "US", "+12025550123"),
        ("\u202a+12025550123\u202c", "US", "+12025550123"),
        ("+12025550123", "nowhere", "+12025550123"),
    ],
)
def test_what_people_write(written: str, region: str, number: str) -> None:
    assert as_e164(written, region) == number


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("", "US"),
        ("Mum", "US"),
        ("911", "US"),
        ("36111", "US"),
        ("5550123", "US"),  # no area code: a number in every one of them
        ("2025550123", "nowhere"),
        ("+999123456789", "US"),
        ("1" * 10_000, "US"),
        ("\x00", "US"),
        ("\ud800", "US"),
    ],
)
def test_what_is_no_persons_number(written: str, region: str) -> None:
    assert as_e164(written, region) is None


def test_the_longest_that_is_looked_at_is_longer_than_any_number() -> None:
    padded = "+12025550123".ljust(LONGEST_WRITTEN)
    assert as_e164(padded, "US") == "+12025550123"
    assert as_e164(padded + " ", "US") is None


@given(st.text(max_size=80), st.text(max_size=3))
def test_any_text_is_a_number_or_none(written: str, region: str) -> None:
    number = as_e164(written, region)
    assert number is None or is_e164(number)
