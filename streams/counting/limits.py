"""
Limits: from what counts on a campaign or an uploader is stopped until a person has looked. Pure.

The figures are an operator's, not a law's: no source gives one. What they are for is told by the
case: a platform that texted whole address books noticed nothing, as nobody counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class PauseReason(Enum):
    """Which limit was passed: the first word of a pause's reason."""

    TOO_MANY_WITHDRAWALS = "TOO_MANY_WITHDRAWALS"
    TOO_MANY_COMPLAINTS = "TOO_MANY_COMPLAINTS"
    TOO_MANY_CONTACTS = "TOO_MANY_CONTACTS"
    TOO_MANY_NEW_NUMBERS = "TOO_MANY_NEW_NUMBERS"


class Counts(NamedTuple):
    """
    What was counted of one campaign or uploader in one hour.

    ``sends`` are a campaign's allowed messages of the hour; ``withdrawals`` and ``complaints`` how
    many *of them* were answered so, whenever. ``contacts`` are what an uploader sent in the hour,
    lines of address books; ``new_numbers`` the distinct numbers among them that no upload of theirs
    had held before.
    """

    sends: int = 0
    withdrawals: int = 0
    complaints: int = 0
    contacts: int = 0
    new_numbers: int = 0

    def plus(self, other: Counts) -> Counts:
        """Add."""
        return Counts(*map(sum, zip(self, other, strict=True)))

    def since(self, earlier: Counts) -> Counts:
        """
        Give what has come since a person resumed, when the counts were ``earlier``.

        The messages stay whole: what comes anew stands against all that the hour's messages are,
        else one late answer to an old message would be all of nothing.
        """
        less = Counts(*(now - then for now, then in zip(self, earlier, strict=True)))
        return less._replace(sends=self.sends)


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What may be reached and not passed.

    Of a thousand of an hour's messages ``withdrawals_per_1000`` may be answered by a withdrawal,
    and as many withdrawals as ``least_withdrawals`` stop nothing, so that two of ten are no alarm;
    the same with complaints. ``contacts`` and ``new_numbers`` are an uploader's in an hour.
    """

    withdrawals_per_1000: int
    least_withdrawals: int
    complaints_per_1000: int
    least_complaints: int
    contacts: int
    new_numbers: int

    def passed(self, counts: Counts) -> PauseReason | None:
        """Return the limit that is passed, the gravest first; none if none is."""
        if self._too_many(
            counts.complaints, counts.sends, self.complaints_per_1000, self.least_complaints
        ):
            return PauseReason.TOO_MANY_COMPLAINTS
        if self._too_many(
            counts.withdrawals, counts.sends, self.withdrawals_per_1000, self.least_withdrawals
        ):
            return PauseReason.TOO_MANY_WITHDRAWALS
        if counts.new_numbers > self.new_numbers:
            return PauseReason.TOO_MANY_NEW_NUMBERS
        if counts.contacts > self.contacts:
            return PauseReason.TOO_MANY_CONTACTS
        return None

    @staticmethod
    def _too_many(answers: int, sends: int, per_1000: int, least: int) -> bool:
        return answers > least and answers * 1000 > per_1000 * sends


def in_words(reason: PauseReason, counts: Counts) -> str:
    """Say which limit was passed, by what: the ``reason`` of the pause. Names nobody."""
    match reason:
        case PauseReason.TOO_MANY_WITHDRAWALS:
            said = f"{counts.withdrawals} of {counts.sends} messages answered by a withdrawal"
        case PauseReason.TOO_MANY_COMPLAINTS:
            said = f"{counts.complaints} of {counts.sends} messages answered by a complaint"
        case PauseReason.TOO_MANY_CONTACTS:
            said = f"{counts.contacts} contacts uploaded"
        case PauseReason.TOO_MANY_NEW_NUMBERS:
            said = f"{counts.new_numbers} numbers that they had not uploaded before"
    return f"{reason.value}: {said} within an hour"
