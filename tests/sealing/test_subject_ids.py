"""Subject ids: stable for a key, useless without it."""

from __future__ import annotations

import pytest

from streams.sealing.subject_ids import SubjectIds

NUMBER = "+8613900000001"


def test_an_id_depends_on_number_and_key_and_on_nothing_else() -> None:
    ids = SubjectIds(bytes(32))

    assert ids.of(NUMBER) == SubjectIds(bytes(32)).of(NUMBER)
    assert len(ids.of(NUMBER)) == 16
    assert ids.of(NUMBER) != ids.of("+8613900000002")
    assert ids.of(NUMBER) != SubjectIds(bytes([1]) * 32).of(NUMBER)


def test_ids_of_a_key_never_change_between_releases() -> None:
    # Every stored suppression is filed under such ids: another value here loses them all.
    ids = SubjectIds(bytes(range(32)))

    assert ids.of(NUMBER).hex() == "3de73ce8062b5f29beee4535541e788b"
    assert ids.check_value.hex() == "80fd9377e43408ed"


def test_the_check_value_tells_keys_apart() -> None:
    assert SubjectIds(bytes(32)).check_value == SubjectIds(bytes(32)).check_value
    assert SubjectIds(bytes(32)).check_value != SubjectIds(bytes([1]) * 32).check_value
    assert len(SubjectIds(bytes(32)).check_value) == 8


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 16"):
        SubjectIds(bytes(16))
