"""
What a policy lists beside its rules: links, senders, opt-out texts, marks, hours.

A register file holds some of these sections; a section stands in one file only. A section that
stands in none is not read, and the facts that need it say so (``Links.UNREAD``). The files are part
of the policy's version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import yaml

from streams.policy.documents import Document, Text
from streams.policy.hours import ANYWHERE, QuietTimes, Window
from streams.policy.links import LinkClass, LinkRegister, Place, registered_place
from streams.policy.mistakes import nearest
from streams.policy.regions import COUNTRIES, PARTS, UNITED_STATES_ISLANDS, is_known
from streams.policy.texts import MarkWords, OptOutTexts, RegisteredSender, Senders, Words
from streams.policy.vocabulary import Jurisdiction

LONGEST_WORDS: Final = 100
"""Characters of one phrase, and phrases of one list: each is looked for in every text."""

_DAYS: Final = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
_TIME: Final = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII)
_LINK_CLASSES: Final = {link_class.name.lower(): link_class for link_class in LinkClass}
del _LINK_CLASSES["foreign"]
_SIGNATURE_BRACKETS: Final = "\u3010\u3011[]"


@dataclass(frozen=True, slots=True)
class Registers:
    """
    All that a policy lists; null: it has no such section.

    ``by_law`` are those that count for texts under each law, where a policy is put together from
    packs. ``hours`` are all of them together: their regions keep them apart.
    """

    links: LinkRegister | None = None
    senders: Senders | None = None
    opt_out: OptOutTexts | None = None
    marks: MarkWords | None = None
    hours: QuietTimes | None = None
    by_law: Mapping[Jurisdiction, Registers] | None = None

    def under(self, law: Jurisdiction) -> Registers:
        """Give those that count for texts under ``law``."""
        return self if self.by_law is None else self.by_law[law]


NO_REGISTERS: Final = Registers()


def together(own: Registers, packs: Mapping[Jurisdiction, Registers]) -> Registers:
    """
    Put together what the packs list, each for its law, and what the policy itself does.

    Hosts and senders are a company's own and the same everywhere: the policy's count, and those of
    the packs do not. A pack's hours for ``any`` region are those of its law; the policy's own are
    added.
    """
    windows = list(own.hours.windows) if own.hours else []
    for law, pack in packs.items():
        for window in pack.hours.windows if pack.hours else ():
            region = law.name if window.region == ANYWHERE else window.region
            windows.append(replace(window, region=region))
    return Registers(
        hours=QuietTimes(windows) if windows else None,
        by_law={
            law: Registers(own.links, own.senders, pack.opt_out, pack.marks)
            for law, pack in packs.items()
        },
    )


class RegisterReader:
    """Reads the register files of one policy and sees to what must be unique among them."""

    def __init__(self, purposes: Iterable[str]) -> None:
        """Read registers of a policy that declares ``purposes``."""
        self._purposes = frozenset(purposes)
        self._sections: dict[str, str] = {}
        self._links: LinkRegister | None = None
        self._senders: Senders | None = None
        self._opt_out: OptOutTexts | None = None
        self._marks: MarkWords | None = None
        self._windows: list[Window] = []

    def read(self, document: Document) -> None:
        """Read one file. What is wrong goes into the document's mistakes and is left out."""
        if document.root is None:
            return
        readers: dict[str, Callable[[Document, yaml.Node], None]] = {
            "links": self._read_links,
            "senders": self._read_senders,
            "opt_out": self._read_opt_out,
            "marks": self._read_marks,
            "hours": self._read_hours,
        }
        entries = document.mapping(document.root, "a register file", (), tuple(readers))
        if not entries and not document.mistakes:
            document.wrong(document.root, "the register file is empty", "take it off the list")
        for section, node in entries.items():
            place = f"{document.name}:{node.start_mark.line + 1}"
            if self._sections.setdefault(section, place) != place:
                document.wrong(
                    node,
                    f"{section} stands in {self._sections[section]} already",
                    "put all of it in one file",
                )
            else:
                readers[section](document, node)

    def registers(self) -> Registers:
        """Give what was read from all files; :data:`NO_REGISTERS` where nothing was."""
        if not self._sections:
            return NO_REGISTERS
        return Registers(
            self._links,
            self._senders,
            self._opt_out,
            self._marks,
            QuietTimes(self._windows) if self._windows else None,
        )

    def _read_links(self, document: Document, node: yaml.Node) -> None:
        known: dict[Place, LinkClass] = {}
        for name, entries in document.mapping(node, "links", (), tuple(_LINK_CLASSES)).items():
            for text in document.texts(entries, f"a host of {name}"):
                place = registered_place(text.value)
                if place is None:
                    document.wrong(
                        text,
                        f"{text.value!r} is no host",
                        "write shop.example or shop.example/join, without https://",
                    )
                elif known.setdefault(place, _LINK_CLASSES[name]) is not _LINK_CLASSES[name]:
                    document.wrong(
                        text,
                        f"{text.value} is listed under {known[place].name.lower()}, too",
                        "keep one of them",
                    )
        self._links = LinkRegister(known)

    def _read_senders(self, document: Document, node: yaml.Node) -> None:
        senders: dict[str, RegisteredSender] = {}
        for item in document.items(node, "senders"):
            entries = document.mapping(item, "a sender", ("id",), ("jurisdictions", "shows"))
            sender_id = document.written(entries["id"], "id") if "id" in entries else None
            if not sender_id:
                continue
            if sender_id in senders:
                document.wrong(entries["id"], f"{sender_id} is listed twice", "keep one of them")
                continue
            laws = (
                frozenset(_laws(document, entries["jurisdictions"]))
                if "jurisdictions" in entries
                else None
            )
            shows = _phrases(document, entries["shows"], "shows") if "shows" in entries else None
            senders[sender_id] = RegisteredSender(
                laws,
                Words(shows) if shows else None,
                frozenset(name.strip(_SIGNATURE_BRACKETS).casefold() for name in shows or ()),
            )
        self._senders = senders

    def _read_opt_out(self, document: Document, node: yaml.Node) -> None:
        entries = document.mapping(node, "opt_out", ("purposes", "texts"), ())
        if len(entries) < 2:
            return
        by_law: dict[Jurisdiction, Words] = {}
        anywhere: list[str] = []
        for where, texts in document.mapping(entries["texts"], "texts").items():
            phrases = _phrases(document, texts, f"a text of {where}")
            if where == ANYWHERE:
                anywhere = phrases
            elif where in Jurisdiction.__members__:
                by_law[Jurisdiction[where]] = Words(phrases)
            else:
                document.wrong(
                    texts,
                    f"there is no jurisdiction {where}",
                    nearest(where, [ANYWHERE, *Jurisdiction.__members__]),
                )
        purposes = self._declared(document, entries["purposes"])
        self._opt_out = OptOutTexts(purposes, Words(anywhere), by_law)

    def _read_marks(self, document: Document, node: yaml.Node) -> None:
        entries = document.mapping(node, "marks", ("under",), ("invitation", "advertising"))
        if "under" not in entries:
            return
        invitation, advertising = (
            Words(_phrases(document, entries[name], name)) if name in entries else Words(())
            for name in ("invitation", "advertising")
        )
        under = self._declared(document, entries["under"])
        self._marks = MarkWords(under, invitation, advertising)

    def _read_hours(self, document: Document, node: yaml.Node) -> None:
        lines: list[int] = []
        for item in document.items(node, "hours"):
            window = self._window(document, item)
            if window is None:
                continue
            for other, line in zip(self._windows, lines, strict=True):
                if window.overlaps(other):
                    document.wrong(
                        document.mapping(item, "a window")["region"],
                        f"the window overlaps that of line {line}: together they are open longer",
                        "make them one, or end one before the other begins: since, until, to",
                    )
            self._windows.append(window)
            lines.append(item.start_mark.line + 1)

    def _window(self, document: Document, item: yaml.Node) -> Window | None:
        before = document.mistakes
        entries = document.mapping(
            item,
            "a window",
            ("region", "purposes", "from", "to", "cites"),
            ("days", "since", "until"),
        )
        if document.mistakes > before:
            return None
        document.texts(entries["cites"], "cites")
        region = document.text(entries["region"], "region")
        if region is not None and not _is_region(region.value):
            document.wrong(
                region, f"there is no region {region.value}", _region_meant(region.value)
            )
        purposes = self._declared(document, entries["purposes"])
        days = _days(document, entries["days"]) if "days" in entries else frozenset(range(7))
        begin, end = (_minute(document, entries[name], name) for name in ("from", "to"))
        if begin is not None and end is not None and begin >= end:
            document.wrong(
                entries["to"],
                "the window ends before it begins",
                "write two windows for hours that go over midnight",
            )
        since = document.day(entries["since"], "since") if "since" in entries else None
        until = document.day(entries["until"], "until") if "until" in entries else None
        if since is not None and until is not None and since >= until:
            document.wrong(
                entries["until"],
                "the window is never in force: until is its first day without force",
                "write a day after since",
            )
        if document.mistakes > before or region is None or begin is None or end is None:
            return None
        return Window(region.value, purposes, days, begin, end, since, until)

    def _declared(self, document: Document, node: yaml.Node) -> frozenset[str]:
        """Read purposes, each of which the policy must declare."""
        found = document.texts(node, "a purpose")
        for text in found:
            if text.value not in self._purposes:
                document.wrong(
                    text,
                    f"the policy declares no purpose {text.value}",
                    nearest(text.value, self._purposes),
                )
        return frozenset(text.value for text in found)


