"""
What is answered to a STOP, a START or a HELP, and what people are asked to confirm; by language.

A confirmation says that the wish was heard, and nothing else: no offer, no attempt to win the
person back (47 CFR 64.1200(a)(12)). The texts that ship keep to that; a company's own are its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from streams.errors import ConfigError
from streams.inbound.flat_file import FlatFile, line_of
from streams.inbound.lists import BASE

NAME = "{name}"
"""Where the sender's name goes."""

LONGEST = 306
"""Characters of one text: two parts of an SMS in most languages. Longer ones cost more than they
say."""

MAX_FILE_CHARACTERS = 128 * 1024

_FIELDS = ("stop", "stop_named", "start", "help", "question", "reminder")

_NAMED = ("stop_named", "question", "reminder")
"""Texts that say who writes."""


@dataclass(frozen=True, slots=True)
class Texts:
    """
    The answers of one language.

    ``stop`` answers a withdrawal of everything, ``stop_named`` one from a sender or campaign whose
    name replaces ``{name}``. None: such a reply is not answered in this language. ``question`` asks
    whether a consent is the person's, ``reminder`` asks again; they have a ``{name}``, too.
    """

    stop: str
    stop_named: str
    start: str | None = None
    help: str | None = None
    question: str | None = None
    reminder: str | None = None


class Answers:
    """The answers of every language. Immutable."""

    def __init__(self, texts: Mapping[str, Texts]) -> None:
        """Take the texts by language; English among them."""
        self._texts = dict(texts)

    def stop(self, language: str | None, name: str | None) -> str:
        """Confirm a withdrawal: from ``name``, or of everything where that is None."""
        texts = self._of(language)
        return texts.stop if name is None else texts.stop_named.replace(NAME, name)

    def start(self, language: str | None) -> str | None:
        """Answer a START; None where that is not done."""
        return self._of(language).start

    def help(self, language: str | None) -> str | None:
        """Answer a HELP; None where that is not done."""
        return self._of(language).help

    def question(self, language: str | None, name: str, *, again: bool) -> str | None:
        """
        Ask whether a consent to messages from ``name`` is the person's, or remind of that.

        In English where the language has no such text, None where English has none either. A
        language without a reminder of its own asks the same again.
        """
        for texts in (self._of(language), self._texts[BASE]):
            if texts.question is not None:
                text = (texts.reminder if again else None) or texts.question
                return text.replace(NAME, name)
        return None

    def _of(self, language: str | None) -> Texts:
        return self._texts.get(language or BASE) or self._texts[BASE]


def load_answers(path: Path) -> Answers:
    """
    Read the answers. Blocks on the disk.

    Raises :class:`ConfigError` with every mistake, a line each: file, line, what, remedy.
    """
    mistakes: list[str] = []
    file = _File(path, mistakes)
    if mistakes:
        raise ConfigError("The answers to replies cannot be used.\n" + "\n".join(mistakes))
    return Answers(file.texts)


class _File(FlatFile):
    """The file of answers, read and checked."""

    def __init__(self, path: Path, mistakes: list[str]) -> None:
        super().__init__(path, mistakes, MAX_FILE_CHARACTERS)
        self.texts: dict[str, Texts] = {}
        if not isinstance(self.root, yaml.MappingNode):
            if self.root is not None:
                self.wrong(1, "the file is no mapping", "write a language and its texts below it")
            return
        languages = [key.value for key, _ in self.root.value if isinstance(key, yaml.ScalarNode)]
        for language, node in self.mapping(self.root, languages, "the file").items():
            self._read(language, node)
        if BASE not in languages:
            self.wrong(1, f"{BASE} is missing", "add it: it answers where no language is known")

    def _read(self, language: str, node: yaml.Node) -> None:
        fields = self.mapping(node, _FIELDS, f"the answers in {language}")
        texts = {field: self._text(field, value) for field, value in fields.items()}
        needed = ["stop", "stop_named"]
        if "reminder" in fields:
            needed.append("question")
        for required in needed:
            if required not in fields:
                self.wrong(line_of(node), f"{required} is missing", f"add a line `{required}: ...`")
        self.texts[language] = Texts(
            stop=texts.get("stop") or "",
            stop_named=texts.get("stop_named") or "",
            start=texts.get("start"),
            help=texts.get("help"),
            question=texts.get("question"),
            reminder=texts.get("reminder"),
        )

    def _text(self, field: str, node: yaml.Node) -> str:
        text = " ".join((self.text(node) or "").split())
        if len(text) > LONGEST:
            self.wrong(
                line_of(node),
                f"the text has {len(text)} characters",
                f"write at most {LONGEST}: people get it as an SMS",
            )
        if text and (field in _NAMED) != (NAME in text):
            self.wrong(
                line_of(node),
                f"{field} {'has' if NAME in text else 'lacks'} {NAME}",
                f"{NAME} stands in {', '.join(_NAMED)}, and there only: elsewhere no name is known",
            )
        return text
