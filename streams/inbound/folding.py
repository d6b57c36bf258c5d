"""
What of a reply is compared: its words, without the dress they came in.

Two replies that a person would call the same word fold to the same words: case, accents, full-width
and decorated letters, punctuation, emoji, invisible characters, marks of writing direction, Arabic
vowels, tatweel and alef forms, the Hindi nukta, letters spelt out one by one. Writings without
spaces between words (Chinese, Japanese) or with particles grown on (Korean) fold to one word a
character, so that spaces do not matter there.

Pure. Takes any ``str``. The work is bounded: each character that is looked at is visited a fixed
number of times, and no more than :data:`LOOKED_AT` are.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

LOOKED_AT = 1_600
"""
How many characters of a reply are looked at: ten parts of a long SMS (153 each) and some. Smaller
cuts honest messages; larger only costs time, since what is longer than this is in doubt anyway.
"""

_SIGNS = frozenset("🛑⛔🚫")
"""Pictures that say something by themselves. All others are decoration."""

_ENDS = frozenset("!?;。؟۔।॥\n\r\v\f\x85\u2028\u2029¡¿")
"""Characters that end a sentence wherever they stand. A full stop does so before a space only."""

_QUESTIONS = frozenset("?؟")

# What NFKD leaves as letters of their own, and letters that people use for one another.
_ALIKE = str.maketrans(
    {
        "ł": "l",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "ı": "i",
        "ħ": "h",
        "ŧ": "t",
        "ٱ": "ا",
        "ى": "ي",
        "ی": "ي",
        "ة": "ه",
        "ک": "ك",
        "ـ": None,  # tatweel only stretches
        "ँ": "ं",
    }
)

# Marks that tell no words apart in the languages of the lists. Others do: vowels of Hindi, the
# voicing of Japanese.
_DROPPED_MARKS = (
    (0x0300, 0x036F),
    (0x0483, 0x0489),
    (0x0610, 0x061A),
    (0x064B, 0x065F),
    (0x0670, 0x0670),
    (0x06D6, 0x06ED),
    (0x093C, 0x093C),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),
    (0xFE00, 0xFE0F),
    (0xFE20, 0xFE2F),
    (0xE0100, 0xE01EF),
)

_WORD_A_CHARACTER = (
    (0x3005, 0x3007),
    (0x3041, 0x3096),
    (0x30A1, 0x30FA),
    (0x30FC, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)

_SPACES = re.compile(r"(\s+)")

_SPELT_OUT_FROM = 3
"""From how many single letters in a row on they are one word: "S T O P", but not "I a"."""


@dataclass(frozen=True, slots=True)
class Folded:
    """
    A reply as it is compared. Holds what the person wrote: its ``repr`` must not be logged.

    ``sentences`` are the words of each sentence, none empty. ``question``: a question mark stands
    somewhere. ``cut``: there was more than :data:`LOOKED_AT` characters.
    """

    sentences: tuple[tuple[str, ...], ...]
    question: bool
    cut: bool

    def __repr__(self) -> str:
        """Show no word of the reply (I7)."""
        return f"Folded({len(self.sentences)} sentences)"

    @property
    def words(self) -> tuple[str, ...]:
        """All words in order."""
        return tuple(word for sentence in self.sentences for word in sentence)


def fold(body: str) -> Folded:
    """Fold a reply. Never raises, whatever the text."""
    text = _plain(body[:LOOKED_AT])
    sentences: list[tuple[str, ...]] = []
    words: list[str] = []
    letters: list[str] = []
    for place, character in enumerate(text):
        if character in _SIGNS or is_word_by_itself(character):
            _end_word(letters, words)
            words.append(character)
        elif _is_letter(character):
            letters.append(character)
        else:
            _end_word(letters, words)
            if character in _ENDS or (
                character == "." and not _is_letter(text[place + 1 : place + 2])
            ):
                _end_sentence(words, sentences)
    _end_word(letters, words)
    _end_sentence(words, sentences)
    return Folded(
        sentences=tuple(sentences),
        question=not _QUESTIONS.isdisjoint(text),
        cut=len(body) > LOOKED_AT,
    )


def is_word_by_itself(character: str) -> bool:
    """Tell whether this is a character of a writing that is compared character by character."""
    code = ord(character)
    return code >= 0x3005 and any(first <= code <= last for first, last in _WORD_A_CHARACTER)


def joined(words: tuple[str, ...] | list[str]) -> str:
    """Write words as a person would: no spaces where the writing has none."""
    written = ""
    for word in words:
        close = written and is_word_by_itself(written[-1]) and is_word_by_itself(word[0])
        written += word if not written or close else f" {word}"
    return written


def _plain(text: str) -> str:
    # Half a surrogate pair is what a broken gateway leaves of an emoji. The invisible goes first:
    # inside a word it would keep a letter from its accent.
    kept = "".join(map(_visible, text))
    bare = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", kept).casefold())
    bare = "".join(character for character in bare if not _is_dropped_mark(character))
    return "".join(
        map(_without_address, _SPACES.split(unicodedata.normalize("NFC", bare.translate(_ALIKE))))
    )


def _without_address(piece: str) -> str:
    """Make one word of a link or a mail address: a keyword within is nobody's wish."""
    if "://" in piece or 0 < piece.find("@") < len(piece) - 1:
        return "".join(filter(str.isalnum, piece))
    return piece


def _visible(character: str) -> str:
    if character in _ENDS:
        return character
    match unicodedata.category(character):
        case "Cc":
            # A tab separates. The rest is noise: UTF-16 read as Latin-1 gives "S\0T\0O\0P".
            return " " if character == "\t" else ""
        case "Cf":
            return ""
        case "Cs" | "Co" | "Cn":
            return " "
        case _:
            return character


def _is_dropped_mark(character: str) -> bool:
    code = ord(character)
    return code >= 0x0300 and any(first <= code <= last for first, last in _DROPPED_MARKS)


def _is_letter(character: str) -> bool:
    return character != "" and unicodedata.category(character)[0] in "LMN"


def _end_word(letters: list[str], words: list[str]) -> None:
    if letters:
        words.append("".join(letters))
        letters.clear()


def _end_sentence(words: list[str], sentences: list[tuple[str, ...]]) -> None:
    if words:
        sentences.append(tuple(_spelt_together(words)))
        words.clear()


def _spelt_together(words: list[str]) -> list[str]:
    """Join letters that were spelt out."""
    together: list[str] = []
    run: list[str] = []
    for word in [*words, ""]:
        if len(word) == 1 and word.isalpha() and not is_word_by_itself(word):
            run.append(word)
            continue
        together += ["".join(run)] if len(run) >= _SPELT_OUT_FROM else run
        run = []
        if word:
            together.append(word)
    return together
