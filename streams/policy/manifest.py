"""``policy.yaml``: what a policy is called, the purposes it knows, the files its rules stand in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime

import yaml

from streams.policy.caps import Cap
from streams.policy.confirming import MAY_NEED_IT, Confirming
from streams.policy.declared_caps import read_caps
from streams.policy.documents import Document
from streams.policy.lapse import Lapse, read_lapse
from streams.policy.mistakes import Mistakes, nearest
from streams.policy.vocabulary import VOCABULARY_VERSION, Jurisdiction

MANIFEST = "policy.yaml"
"""The file that names a policy's other files."""

TESTS = "tests.yaml"
"""The file that a policy's tests stand in, if there is one. It decides nothing: no gate reads it,
and it is no part of the version (docs/adr/0017)."""

MOST_CONFIRM_DAYS = 30
"""A yes that comes later answers no question that anybody remembers; and so long, at least, the
events are kept of which it is one."""

_DAY_MS = 86_400_000

BESIDE = "../"
"""Before the name of a pack's folder, which lies beside that of the policy it is part of."""

_FOLDER = re.compile(r"[a-z0-9][a-z0-9_-]*")
_PURPOSE = re.compile(r"[a-z][a-z0-9_]{0,47}")
_RULE_FILE = re.compile(r"[a-z0-9][a-z0-9_-]*\.yaml")


class Manifest:
    """
    What ``policy.yaml`` says.

    ``edition`` is for people. ``purpose_lines`` are the lines, from 1, that the purposes are
    declared on. ``caps`` are those of messages to one person. ``confirming`` is what has to be
    confirmed, null for nothing; ``lapse`` what ends by itself. ``rule_files`` and
    ``register_files`` are the files to read, in order, each of which exists; what is wrong, such as
    a file that is missing or not listed, is in the mistakes. A policy that is put together from
    ``packs`` has the folder of one for every law and no rules of its own.
    """

    def __init__(
        self,
        document: Document,
        files: Mapping[str, str],
        mistakes: Mistakes,
        folder: str = "",
    ) -> None:
        """Read ``document``, the manifest among ``files``; ``folder`` is put before their names."""
        self.packs: dict[Jurisdiction, str] = {}
        self.name = self.edition = ""
        self.purposes: list[str] = []
        self.purpose_lines: dict[str, int] = {}
        self.rule_files: list[str] = []
        self.register_files: list[str] = []
        self.caps: list[Cap] = []
        self.confirming: Confirming | None = None
        self.confirm_line = 1
        self.lapse: Lapse = {}
        composed = document.root is not None and _has_packs(document.root)
        entries = (
            document.mapping(
                document.root,
                MANIFEST,
                ("name", "edition", "purposes", "packs" if composed else "rules"),
                ("vocabulary", "registers", "caps", "confirm", "lapse"),
            )
            if document.root is not None
            else {}
        )
        if "name" in entries:
            name = document.text(entries["name"], "name")
            self.name = name.value if name else ""
        if "edition" in entries:
            edition = document.text(entries["edition"], "edition")
            self.edition = edition.value if edition else ""
        if "vocabulary" in entries:
            _read_vocabulary(document, entries["vocabulary"])
        if "purposes" in entries:
            self._read_purposes(document, entries["purposes"])
        if "registers" in entries:
            for node in document.items(entries["registers"], "registers"):
                self._read_file(document, node, files, "register", self.register_files)
        if "caps" in entries:
            self.caps = read_caps(document, entries["caps"], self.purposes)
        if "confirm" in entries:
            self.confirming = self._read_confirm(document, entries["confirm"])
            self.confirm_line = entries["confirm"].start_mark.line + 1
        if "lapse" in entries:
            self.lapse = read_lapse(document, entries["lapse"])
        if "packs" in entries:
            self.packs = _read_packs(document, entries["packs"], files)
        if "rules" in entries:
            for node in document.items(entries["rules"], "rules"):
                self._read_file(document, node, files, "rule", self.rule_files)
        if "rules" in entries or "packs" in entries:
            listed = {MANIFEST, TESTS, *self.rule_files, *self.register_files}
            for unlisted in sorted(files.keys() - listed):
                if unlisted.startswith(BESIDE):
                    continue
                mistakes.add(
                    folder + unlisted,
                    1,
                    1,
                    f"{MANIFEST} does not list the file",
                    "list it under rules or registers, or take it out of the folder",
                )

    def _read_purposes(self, document: Document, purposes: yaml.Node) -> None:
        if isinstance(purposes, yaml.MappingNode) and not purposes.value:
            document.wrong(purposes, "no purpose is declared", "add `invite: what it is for`")
        for purpose, node in document.mapping(purposes, "purposes").items():
            document.text(node, f"the purpose {purpose}")
            if _PURPOSE.fullmatch(purpose):
                self.purposes.append(purpose)
                self.purpose_lines[purpose] = node.start_mark.line + 1
            else:
                document.wrong(
                    node,
                    f"{purpose!r} cannot be a purpose",
                    "write lower-case letters, digits and underscores, as requests do",
                )

    def _read_confirm(self, document: Document, node: yaml.Node) -> Confirming | None:
        """Read what has to be confirmed; null with a mistake recorded."""
        before = document.mistakes
        entries = document.mapping(
            node, "confirm", ("purposes", "within_days"), ("sources", "since")
        )
        if not {"purposes", "within_days"} <= entries.keys():
            return None
        purposes = document.texts(entries["purposes"], "purposes")
        for text in purposes:
            if text.value not in self.purposes:
                document.wrong(
                    text, f"{text.value} is not declared", nearest(text.value, self.purposes)
                )
        known = {source.value: source for source in MAY_NEED_IT}
        sources = document.texts(entries["sources"], "sources") if "sources" in entries else []
        for text in sources:
            if text.value not in known:
                document.wrong(
                    text,
                    f"{text.value} is no source that may need confirming",
                    "name some of " + ", ".join(known),
                )
        days = document.integer(entries["within_days"], "within_days")
        if days is not None and not 1 <= days <= MOST_CONFIRM_DAYS:
            document.wrong(
                entries["within_days"],
                f"within_days is {days}",
                f"write 1 to {MOST_CONFIRM_DAYS}: how long a person may take to confirm",
            )
        since = document.day(entries["since"], "since") if "since" in entries else None
        if days is None or document.mistakes != before:
            return None
        return Confirming(
            purposes=frozenset(text.value for text in purposes),
            sources=tuple(known[text.value] for text in sources) or MAY_NEED_IT,
            within_ms=days * _DAY_MS,
            since_ms=None if since is None else first_ms(since),
        )

    def _read_file(
        self,
        document: Document,
        node: yaml.Node,
        files: Mapping[str, str],
        kind: str,
        listed: list[str],
    ) -> None:
        text = document.text(node, f"a {kind} file's name")
        if text is None:
            return
        name = text.value
        if name == TESTS:
            document.wrong(
                text,
                f"{TESTS} holds the policy's tests",
                f"take it off the list, and name another file for {kind}s",
            )
        elif name == MANIFEST or not _RULE_FILE.fullmatch(name):
            document.wrong(
                text,
                f"{name!r} cannot be a {kind} file",
                f"name a file of this folder: {kind}s.yaml",
            )
        elif name in self.rule_files or name in self.register_files:
            document.wrong(text, f"{name} is listed twice", "keep one of them")
        elif name not in files:
            others = files.keys() - {MANIFEST}
            document.wrong(
                text,
                f"there is no file {name}",
                nearest(name, others) if others else "add it, or take it off the list",
            )
        else:
            listed.append(name)


