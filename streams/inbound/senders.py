"""
The register of senders: whose number a reply came to, whom it names, and so what a STOP covers.

A company that writes from several numbers or under several names lists them in one file (setting
``senders_file``). Without the file, or where it does not say, a withdrawal covers everything: that
is the reading that nobody can regret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import yaml

from streams.errors import ConfigError
from streams.inbound.flat_file import FlatFile, line_of
from streams.inbound.folding import fold, joined
from streams.inbound.judging import NAME_WORDS
from streams.inbound.lists import KeywordLists
from streams.inbound.meaning import Meaning, Reading
from streams.inbound.reading import classify
from streams.records.events import Scope

MAX_FILE_CHARACTERS = 1024 * 1024
"""Ten thousand senders."""

_FIELDS = ("sender_id", "campaign_id", "recipients", "names", "language")


@dataclass(frozen=True, slots=True)
class Sender:
    """
    One entry: a sender of ours, or one campaign of it.

    ``name`` is how texts to people call it, the first of its names. ``language`` is that of the
    answers to English keywords, which people type everywhere.
    """

    sender_id: str
    campaign_id: str | None = None
    name: str | None = None
    language: str | None = None

    @property
    def scope(self) -> Scope:
        """What a withdrawal from it covers: the campaign, whoever sends it, or the sender."""
        if self.campaign_id is not None:
            return Scope(campaign_id=self.campaign_id)
        return Scope(sender_id=self.sender_id)


class Because(Enum):
    """Why a withdrawal covers what it covers. The value is the text for people."""

    SAID_ALL = "the reply says that everything is meant"
    NAMED = "the reply names it"
    RECIPIENT = "the reply came to its number"
    NOT_SAID = "nothing says whose number the reply came to"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a withdrawal covers, and why. ``sender`` is the entry; None for everything."""

    scope: Scope
    because: Because
    sender: Sender | None = None


class Senders:
    """The register. Immutable; an empty one knows nobody."""

    def __init__(
        self,
        by_recipient: Mapping[str, Sender] | None = None,
        by_name: Mapping[str, tuple[str, Sender]] | None = None,
    ) -> None:
        """Take entries by what people reply to, and by folded name with the name as written."""
        self._by_recipient = by_recipient or {}
        self._by_name = by_name or {}
        entries = [*self._by_recipient.values(), *(sender for _, sender in self._by_name.values())]
        self._by_id: dict[str, Sender] = {}
        for sender in entries:
            known = self._by_id.get(sender.sender_id)
            # The sender itself before its campaigns; a name before none.
            if known is None or _fullness(sender) > _fullness(known):
                self._by_id[sender.sender_id] = sender

    def of(self, recipient: str) -> Sender | None:
        """Give whose number or short code this is; None if the register does not say."""
        return self._by_recipient.get(recipient.strip())

    def known_as(self, sender_id: str) -> Sender | None:
        """Give the entry of this sender, which says how people call it; None if there is none."""
        return self._by_id.get(sender_id)

    def whose(self, recipient: str) -> Scope:
        """Give the sender or campaign that a plain yes to this number is said to."""
        sender = self.of(recipient)
        return sender.scope if sender is not None else Scope(sender_id=recipient or None)

    def judged(self, reading: Reading) -> Reading:
        """Judge a reading again by the names in the register: ``STOP Acme``."""
        known = self._by_name.get(reading.names or "")
        return reading if known is None else reading.naming([known[0]])

    def coverage(self, reading: Reading, recipient: str) -> Coverage:
        """
        Say what a STOP or an UNCERTAIN reply to ``recipient`` withdraws.

        ``reading`` has been :meth:`judged`. What the person says comes before where they say it. In
        doubt (UNCERTAIN) it is never more than one sender: that of the number, or the number itself
        as a sender's id, where the register does not know it. Only a reply that does not say what
        it was sent to ends everything even in doubt: less could be nothing.
        """
        if reading.meaning is Meaning.STOP and reading.all:
            return Coverage(Scope(), Because.SAID_ALL)
        if reading.meaning is Meaning.STOP and reading.names is not None:
            known = self._by_name.get(joined(fold(reading.names).words))
            if known is not None:
                return Coverage(known[1].scope, Because.NAMED, known[1])
        sender = self.of(recipient)
        if sender is not None:
            return Coverage(sender.scope, Because.RECIPIENT, sender)
        if reading.meaning is Meaning.UNCERTAIN and recipient:
            return Coverage(Scope(sender_id=recipient), Because.RECIPIENT)
        return Coverage(Scope(), Because.NOT_SAID)


