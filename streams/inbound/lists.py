"""
The lists of words that replies are read by: one YAML file a language, checked when they are loaded.

English underlies every language: people everywhere type STOP, and thank for it in their own words.
A language's own entry counts before the English one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import yaml

from streams.errors import ConfigError
from streams.inbound.flat_file import FlatFile, line_of
from streams.inbound.folding import fold
from streams.inbound.slips import Vocabulary

BASE = "en"
"""The language that underlies the others."""

MAX_PHRASE_WORDS = 16
"""Bounds how far ahead a reply is compared: the time to read one is its length times this."""

MAX_FILE_CHARACTERS = 128 * 1024
"""Twenty times the largest list that ships."""


class Role(Enum):
    """What an entry does to a reply. The values are the keys of the files."""

    STOP_SENTENCES = "stop_sentences"
    """Withdraws also among a few other words: "take me off your list"."""
    STOP_WORDS = "stop_words"
    """Withdraws alone; among other words it is in doubt: STOP."""
    STOP_COMMON = "stop_common"
    """Withdraws alone or beside words about messages; elsewhere an ordinary word: END, CANCEL."""
    STOP_WHOLE = "stop_whole"
    """Withdraws only if it is all there is: T."""
    START = "start"
    HELP = "help"
    CONFIRM = "confirm"
    COURTESY = "courtesy"
    """Changes nothing: please, thanks, hello."""
    LITTLE = "little"
    """Small words that complete a sentence: me, your, the, now."""
    ABOUT = "about"
    """Says that messages are meant: texts, sending, list."""
    KINDS = "kinds"
    """Names a kind of message: promo, newsletter. It is reported as what the STOP names."""
    ALL = "all"
    """Says that everything is meant."""
    NEGATIONS = "negations"
    HEDGES = "hedges"
    """Makes what is asked depend on something, or asks how: if, why, how do I."""
    ELSEWHERE = "elsewhere"
    """Has a keyword in it and means something else: bus stop, don't stop."""
    MATTERS = "matters"
    """What people cancel or end other than messages: order, appointment."""
    DOUBTFUL = "doubtful"
    """May be a withdrawal: wrong number."""
    DOUBTFUL_WHOLE = "doubtful_whole"
    """May be one if it is all there is."""
    QUOTES = "quotes"
    """What our own messages say: reply STOP to opt out."""
    REACTIONS = "reactions"
    """What a telephone puts before a message it quotes: Liked."""


STOPS = frozenset({Role.STOP_SENTENCES, Role.STOP_WORDS, Role.STOP_COMMON, Role.STOP_WHOLE})

KEYS = frozenset(
    STOPS | {Role.START, Role.HELP, Role.ELSEWHERE, Role.DOUBTFUL, Role.DOUBTFUL_WHOLE, Role.QUOTES}
)
"""The roles that can decide a reply by themselves."""

_SLIP_ROLES = frozenset({*STOPS, Role.COURTESY, Role.ABOUT, Role.KINDS, Role.ALL})
_SURE_LETTERS = 6
_SPLIT_ROLES = frozenset(
    {Role.STOP_SENTENCES, Role.STOP_WORDS, Role.COURTESY, Role.ABOUT, Role.ALL}
)

_FIELDS = frozenset({"language", "name", "sources", *(role.value for role in Role)})
_CODE = re.compile(r"[a-z]{2,3}(-[a-z]{2,8})?")
_COUNTRY = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One phrase of one list.

    ``countries``: it counts there only. ``not_in``: it does not count there. Both None: everywhere.
    """

    phrase: str
    role: Role
    language: str
    countries: frozenset[str] | None = None
    not_in: frozenset[str] | None = None


Phrase = tuple[str, ...]


class Lexicon:
    """The phrases of one language on top of English, ready to be found in a reply."""

    def __init__(
        self, language: str, name: str, own: Mapping[Phrase, Entry], base: Mapping[Phrase, Entry]
    ) -> None:
        """Take the language's own phrases and those of English, each as folded words."""
        self.language = language
        self.name = name
        self.phrases: dict[Phrase, Entry] = {**base, **own}
        self.own_words = frozenset(word for phrase in own for word in phrase)
        self._longest: dict[str, int] = {}
        for phrase in self.phrases:
            self._longest[phrase[0]] = max(len(phrase), self._longest.get(phrase[0], 0))
        self.vocabulary = Vocabulary({word for phrase in self.phrases for word in phrase})
        # A keyword of five letters may be missed. Of the words around it only longer ones: too
        # many five-letter words are another word when they lose a letter (never, ever).
        self.slips = Vocabulary(
            {
                word
                for phrase, entry in self.phrases.items()
                if entry.role in _SLIP_ROLES
                for word in phrase
                if len(word) >= _SURE_LETTERS or (entry.role in STOPS and len(phrase) == 1)
            }
        )
        self.splits = Vocabulary(
            {word for word in _words(self.phrases, _SPLIT_ROLES) if len(word) > 1}
        )
        self.split_keys = frozenset(
            word
            for word in _words(self.phrases, {Role.STOP_SENTENCES, Role.STOP_WORDS})
            if len(word) >= 4  # shorter ones stand inside too many words
        )

    def longest_from(self, word: str) -> int:
        """Count the words of the longest phrase that begins with ``word``; 0 if there is none."""
        return self._longest.get(word, 0)


