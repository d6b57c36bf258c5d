"""What stands in an address book as a number, as E.164."""

from __future__ import annotations

import phonenumbers
from phonenumbers import ValidationResult

from streams.records.e164 import is_e164

LONGEST_WRITTEN = 64
"""
Characters of a written number that are looked at; a longer one is none.

E.164 has 15 digits, and an international prefix, brackets, spaces and an extension go with them.
What is longer costs time and says nothing.
"""


def as_e164(written: str, region: str) -> str | None:
    """
    Give the number that is meant, dialled from ``region`` (ISO 3166-1), or None where none is.

    National and international forms, brackets, vanity letters and the digits of other scripts are
    understood; an extension is left out, since no SMS goes to one. What libphonenumber calls
    *possible* is taken, not only what it calls *valid*: its table of assigned ranges is always
    older than the ranges, and an entry too many only forbids. A short code is no person's number.
    Never raises. Some 20 µs.
    """
    if len(written) > LONGEST_WRITTEN:
        return None
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return None
    # A number that can only be dialled locally has no area code: whose it is, nobody can tell.
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return e164 if is_e164(e164) else None
