"""``policy.yaml``: what a policy is called, the purposes it knows, the files its rules stand in."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from streams.policy.documents import Document
from streams.policy.mistakes import Mistakes, nearest
from streams.policy.vocabulary import VOCABULARY_VERSION

MANIFEST = "policy.yaml"
"""The file that names a policy's other files."""

TESTS = "tests.yaml"
"""The file that a policy's tests stand in, if there is one. It decides nothing: no gate reads it,
and it is no part of the version (docs/adr/0017)."""

_PURPOSE = re.compile(r"[a-z][a-z0-9_]{0,47}")
_RULE_FILE = re.compile(r"[a-z0-9][a-z0-9_-]*\.yaml")


class Manifest:
    """
    What ``policy.yaml`` says.

    ``edition`` is for people. ``purpose_lines`` are the lines, from 1, that the purposes are
    declared on. ``rule_files`` and ``register_files`` are the files to read, in order, each of
    which exists; what is wrong, such as a file that is missing or not listed, is in the mistakes.
    """

    def __init__(self, document: Document, files: Mapping[str, str], mistakes: Mistakes) -> None:
        """Read ``document``, the manifest among ``files``."""
        self.name = self.edition = ""
        self.purposes: list[str] = []
        self.purpose_lines: dict[str, int] = {}
        self.rule_files: list[str] = []
        self.register_files: list[str] = []
        entries = (
            document.mapping(
                document.root,
                MANIFEST,
                ("name", "edition", "purposes", "rules"),
                ("vocabulary", "registers"),
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
        if "rules" in entries:
            for node in document.items(entries["rules"], "rules"):
                self._read_file(document, node, files, "rule", self.rule_files)
            listed = {MANIFEST, TESTS, *self.rule_files, *self.register_files}
            for unlisted in sorted(files.keys() - listed):
                mistakes.add(
                    unlisted,
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


def _read_vocabulary(document: Document, node: yaml.Node) -> None:
    """See that the facts which the policy needs are read by this version of the gate."""
    needed = document.integer(node, "vocabulary")
    if needed is not None and not 1 <= needed <= VOCABULARY_VERSION:
        document.wrong(
            node,
            f"there is no vocabulary {needed} here, only 1 to {VOCABULARY_VERSION}",
            "take a newer consent-gate, or the policy's older edition",
        )
