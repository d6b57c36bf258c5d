"""
What of a language's lists stands in a reply: the longest phrase at each place, from left to right.

Pure. Linear: at each word at most as many steps as the longest phrase has words
(:data:`streams.inbound.lists.MAX_PHRASE_WORDS`), and a bounded number for mending it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streams.inbound.folding import Folded, is_word_by_itself
from streams.inbound.lists import KEYS, STOPS, Entry, KeywordLists, Lexicon, Role

MANY_WORDS = 40
"""A reply of more words is not mended word by word: it is no keyword in haste, but a letter."""

APART_WORDS = 12
"""Into how many pieces a keyword may have come: "un sub scribe"."""


@dataclass(frozen=True, slots=True)
class Segment:
    """
    Words that stand in the lists together, or one word that is in none (``entry`` None).

    ``slip``: a word was mended. ``settled``: the country is known, or the entry does not ask.
    """

    words: tuple[str, ...]
    sentence: int
    entry: Entry | None = None
    slip: bool = False
    settled: bool = True

    @property
    def role(self) -> Role | None:
        """What the entry does; None for a word in no list."""
        return self.entry.role if self.entry else None

    @property
    def is_number(self) -> bool:
        """Tell digits, which are never a wording."""
        return self.entry is None and self.words[0].isdecimal()


def segments(
    folded: Folded, lexicon: Lexicon, lists: KeywordLists, country: str | None
) -> list[Segment]:
    """Find the phrases of ``lexicon`` in a reply. ``country``: two capitals, None if not known."""
    mend = len(folded.words) <= MANY_WORDS
    found: list[Segment] = []
    for number, sentence in enumerate(folded.sentences):
        words, mended = _mended(sentence, lexicon, lists) if mend else (list(sentence), set())
        at = 0
        while at < len(words):
            segment = _longest(words, at, number, lexicon, country)
            last = at + len(segment.words)
            if not mended.isdisjoint(range(at, last)):
                segment = Segment(
                    segment.words, number, segment.entry, slip=True, settled=segment.settled
                )
            found.append(segment)
            at = last
    if not any(segment.role in KEYS for segment in found):
        return _brought_together(folded, lexicon) or found
    return found


def has_words_of(lexicon: Lexicon, folded: Folded, lists: KeywordLists) -> bool:
    """Tell whether a word of the language itself, not of English below it, is in the reply."""
    words = folded.words
    if not lexicon.own_words.isdisjoint(words):
        return True
    if len(words) <= MANY_WORDS:
        for word in words:
            meant = _meant(word, lexicon, lists)
            if meant is not None and not lexicon.own_words.isdisjoint(meant):
                return True
    return _brought_together(folded, lexicon) is not None


def _longest(
    words: Sequence[str], at: int, sentence: int, lexicon: Lexicon, country: str | None
) -> Segment:
    for count in range(min(lexicon.longest_from(words[at]), len(words) - at), 0, -1):
        phrase = tuple(words[at : at + count])
        entry = lexicon.phrases.get(phrase)
        if entry is None:
            continue
        counts = _counts(entry, country)
        if counts is not False:
            return Segment(phrase, sentence, entry, settled=counts is not None)
    return Segment((words[at],), sentence)


def _counts(entry: Entry, country: str | None) -> bool | None:
    """Tell whether an entry counts in a country; None: that depends on what is not known."""
    if entry.countries is None and entry.not_in is None:
        return True
    if country is None:
        return None
    if entry.countries is not None:
        return country in entry.countries
    return country not in (entry.not_in or ())


def _mended(
    sentence: Sequence[str], lexicon: Lexicon, lists: KeywordLists
) -> tuple[list[str], set[int]]:
    """Put what was meant in place of what was mistyped. The set tells where."""
    words: list[str] = []
    mended: set[int] = set()
    for word in sentence:
        meant = _meant(word, lexicon, lists)
        if meant is not None:
            mended.update(range(len(words), len(words) + len(meant)))
        words += meant or [word]
    return words, mended


def _meant(word: str, lexicon: Lexicon, lists: KeywordLists) -> list[str] | None:
    """Find what a word that is in no list was meant to be."""
    if word in lists.words or is_word_by_itself(word[0]):
        return None
    meant = lexicon.vocabulary.stretched(word) or lexicon.slips.slip(word)
    if meant is not None:
        return [meant]
    parts = lexicon.splits.split(word)
    if parts is not None and not lexicon.split_keys.isdisjoint(parts):
        return parts
    return None


def _brought_together(folded: Folded, lexicon: Lexicon) -> list[Segment] | None:
    """Read a whole message as one keyword that came in pieces: "S. T. O. P.", "un sub scribe"."""
    words = folded.words
    if not 2 <= len(words) <= APART_WORDS or any(is_word_by_itself(word[0]) for word in words):
        return None
    phrase = ("".join(words),)
    entry = lexicon.phrases.get(phrase)
    # "t d", "en d": what withdraws only sometimes must be written as it is.
    if entry is None or entry.role not in STOPS - {Role.STOP_COMMON, Role.STOP_WHOLE}:
        return None
    return [Segment(phrase, 0, entry, slip=True)]
