"""What of a reply is compared."""

from __future__ import annotations

import pytest

from streams.inbound.folding import LOOKED_AT, fold, joined


@pytest.mark.parametrize(
    "written",
    [
        "STOP",
        "ｓｔｏｐ",
        "s̶t̶o̶p̶",
        "s\u200bt\u200co\u2060p",
        "\u202estop\u202c",
        "s\u00adt\u00ado\u00adp",
        "S\0T\0O\0P\0",
        "s t o p",
        "s.t.o.p.",
        "🄢🄣🄞🄟",
        "stop 👍🏽",
        "«stop»…",
        "\ud83dstop",
    ],
)
def test_dress_is_taken_off(written: str) -> None:
    assert fold(written).words == ("stop",)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Arrêt", "arret"),
        ("ŁÓDŹ", "lodz"),
        ("Schluß", "schluss"),
        ("ё", "е"),
        ("تَـوَقُّـف", "توقف"),
        ("إلغاء", "الغاء"),
        ("ख़त्म", "खत्म"),
        ("हाँ", "हां"),
        ("ｽﾄｯﾌﾟ", "ストップ"),
        ("퇴 출", "퇴출"),
    ],
)
def test_other_spellings_are_the_same(one: str, other: str) -> None:
    assert fold(one).words == fold(other).words


@pytest.mark.parametrize(("one", "other"), [("か", "が"), ("की", "के"), ("بات", "بت")])
def test_what_tells_words_apart_stays(one: str, other: str) -> None:
    assert fold(one).words != fold(other).words


def test_sentences_end_where_a_person_would_end_them() -> None:
    folded = fold("Stop. Thank you! v1.2 is here\nbye")

    assert folded.sentences == (("stop",), ("thank", "you"), ("v1", "2", "is", "here"), ("bye",))


def test_a_keyword_in_a_link_or_an_address_is_no_word() -> None:
    assert fold("me@stop.com https://x.org/stop").words == ("mestopcom", "httpsxorgstop")


def test_no_more_is_looked_at_than_is_said() -> None:
    folded = fold("a " * LOOKED_AT)

    assert folded.cut
    assert len(folded.words) <= LOOKED_AT / 2 + 1


def test_its_repr_shows_no_word_of_the_reply() -> None:
    assert "secret" not in repr(fold("a secret"))


def test_words_are_joined_as_they_are_written() -> None:
    assert joined(["acme", "店", "铺", "x"]) == "acme 店铺 x"