def _is_region(written: str) -> bool:
    return written == ANYWHERE or written in Jurisdiction.__members__ or is_known(written)


def _region_meant(written: str) -> str:
    """Word the remedy for a region that is none."""
    country, dash, part = written.partition("-")
    if country == "US" and part in UNITED_STATES_ISLANDS:
        return f"did you mean {part}?"
    if dash and country in PARTS:
        return nearest(part, PARTS[country], f"{country}-")
    if dash and country in COUNTRIES:
        return f"write a country: hours know the parts of {' and '.join(PARTS)} only"
    if country == "UK":
        return "did you mean GB?"
    return f"write a country (US), a state (US-TX), a jurisdiction (EU) or {ANYWHERE}"


def _laws(document: Document, node: yaml.Node) -> Iterable[Jurisdiction]:
    for text in document.texts(node, "a jurisdiction"):
        if text.value in Jurisdiction.__members__:
            yield Jurisdiction[text.value]
        else:
            document.wrong(
                text,
                f"there is no jurisdiction {text.value}",
                nearest(text.value, Jurisdiction.__members__),
            )


def _phrases(document: Document, node: yaml.Node, what: str) -> list[str]:
    texts: list[Text] = document.texts(node, what)
    for text in texts[LONGEST_WORDS:]:
        document.wrong(text, f"{what} has over {LONGEST_WORDS} entries", "keep the telling ones")
    for text in texts:
        if len(text.value) > LONGEST_WORDS:
            document.wrong(
                text, f"{what} is over {LONGEST_WORDS} characters", "write what is telling of it"
            )
    return [text.value for text in texts]


def _days(document: Document, node: yaml.Node) -> frozenset[int]:
    days = set()
    for text in document.texts(node, "a day"):
        if text.value in _DAYS:
            days.add(_DAYS[text.value])
        else:
            document.wrong(text, f"there is no day {text.value}", nearest(text.value, _DAYS))
    return frozenset(days)


def _minute(document: Document, node: yaml.Node, what: str) -> int | None:
    written = document.written(node, what)
    found = _TIME.fullmatch(written or "")
    minute = int(found[1]) * 60 + int(found[2]) if found else None
    if minute is None or minute > 24 * 60:
        document.wrong(node, f"{what} is no time of day", 'write it as hours and minutes, "08:00"')
        return None
    return minute