def _fullness(sender: Sender) -> tuple[bool, bool]:
    return sender.campaign_id is None, sender.name is not None


def load_senders(path: Path | None, lists: KeywordLists) -> Senders:
    """
    Read the register; an empty one for None. Blocks on the disk.

    Raises :class:`ConfigError` with every mistake, a line each. A name that no reply could be found
    to say by these ``lists`` is one.
    """
    if path is None:
        return Senders()
    mistakes: list[str] = []
    file = _File(path, lists, mistakes)
    if mistakes:
        raise ConfigError("The register of senders cannot be used.\n" + "\n".join(mistakes))
    return Senders(file.by_recipient, file.by_name)


class _File(FlatFile):
    """The register's file, read and checked."""

    def __init__(self, path: Path, lists: KeywordLists, mistakes: list[str]) -> None:
        super().__init__(path, mistakes, MAX_FILE_CHARACTERS)
        self._lists = lists
        self._languages = {lexicon.language for lexicon in lists.lexicons}
        self.by_recipient: dict[str, Sender] = {}
        self.by_name: dict[str, tuple[str, Sender]] = {}
        self._lines: dict[str, int] = {}
        if self.root is None:
            return
        fields = self.mapping(self.root, ("senders",), "the file")
        if isinstance(self.root, yaml.MappingNode) and "senders" not in fields:
            self.wrong(1, "senders is missing", "write `senders:` and its entries below it")
        for node in self.items(fields.get("senders"), "senders"):
            self._read(node)

    def _read(self, node: yaml.Node) -> None:
        fields = self.mapping(node, _FIELDS, "the entry")
        if not fields:
            return
        if "sender_id" not in fields:
            self.wrong(line_of(node), "the entry has no sender_id", "add `sender_id: ...`")
            return
        recipients = self._texts(fields.get("recipients"), "recipients")
        names = self._texts(fields.get("names"), "names")
        if not recipients and not names:
            self.wrong(
                line_of(node),
                "the entry has neither recipients nor names, so no reply belongs to it",
                "add the numbers that people reply to, or the names that they use",
            )
        sender = Sender(
            self.text(fields["sender_id"]) or "",
            self.text(fields["campaign_id"]) if "campaign_id" in fields else None,
            names[0][0] if names else None,
            self._language(fields.get("language")),
        )
        for recipient, line in recipients:
            if self._is_new(
                f"recipient {recipient}",
                line,
                "one entry has it; a number that several senders share belongs in none, so that a "
                "STOP to it covers everything",
            ):
                self.by_recipient[recipient] = sender
        for name, line in names:
            self._name(name, line, sender)

    def _name(self, name: str, line: int, sender: Sender) -> None:
        reading = classify(f"stop {name}", None, self._lists)
        folded = joined(fold(name).words)
        if reading.naming([name]).names != name or not folded:
            found = f": it is read as {reading.names!r}" if reading.names else ""
            self.wrong(
                line,
                f"no reply can be found to say {name!r}{found}",
                f"write at most {NAME_WORDS} words, and none that the lists of keywords know",
            )
        elif self._is_new(f"name {folded}", line, "keep one of them"):
            self.by_name[folded] = (name, sender)

    def _is_new(self, what: str, line: int, remedy: str) -> bool:
        before = self._lines.setdefault(what, line)
        if before != line:
            self.wrong(line, f"the {what} stands already on line {before}", remedy)
        return before == line

    def _texts(self, node: yaml.Node | None, what: str) -> list[tuple[str, int]]:
        read = [(self.text(item), line_of(item)) for item in self.items(node, what)]
        return [(text.strip(), line) for text, line in read if text is not None]

    def _language(self, node: yaml.Node | None) -> str | None:
        language = None if node is None else self.text(node)
        if node is not None and language is not None and language not in self._languages:
            self.wrong(
                line_of(node),
                f"there are no lists for the language {language!r}",
                "use one of " + ", ".join(sorted(self._languages)),
            )
        return language
