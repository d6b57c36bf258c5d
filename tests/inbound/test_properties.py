"""Whatever anybody types: never an error, never unbounded work, never fooled by dress."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.inbound import Meaning, classify, confirms
from streams.inbound.folding import LOOKED_AT

ANYTHING = st.text(alphabet=st.characters(categories=None))  # lone surrogates and NUL among them
COUNTRIES = st.none() | st.sampled_from(["CN", "US", "US-TX", "xx"]) | st.text(max_size=4)

KEYWORDS = [
    "stop",
    "unsubscribe",
    "cancel",
    "opt out",
    "arrêt",
    "désabonnement",
    "baja",
    "parar",
    "descadastrar",
    "abmelden",
    "basta",
    "uitschrijven",
    "przestań",
    "стоп",
    "отписаться",
    "توقف",
    "बंद करो",
    "退订",
    "配信停止",
    "수신거부",
]
DECORATION = st.text(
    alphabet=" \t\n.,!…-*~\"'()😀🙏🏽❤️\u200b\u200d\u2060\ufeff\u202e\u202c\u00ad", max_size=6
)
WIDE = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
DRESSES: list[Callable[[str], str]] = [
    str.upper,
    str.title,
    str.swapcase,
    lambda word: word.translate(WIDE),
    "\u200b".join,
    "\u00ad".join,
    lambda word: word.replace(" ", "   "),
]


@given(ANYTHING, COUNTRIES)
def test_no_text_makes_it_raise(body: str, country: str | None) -> None:
    assert isinstance(classify(body, country).meaning, Meaning)
    assert confirms(body, country) in {True, False}


@given(
    st.lists(
        st.sampled_from([*KEYWORDS, "don't", "please", "Acme", "how", "?", ". ", "t", "\ud800"]),
        max_size=30,
    ),
    COUNTRIES,
)
def test_no_mixture_of_words_makes_it_raise(words: list[str], country: str | None) -> None:
    for glue in (" ", ""):
        assert isinstance(classify(glue.join(words), country).meaning, Meaning)


@given(
    st.sampled_from(KEYWORDS),
    st.sampled_from(DRESSES),
    DECORATION.filter(lambda text: text.count("'") == 0),
    DECORATION,
)
def test_a_keyword_is_known_in_any_dress(
    keyword: str, dress: Callable[[str], str], before: str, after: str
) -> None:
    assert classify(f"{before}{dress(keyword)}{after}", None).meaning is Meaning.STOP


@given(st.sampled_from(["start", "HELP", "thanks", "hello"]), DECORATION, DECORATION)
def test_dress_makes_no_stop(word: str, before: str, after: str) -> None:
    reading = classify(f"{before}{word}{after}", None)

    assert reading.meaning in {Meaning.START, Meaning.HELP, Meaning.NONE}


@given(st.text(min_size=LOOKED_AT, max_size=LOOKED_AT), ANYTHING, ANYTHING)
def test_beyond_the_bound_nothing_is_looked_at(seen: str, one: str, other: str) -> None:
    assert classify(f"{seen}{one}x", None) == classify(f"{seen}{other}y", None)


def steps(body: str) -> int:
    """Count the lines of Python that reading a reply takes: work, whatever the machine does."""
    count = 0

    def tick(*_: object) -> object:
        nonlocal count
        count += 1
        return tick

    before = sys.gettrace()
    sys.settrace(tick)  # type: ignore[arg-type]
    try:
        classify(body, None)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param("stop ", id="keywords"),
        pytest.param("take me off your ", id="phrases that are nearly whole"),
        pytest.param("don't ", id="negations"),
        pytest.param("x. ", id="sentences"),
        pytest.param("s ", id="single letters"),
        pytest.param("停", id="no spaces"),
        pytest.param("unsubscrxbe ", id="slips"),
        pytest.param("a@", id="addresses"),
        pytest.param("stopme", id="one endless word"),
        pytest.param("\u0301", id="accents on nothing"),
    ],
)
def test_twice_the_length_is_at_most_twice_the_work(piece: str) -> None:
    half = (piece * LOOKED_AT)[: LOOKED_AT // 2]
    whole = (piece * LOOKED_AT)[:LOOKED_AT]
    steps(half)  # what is loaded or built at first use is no part of it

    assert steps(whole) <= 2.2 * steps(half) + 2_000


def test_ten_million_characters_are_no_more_work_than_the_bound() -> None:
    whole = "stop ye " * (LOOKED_AT // 8)
    steps(whole)

    assert steps(whole + "x" * 10_000_000) <= steps(whole) + 1_000
