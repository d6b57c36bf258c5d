"""The lists: what ships, and what is said of a mistake in a company's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from streams.errors import ConfigError
from streams.inbound import Meaning, classify, load_lists, packaged_lists
from streams.inbound.lists import MAX_FILE_CHARACTERS

ENGLISH = """\
language: en
name: English
sources: [written for a test]
stop_words: [stop]
courtesy: [please]
"""

LANGUAGES = ["ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "nl", "pl", "pt", "ru", "zh"]

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write lists, English and others, and return their folder."""

    def written(english: str = ENGLISH, /, **others: str) -> Path:
        for language, text in {"en": english, **others}.items():
            (tmp_path / f"{language}.yaml").write_text(text, encoding="utf-8")
        return tmp_path

    return written


def mistakes(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_lists(folder)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()[1:]]


def test_what_ships_covers_the_languages_it_says() -> None:
    languages = {lexicon.language for lexicon in packaged_lists().lexicons}

    assert sorted(languages) == LANGUAGES


def test_a_company_s_own_word_counts(write: Write) -> None:
    lists = load_lists(write(ENGLISH.replace("[stop]", "[stop, basta pasta]")))

    assert classify("Basta pasta, please", None, lists).meaning is Meaning.STOP
    assert classify("unsubscribe", None, lists).meaning is Meaning.NONE


def test_words_that_yaml_takes_for_something_else_are_words(write: Write) -> None:
    lists = load_lists(write(ENGLISH + "stop_whole: [off, no, 0000]\n"))

    assert classify("OFF", None, lists).meaning is Meaning.STOP
    assert classify("0000", None, lists).meaning is Meaning.STOP


def test_a_language_s_own_entry_counts_before_the_english_one(write: Write) -> None:
    swedish = "language: sv\nname: Swedish\nsources: [a test]\nelsewhere: [stop]\ncourtesy: [hej]\n"
    lists = load_lists(write(sv=swedish))

    assert classify("stop", None, lists).meaning is Meaning.STOP
    assert classify("hej stop", None, lists).meaning is Meaning.NONE


def test_all_mistakes_are_told_at_once_with_their_lines(write: Write) -> None:
    english = (
        "language: en\nname: English\nsources: [x]\nstop_word: [a]\nstop_words:\n  - stop\n"
        "  - StöP!\n  - '!!'\n  - {phrase: t, countries: [China]}\n  - {frase: t}\nstart: no\n"
    )
    french = "language: de\nname: French\nsources: [x]\n"

    assert mistakes(write(english, fr=french)) == [
        "en.yaml:4: unknown key stop_word; use one of " + ALL_KEYS,
        "en.yaml:7: 'StöP!' stands already on line 6, compared as replies are; keep one of them",
        "en.yaml:8: '!!' comes to 0 words; an entry has 1 to 16, and signs alone are none",
        "en.yaml:9: 'China' is no country; write two capitals, such as CN",
        "en.yaml:10: unknown key frase; use one of countries, not_in, phrase",
        "en.yaml:10: the entry has no phrase; add `phrase: ...`",
        "en.yaml:11: start is no list, or empty; write `- ...` lines",
        "fr.yaml:1: language is 'de' in a file named fr.yaml; write a language's code in small "
        "letters, the same in both",
    ]


ALL_KEYS = (
    "about, all, confirm, courtesy, doubtful, doubtful_whole, elsewhere, hedges, help, kinds, "
    "language, little, matters, name, negations, quotes, reactions, sources, start, stop_common, "
    "stop_sentences, stop_whole, stop_words"
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "en.yaml:1: the file is empty; fill it or remove it", id="empty"),
        pytest.param(
            "- a\n", "en.yaml:1: the file is no mapping; write `key: value` lines", id="list"
        ),
        pytest.param(
            "language: en\n", "en.yaml:1: name is missing; add a line `name: ...`", id="short"
        ),
        pytest.param("a: [", "en.yaml:1: no YAML:", id="no YAML"),
        pytest.param("a: \0", "en.yaml:1: no YAML; take out control characters", id="control"),
        pytest.param("[" * 20_000, "en.yaml:1: no YAML; ", id="deep"),
        pytest.param(
            "a" * (MAX_FILE_CHARACTERS + 1), "en.yaml:1: the file is too large", id="large"
        ),
    ],
)
def test_a_file_that_is_no_list_is_told(write: Write, text: str, told: str) -> None:
    (mistake,) = mistakes(write(text))

    assert mistake.startswith(told)


def test_an_alias_bomb_does_no_harm(write: Write) -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{one}: &{one} [*{two}, *{two}, *{two}]\n"
        for one, two in zip("bcdefgh", "abcdefg", strict=True)
    )

    assert mistakes(write(ENGLISH + bomb))[0].startswith("en.yaml:6: unknown key a")


def test_bytes_that_are_no_utf_8_are_told(write: Write) -> None:
    folder = write()
    (folder / "fr.yaml").write_bytes(b"language: fr\nname: Fran\xe7ais\n")

    assert mistakes(folder) == ["fr.yaml:1: this is not UTF-8; save it as UTF-8"]


def test_another_ending_is_told(write: Write) -> None:
    folder = write()
    (folder / "fr.yml").write_text("", encoding="utf-8")

    assert mistakes(folder) == ["fr.yml:1: the name ends in .yml; rename it to fr.yaml"]


def test_english_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"en\.yaml is missing; copy the one that ships"):
        load_lists(tmp_path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no folder .*: set keywords_dir"):
        load_lists(tmp_path / "nowhere")
