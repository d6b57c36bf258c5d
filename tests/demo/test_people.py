"""The fictional people."""

from __future__ import annotations

from streams.demo.people import COUNTRY, FEWEST_PEOPLE, Standing, people_of
from streams.records.e164 import is_e164


def test_the_same_run_has_the_same_people() -> None:
    assert people_of(7, 500, 20, 9).everybody() == people_of(7, 500, 20, 9).everybody()


def test_everybody_has_a_number_of_their_own_in_a_country_code_that_is_nobodys() -> None:
    numbers = [
        person.number
        for run in (0, 999_999)
        for person in people_of(run, 4000, 500, 300).everybody()
    ]
    assert len(set(numbers)) == len(numbers)
    assert all(is_e164(number) and number.startswith(COUNTRY) for number in numbers)


def test_there_are_people_of_every_standing_however_few_there_are() -> None:
    people = people_of(1, FEWEST_PEOPLE, 3, 4)
    assert all(people.of(standing) for standing in Standing)
    assert len(people.of(Standing.ABOUT_TO_DECLINE)) == 3
    assert len(people.of(Standing.ABOUT_TO_REPLY)) == 4


def test_repr_shows_neither_number_nor_name() -> None:
    person = people_of(1, 200, 1, 1).everybody()[5]
    assert person.number not in repr(person)
    assert person.name.split()[1] not in repr(person)


def test_what_tells_a_person_from_others_is_not_the_end_of_their_number() -> None:
    people = people_of(1, 400, 1, 1).everybody()
    assert sum(person.number.endswith(f"{person.index:05d}") for person in people) <= 1
