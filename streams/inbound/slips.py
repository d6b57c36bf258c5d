"""
Words typed in a hurry: one letter wrong, stretched, or no space between them.

A slip is one letter left out, doubled, swapped with the next, or hit on the neighbouring key, in a
word of :data:`SLIPS_FROM` letters or more: shorter words have too many real words beside them
(stop, shop, step). Only words of a given vocabulary are found, so that a slip never makes a word.

Pure. The time for one word is bounded by the longest word of the vocabulary, not by its size.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

SLIPS_FROM = 5

_ROWS = (
    ("qwertyuiop", "asdfghjkl", "zxcvbnm"),  # English, and most others
    ("azertyuiop", "qsdfghjklm", "wxcvbn"),  # French
    ("qwertzuiop", "asdfghjkl", "yxcvbnm"),  # German
    ("йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю"),  # Russian
)

_STRETCHED = re.compile(r"(.)\1{2,}")

_LONGEST_JOINED = 40
"""Letters of the longest word that is tried as several without spaces between."""


def _neighbours() -> dict[str, str]:
    near: dict[str, set[str]] = {}
    for rows in _ROWS:
        at = {
            letter: (row, column)
            for row, letters in enumerate(rows)
            for column, letter in enumerate(letters)
        }
        for letter, (row, column) in at.items():
            # A lower row is shifted by half a key to the right.
            for other, (row_of, column_of) in at.items():
                step = (row_of - row, column_of - column)
                if step in {(0, 1), (0, -1), (1, 0), (1, -1), (-1, 0), (-1, 1)}:
                    near.setdefault(letter, set()).add(other)
    return {letter: "".join(sorted(others)) for letter, others in near.items()}


_NEIGHBOURS = _neighbours()


class Vocabulary:
    """Words that may have been meant."""

    def __init__(self, words: Collection[str]) -> None:
        """Take folded words, each a single one."""
        self._words = frozenset(words)
        self._long = frozenset(word for word in words if len(word) >= SLIPS_FROM)
        self._longest = max(map(len, self._words), default=0)
        # Where one letter is gone nothing says which: each word is found under what is left of it.
        self._shortened = {
            word[:place] + word[place + 1 :]: word
            for word in sorted(self._long)
            for place in range(len(word))
        }

    def __contains__(self, word: str) -> bool:
        """Tell whether this very word is in it."""
        return word in self._words

    def stretched(self, word: str) -> str | None:
        """Find the word that this one stretches: ``stooooop``."""
        if len(word) > LONGEST_WORD or not _STRETCHED.search(word):
            return None
        for replacement in (r"\1", r"\1\1"):
            short = _STRETCHED.sub(replacement, word)
            if short in self._words:
                return short
        return None

    def slip(self, word: str) -> str | None:
        """Find a word that this one misses by one letter. The word itself is no slip of it."""
        if not SLIPS_FROM - 1 <= len(word) <= self._longest + 1:
            return None
        if word in self._shortened:
            return self._shortened[word]
        return next((meant for meant in _one_letter_off(word) if meant in self._long), None)

    def split(self, word: str) -> list[str] | None:
        """Find the words that were written without spaces: ``unsubscribeme``. The fewest."""
        if not SLIPS_FROM <= len(word) <= _LONGEST_JOINED:
            return None
        best: list[list[str] | None] = [[]]
        for end in range(1, len(word) + 1):
            found: list[str] | None = None
            for start in range(max(0, end - self._longest), end - 1):
                before = best[start]
                if before is None or word[start:end] not in self._words:
                    continue
                if found is None or len(before) + 1 < len(found):
                    found = [*before, word[start:end]]
            best.append(found)
        return best[-1]


LONGEST_WORD = 200
"""Letters of the longest word that is looked at for stretching: a bound, not a judgement."""


def _one_letter_off(word: str) -> Iterator[str]:
    for place, letter in enumerate(word):
        before, after = word[:place], word[place + 1 :]
        if after[:1] == letter:
            yield before + after
        elif after:
            yield before + after[0] + letter + after[1:]
        for neighbour in _NEIGHBOURS.get(letter, ""):
            yield before + neighbour + after
