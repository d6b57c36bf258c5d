"""Words typed in a hurry."""

from __future__ import annotations

import pytest

from streams.inbound.slips import Vocabulary

WORDS = Vocabulary({"stop", "cancel", "отписаться", "unsubscribe", "me", "please", "all"})


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("cancle", id="swapped"),
        pytest.param("cancl", id="left out"),
        pytest.param("canncel", id="doubled"),
        pytest.param("cabcel", id="neighbouring key"),
        pytest.param("cqncel", id="neighbouring key of a French keyboard"),
    ],
)
def test_one_letter_off_is_found(typed: str) -> None:
    assert WORDS.slip(typed) == "cancel"


def test_a_russian_keyboard_has_its_own_neighbours() -> None:
    assert WORDS.slip("отписвться") == "отписаться"


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("cancel", id="no slip at all"),
        pytest.param("camcle", id="two slips"),
        pytest.param("canpel", id="a key far away"),
        pytest.param("cancels", id="one letter more"),
        pytest.param("sotp", id="four letters"),
        pytest.param("shop", id="four letters, another word"),
        pytest.param("", id="nothing"),
        pytest.param("c" * 100_000, id="far too long"),
    ],
)
def test_what_is_no_slip_is_not_found(typed: str) -> None:
    assert WORDS.slip(typed) is None


def test_a_stretched_word_is_found() -> None:
    assert WORDS.stretched("stoooooop") == "stop"
    assert WORDS.stretched("canceeelll") == "cancel"
    assert WORDS.stretched("xxxall") is None
    assert WORDS.stretched("stoop") is None


def test_words_without_spaces_are_found() -> None:
    assert WORDS.split("unsubscribemeplease") == ["unsubscribe", "me", "please"]
    assert WORDS.split("stopall") == ["stop", "all"]
    assert WORDS.split("stopper") is None