class KeywordLists:
    """All languages. Immutable."""

    def __init__(self, lexicons: Iterable[Lexicon]) -> None:
        """Take the languages, English among them."""
        self.lexicons = tuple(lexicons)
        self.words = frozenset().union(*(lexicon.own_words for lexicon in self.lexicons))
        """Every word of every language: none of them is a slip of another."""
        self.reactions = frozenset(
            phrase
            for lexicon in self.lexicons
            for phrase, entry in lexicon.phrases.items()
            if entry.role is Role.REACTIONS
        )

    def language_name(self, language: str) -> str:
        """Name a language of these lists in English."""
        return next(each.name for each in self.lexicons if each.language == language)


def load_lists(folder: Path) -> KeywordLists:
    """
    Read every ``*.yaml`` of ``folder``. Blocks on the disk.

    Raises :class:`ConfigError` with every mistake, a line each: file, line, what, remedy.
    """
    mistakes: list[str] = []
    own: dict[str, dict[Phrase, Entry]] = {}
    names: dict[str, str] = {}
    if not folder.is_dir():
        raise ConfigError(f"There is no folder {folder}: set keywords_dir to one with lists in it.")
    for path in sorted(folder.iterdir()):
        if path.suffix == ".yml":
            mistakes.append(f"{path}:1: the name ends in .yml; rename it to {path.stem}.yaml")
        if path.suffix == ".yaml":
            file = _File(path, mistakes)
            if file.language:
                own[file.language] = file.entries
                names[file.language] = file.name
    if BASE not in own and not mistakes:
        mistakes.append(
            f"{folder}:1: {BASE}.yaml is missing; copy the one that ships: every language builds "
            "on it"
        )
    if mistakes:
        raise ConfigError("The keyword lists cannot be used.\n" + "\n".join(mistakes))
    base = own[BASE]
    return KeywordLists(
        Lexicon(language, names[language], entries, {} if language == BASE else base)
        for language, entries in own.items()
    )


def _words(phrases: Mapping[Phrase, Entry], roles: Iterable[Role]) -> set[str]:
    wanted = frozenset(roles)
    return {word for phrase, entry in phrases.items() if entry.role in wanted for word in phrase}


class _File(FlatFile):
    """One language's file, read and checked. What is wrong goes into ``mistakes``."""

    def __init__(self, path: Path, mistakes: list[str]) -> None:
        super().__init__(path, mistakes, MAX_FILE_CHARACTERS)
        self.language = ""
        self.name = ""
        self.entries: dict[Phrase, Entry] = {}
        self._lines: dict[Phrase, int] = {}
        if self.root is None:
            return
        fields = self.mapping(self.root, _FIELDS, "the file")
        if not fields:
            return
        for required in ("language", "name", "sources"):
            if required not in fields:
                self.wrong(1, f"{required} is missing", f"add a line `{required}: ...`")
                return
        self.name = self.text(fields["name"]) or ""
        self.items(fields["sources"], "sources")
        self.language = self.text(fields["language"]) or ""
        if self.language != path.stem or not _CODE.fullmatch(self.language):
            self.wrong(
                line_of(fields["language"]),
                f"language is {self.language!r} in a file named {path.name}",
                "write a language's code in small letters, the same in both",
            )
        for role in Role:
            for node in self.items(fields.get(role.value), role.value):
                self._add(role, node)

    def _add(self, role: Role, node: yaml.Node) -> None:
        countries: frozenset[str] | None = None
        not_in: frozenset[str] | None = None
        phrase_node = node
        if isinstance(node, yaml.MappingNode):
            fields = self.mapping(node, frozenset({"phrase", "countries", "not_in"}), "the entry")
            if "phrase" not in fields:
                self.wrong(line_of(node), "the entry has no phrase", "add `phrase: ...`")
                return
            phrase_node = fields["phrase"]
            countries = self._countries(fields.get("countries"))
            not_in = self._countries(fields.get("not_in"))
        text = self.text(phrase_node)
        if text is None:
            return
        words = fold(text).words
        line = line_of(phrase_node)
        if not 1 <= len(words) <= MAX_PHRASE_WORDS:
            self.wrong(
                line,
                f"{text!r} comes to {len(words)} words",
                f"an entry has 1 to {MAX_PHRASE_WORDS}, and signs alone are none",
            )
        elif words in self.entries:
            self.wrong(
                line,
                f"{text!r} stands already on line {self._lines[words]}, compared as replies are",
                "keep one of them",
            )
        else:
            self.entries[words] = Entry(text, role, self.language, countries, not_in)
            self._lines[words] = line

    def _countries(self, node: yaml.Node | None) -> frozenset[str] | None:
        if node is None:
            return None
        found = set()
        for item in self.items(node, "the countries"):
            code = self.text(item) or ""
            if not _COUNTRY.fullmatch(code):
                self.wrong(
                    line_of(item), f"{code!r} is no country", "write two capitals, such as CN"
                )
            found.add(code)
        return frozenset(found)