def pack_folders(source: str) -> list[str]:
    """List the folders of the packs that a manifest names, each once; what is wrong is left out."""
    silent = Mistakes("")
    document = Document(MANIFEST, source, silent)
    if document.root is None or not _has_packs(document.root):
        return []
    node = document.mapping(document.root, MANIFEST)["packs"]
    folders = [document.text(each, "") for each in document.mapping(node, "packs").values()]
    return sorted({text.value for text in folders if text and _FOLDER.fullmatch(text.value)})


def _has_packs(root: yaml.Node) -> bool:
    return isinstance(root, yaml.MappingNode) and any(
        isinstance(key, yaml.ScalarNode) and key.value == "packs" for key, _ in root.value
    )


def _read_packs(
    document: Document, node: yaml.Node, files: Mapping[str, str]
) -> dict[Jurisdiction, str]:
    """Read which folder's rules decide under which law: each law has one."""
    packs = {}
    laws = tuple(Jurisdiction.__members__)
    for law, folder_node in document.mapping(node, "packs", laws, ()).items():
        folder = document.text(folder_node, f"the pack of {law}")
        if folder is None:
            continue
        if not _FOLDER.fullmatch(folder.value):
            document.wrong(
                folder, f"{folder.value!r} cannot be a pack", "name a folder beside this one: cn"
            )
        elif f"{BESIDE}{folder.value}/{MANIFEST}" not in files:
            document.wrong(
                folder, f"there is no pack {folder.value} beside this folder", "add its folder"
            )
        else:
            packs[Jurisdiction[law]] = folder.value
    return packs


def _read_vocabulary(document: Document, node: yaml.Node) -> None:
    """See that the facts which the policy needs are read by this version of the gate."""
    needed = document.integer(node, "vocabulary")
    if needed is not None and not 1 <= needed <= VOCABULARY_VERSION:
        document.wrong(
            node,
            f"there is no vocabulary {needed} here, only 1 to {VOCABULARY_VERSION}",
            "take a newer consent-gate, or the policy's older edition",
        )


def first_ms(day: date) -> int:
    """Give the first millisecond of a UTC day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
