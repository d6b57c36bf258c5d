"""Scope, names, countries and reasons of a reading, and what is a yes."""

from __future__ import annotations

import pytest

from streams.inbound import Meaning, Why, classify, confirms
from streams.inbound.folding import LOOKED_AT


@pytest.mark.parametrize(
    "body", ["STOP ALL", "stopall", "stop all texts", "STOP tout", "退订全部", "모두 중지"]
)
def test_stop_all_says_that_all_is_meant(body: str) -> None:
    assert classify(body, None).all


def test_a_plain_stop_does_not_say_so() -> None:
    assert not classify("STOP", None).all


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("STOP PROMO", "promo"),
        ("please stop marketing texts", "marketing"),
        ("STOP 36111", "36111"),
        ("stop ads 7", "ads 7"),
    ],
)
def test_a_stop_says_which_kind_it_names(body: str, names: str) -> None:
    reading = classify(body, None)

    assert (reading.meaning, reading.names) == (Meaning.STOP, names)


@pytest.mark.parametrize("body", ["STOP Acme Shoes!", "Acme Shoes STOP", "cancel acme-shoes pls"])
def test_a_name_is_a_stop_for_who_knows_it(body: str) -> None:
    reading = classify(body, None)
    known = reading.naming(["Globex", "ACME  Shoés"])

    assert (reading.meaning, reading.names) == (Meaning.UNCERTAIN, "acme shoes")
    assert (known.meaning, known.names) == (Meaning.STOP, "ACME  Shoés")
    assert reading.naming(["Globex"]) == reading


def test_a_kind_of_message_may_be_a_campaign_that_is_known() -> None:
    known = classify("STOP promo", None).naming(["Promo"])

    assert (known.meaning, known.names) == (Meaning.STOP, "Promo")


def test_it_says_that_something_else_is_cancelled() -> None:
    assert classify("cancel my order", None).why is Why.MATTER


def test_no_name_makes_a_doubtful_wording_a_stop() -> None:
    reading = classify("how do I stop acme", None)

    assert reading.naming(["acme"]).meaning is Meaning.UNCERTAIN


def test_a_sentence_is_not_a_name() -> None:
    reading = classify("we must stop this terrible bill from passing", None)

    assert reading.names is None


@pytest.mark.parametrize(
    ("country", "meaning"),
    [
        ("CN", Meaning.STOP),
        ("cn", Meaning.STOP),
        ("CN-11", Meaning.STOP),
        ("US", Meaning.NONE),
        ("US-TX", Meaning.NONE),
        (None, Meaning.UNCERTAIN),
        ("", Meaning.UNCERTAIN),
        ("China", Meaning.UNCERTAIN),
    ],
)
def test_a_single_letter_withdraws_in_china_only(country: str | None, meaning: Meaning) -> None:
    assert classify("T", country).meaning is meaning


def test_what_is_not_read_is_not_judged() -> None:
    for body in ("x " * LOOKED_AT, " " * LOOKED_AT + "STOP", "stop " * LOOKED_AT):
        reading = classify(body, None)
        assert (reading.meaning, reading.why) == (Meaning.UNCERTAIN, Why.TOO_LONG)


def test_a_slip_never_grants() -> None:
    assert classify("subscribe", None).meaning is Meaning.START
    assert classify("subscrobe", None).meaning is Meaning.NONE


def test_a_reading_shows_no_word_of_the_reply() -> None:
    reading = classify("STOP Margaret", None)

    assert reading.names == "margaret"
    assert "margaret" not in repr(reading).lower()
    assert "margaret" not in reading.explanation.lower()


@pytest.mark.parametrize(
    "body",
    [
        "YES",
        "y",
        "Yes please!",
        "OUI",
        "Sí",
        "sim",
        "Ja",
        "sì grazie",
        "ДА",
        "نعم",
        "हाँ",
        "是",
        "はい",
        "네",
    ],
)
def test_a_yes_is_a_yes_in_every_language(body: str) -> None:
    assert confirms(body, None)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no",
        "ok",
        "yes?",
        "yes but who is this",
        "yes stop",
        "yesss",
        "don't",
        "👍",
        "sure",
        "yes " * 900,
    ],
)
def test_nothing_else_is_a_yes(body: str) -> None:
    assert not confirms(body, None)


def test_a_word_that_is_a_yes_here_and_thanks_there_needs_its_country() -> None:
    assert confirms("tak", "PL")
    assert not confirms("tak", "DK")
    assert not confirms("tak", None)
