"""What replies are answered with: the texts that ship, and what is said of a mistake in others."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.errors import ConfigError
from streams.inbound import Answers, confirms, load_answers, packaged_lists
from streams.resources import data_dir

SHIPPED = data_dir("keywords") / "answers" / "answers.yaml"


@pytest.fixture(scope="module")
def answers() -> Answers:
    return load_answers(SHIPPED)


def test_every_language_of_the_lists_has_its_own_confirmation(answers: Answers) -> None:
    languages = [lexicon.language for lexicon in packaged_lists().lexicons]

    assert len({answers.stop(language, None) for language in languages}) == len(languages)
    assert all("Acme" in answers.stop(language, "Acme") for language in languages)


def test_a_language_that_has_none_is_answered_in_english(answers: Answers) -> None:
    assert answers.stop("sv", None) == answers.stop(None, None) == answers.stop("en", None)


def test_start_and_help_are_not_answered_as_shipped(answers: Answers) -> None:
    assert (answers.start("en"), answers.help("de")) == (None, None)


YES = {
    "ar": "نعم",
    "de": "JA",
    "en": "YES",
    "es": "SÍ",
    "fr": "OUI",
    "hi": "हाँ",
    "it": "SÌ",
    "ja": "はい",
    "ko": "네",
    "nl": "JA",
    "pl": "TAK",
    "pt": "SIM",
    "ru": "ДА",
    "zh": "是",
}


@pytest.mark.parametrize("again", [False, True], ids=["question", "reminder"])
def test_each_language_asks_for_a_word_that_confirms(answers: Answers, again: bool) -> None:
    languages = [lexicon.language for lexicon in packaged_lists().lexicons]

    assert sorted(YES) == sorted(languages)
    for language, word in YES.items():
        text = answers.question(language, "Acme", again=again)
        assert text is not None
        assert text.startswith("Acme")
        assert word in text
        assert confirms(word, "PL" if language == "pl" else None)
    assert len({answers.question(each, "Acme", again=again) for each in languages}) == 14


def test_a_language_without_a_question_asks_in_english_and_reminds_with_the_question(
    tmp_path: Path,
) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text(
        "en: {stop: a, stop_named: '{name}', question: 'Is it you, says {name}?'}\n"
        "de: {stop: a, stop_named: '{name}'}\n"
    )
    answers = load_answers(path)

    asked = {
        answers.question(each, "Acme", again=again)
        for each in ("de", "en")
        for again in (False, True)
    }
    assert asked == {"Is it you, says Acme?"}
    path.write_text("en: {stop: a, stop_named: '{name}'}\n")
    assert load_answers(path).question("en", "Acme", again=False) is None
    path.write_text("en: {stop: a, stop_named: '{name}', reminder: 'Again, {name}'}\n")
    with pytest.raises(ConfigError, match="question is missing"):
        load_answers(path)


def test_a_company_s_own_texts_count(tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text(
        "en: {stop: Bye, stop_named: 'Bye from {name}', help: 'Call  us'}\n"
        "de: {stop: Weg, stop_named: 'Weg von {name}'}\n"
    )

    answers = load_answers(path)

    assert answers.stop("de", "{name} & Co") == "Weg von {name} & Co"
    assert (answers.help("en"), answers.help("de")) == ("Call us", None)


def test_all_mistakes_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    path.write_text(
        "de:\n  stop: 'weg, {name}'\n  stop_named: weg\n  stopp: x\n"
        "fr: {stop: x}\nit: no\nnl: {stop: '', stop_named: '{name}" + "x" * 400 + "'}\n"
    )

    with pytest.raises(ConfigError) as caught:
        load_answers(path)

    elsewhere = "and there only: elsewhere no name is known"
    told = f"{{name}} stands in stop_named, question, reminder, {elsewhere}"
    assert str(caught.value).splitlines()[1:] == [
        f"{path}:4: unknown key stopp; use one of help, question, reminder, "
        "start, stop, stop_named",
        f"{path}:2: stop has {{name}}; {told}",
        f"{path}:3: stop_named lacks {{name}}; {told}",
        f"{path}:5: stop_named is missing; add a line `stop_named: ...`",
        f"{path}:6: the answers in it is no mapping; write `key: value` lines",
        f"{path}:6: stop is missing; add a line `stop: ...`",
        f"{path}:6: stop_named is missing; add a line `stop_named: ...`",
        f"{path}:7: text is missing here; write a word or a phrase",
        f"{path}:7: the text has 406 characters; write at most 306: people get it as an SMS",
        f"{path}:1: en is missing; add it: it answers where no language is known",
    ]
