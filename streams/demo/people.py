"""
The fictional people of the demo.

Numbers are +888, six digits for the run, five for the person. Country code 888 was set aside for
the relief of disasters (ITU-T, list of E.164 assigned country codes) and no mobile network has
numbers in it, so that no text can reach a person even when the day is played against a stack with a
real carrier behind it; and libphonenumber reads it, which address books need. The ranges that
regulators set aside for drama (+1 NXX 555 01xx, +44 7700 900xxx) are too small: each run needs some
thousands of people of its own, or two runs on one cluster would withdraw each other's consents.
Names are made up of words that are no names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from streams.records.record import Record

COUNTRY = "+888"
RUNS = 1_000_000
FEWEST_PEOPLE = 200
MOST_PEOPLE = 100_000


class Standing(Enum):
    """What a person had said, or others of them, before the day begins."""

    CONSENTING = "agreed to advertising"
    RETURNED = "stopped everything, then agreed to advertising again"
    INVITABLE = "agreed to invitations"
    MEMBER = "registered, and never agreed to advertising"
    NAMEABLE = "allows to be named in invitations"
    STRANGER = "never said anything"
    UPLOADED = "never said anything; stands in an address book whose upload was mandatory"
    LISTED = "never said anything; stands in an address book that was uploaded by choice"
    STOPPED = "agreed to advertising, then stopped everything"
    DECLINED = "agreed to advertising, then withdrew that"
    LAPSED = "agreed to advertising until a day that is over"
    BUNDLED = "agreed to advertising because it was bundled with something else"
    IMPORTED = "stopped everything; an import says otherwise"
    ERASED = "agreed to advertising, then had everything erased"
    REASSIGNED = "agreed to advertising; the number has another holder since"
    MISFILED = "stopped everything; the STOP was written to the wrong partition"
    UNREADABLE = "something was said that nobody can read"
    ASLEEP = "agreed to advertising, under American law; it is night where they are"
    AWAKE = "agreed to advertising, under American law; it is noon where they are"
    ABOUT_TO_DECLINE = "agreed to advertising, and will withdraw that in the middle of the day"
    ABOUT_TO_REPLY = "agreed to advertising, and will reply STOP in the middle of the day"


_OUT_OF_100: Mapping[Standing, int] = {
    Standing.CONSENTING: 30,
    Standing.RETURNED: 2,
    Standing.INVITABLE: 18,
    Standing.MEMBER: 14,
    Standing.NAMEABLE: 1,
    Standing.STRANGER: 9,
    Standing.UPLOADED: 4,
    Standing.LISTED: 1,
    Standing.STOPPED: 6,
    Standing.DECLINED: 3,
    Standing.LAPSED: 3,
    Standing.BUNDLED: 1,
    Standing.IMPORTED: 1,
    Standing.ERASED: 1,
    Standing.REASSIGNED: 1,
    Standing.MISFILED: 1,
    Standing.UNREADABLE: 1,
    Standing.ASLEEP: 1,
    Standing.AWAKE: 1,
}
"""How many of a hundred; those who are about to stop come on top, one for each STOP of the day."""

_FIRST_NAMES, _SURNAMES = (
    words.split()
    for words in (
        "Alvorin Brenwick Cirelle Dorvane Elsinth Farolin Gwendra Halvick Ismerel Jorvann Kestrin "
        "Lorvelle Mirequa Norvith Oswinde Pelligra Quorwin Rosmire Saverin Tulmire Ulvanna Vestrin "
        "Wilmara Xandorel Yselmor Zorvina",
        "Aldermoss Brackenfold Cinderlake Dunwhistle Emberhaugh Fallowmere Greywicket Hollowbrook "
        "Inkersole Jessamead Kettlewold Larkenfell Mossgrave Nettlebeck Oxenwater Pinderfield "
        "Quillhaven Rookstane Saltmarrow Thistlebank Underwain Vellacroft Wickenden Yarrowgate",
    )
)


@dataclass(frozen=True, slots=True, repr=False)
class Person(Record):
    """
    One fictional person; ``repr`` shows neither name nor number.

    ``index`` tells them from the others of the run: ids of records are made of it, since the number
    may not stand in one.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("index", "standing")

    index: int
    name: str
    number: str
    standing: Standing

    @property
    def region(self) -> str | None:
        """
        Where requests say that the person is: in Germany, where the default policy has no quiet
        hours, so that the day ends in the same way at every hour; null where only their record
        says it.
        """
        return None if self.standing in (Standing.ASLEEP, Standing.AWAKE) else "DE"

    @property
    def key(self) -> bytes:
        """The number as the key of a record."""
        return self.number.encode()


@dataclass(frozen=True, slots=True, repr=False)
class People:
    """Everybody of one run, by what they had said."""

    by_standing: Mapping[Standing, tuple[Person, ...]]

    def of(self, standing: Standing) -> tuple[Person, ...]:
        """Give those of one standing: at least one."""
        return self.by_standing[standing]

    def everybody(self) -> list[Person]:
        """Give all of them."""
        return [person for group in self.by_standing.values() for person in group]


def people_of(run: int, count: int, about_to_decline: int, about_to_reply: int) -> People:
    """
    Make up about ``count`` people, and so many more who will stop during the day.

    At least 200, so that 36 friends can be named. The same arguments give the same people. No two
    have a number in common, nor do two runs.
    """
    if not 0 <= run < RUNS:
        raise ValueError(f"a run is a number from 0 to {RUNS - 1}")
    count = max(FEWEST_PEOPLE, count)
    wanted = {standing: max(1, count * share // 100) for standing, share in _OUT_OF_100.items()}
    wanted[Standing.ABOUT_TO_DECLINE] = about_to_decline
    wanted[Standing.ABOUT_TO_REPLY] = about_to_reply
    if sum(wanted.values()) > MOST_PEOPLE:
        raise ValueError(f"a run has at most {MOST_PEOPLE} people")
    index = 0
    by_standing = {}
    for standing, number_of_them in wanted.items():
        by_standing[standing] = tuple(
            _person(run, each, standing) for each in range(index, index + number_of_them)
        )
        index += number_of_them
    return People(by_standing)


def prefix_of(run: int) -> str:
    """Give what the numbers of one run begin with."""
    return f"{COUNTRY}{run:06d}"


def _person(run: int, index: int, standing: Standing) -> Person:
    first = _FIRST_NAMES[index % len(_FIRST_NAMES)]
    surname = _SURNAMES[index // len(_FIRST_NAMES) % len(_SURNAMES)]
    # Scattered, so that an id does not give the number away; coprime, so that none comes twice.
    suffix = index * 61_803 % MOST_PEOPLE
    return Person(index, f"{first} {surname}", f"{prefix_of(run)}{suffix:05d}", standing)
