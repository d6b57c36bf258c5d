"""
YAML read for people who make mistakes, and against files that are made to harm.

Every node keeps its place. Refused: a key twice, anchors and aliases (a small file can expand to
gigabytes), tags (they name Python types), more than one document, deep nesting, big files. Nothing
is ever constructed from YAML but text: a number or a boolean where text is meant is a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import yaml

from streams.policy.mistakes import Mistakes, nearest

MAX_FILE_CHARACTERS = 256 * 1024
"""A hundred times what a rule file needs. Above it, parsing alone would stop a gate for seconds."""

MAX_DEPTH = 8
"""Rule files nest four deep. PyYAML composes recursively: thousands would end the process."""

_TEXT = "tag:yaml.org,2002:str"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_BOOLEAN = "tag:yaml.org,2002:bool"
_NULL = "tag:yaml.org,2002:null"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE = re.compile(r"-?[0-9]{1,16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Text:
    """
    A piece of text in a file.

    ``start`` and ``end`` are the character offsets of its source, quotes or block header included.
    """

    value: str
    line: int
    column: int
    start: int
    end: int


class Document:
    """One YAML file. What is wrong goes into ``mistakes``; what could be read is given back."""

    def __init__(
        self, name: str, source: str, mistakes: Mistakes, root: yaml.Node | None = None
    ) -> None:
        """Parse ``source``, the text of the file ``name``; ``root`` if that was done before."""
        self.name = name
        self._source = source
        self._mistakes = mistakes
        if root is None:
            composing = _Composing(name, source, mistakes, MAX_FILE_CHARACTERS)
            root = next(iter(composing.roots(several=False)), None)
        self.root: yaml.Node | None = root

    @property
    def mistakes(self) -> int:
        """How many mistakes were recorded so far, in all files together."""
        return len(self._mistakes)

    def wrong(self, place: yaml.Node | Text, what: str, remedy: str) -> None:
        """Record a mistake at the start of ``place``."""
        line, column = (
            (place.line, place.column)
            if isinstance(place, Text)
            else (place.start_mark.line + 1, place.start_mark.column + 1)
        )
        self._mistakes.add(self.name, line, column, what, remedy)

    def wrong_inside(self, text: Text, offset: int, what: str, remedy: str) -> None:
        """
        Record a mistake at the character ``offset`` of ``text.value``.

        YAML folds lines, drops indentation and quotes: only white space differs between the value
        and its source, so the place is found by walking both past it.
        """
        at = text.start
        if self._source[at : at + 1] in ("|", ">"):
            at = self._source.find("\n", at)
        for position, character in enumerate(text.value[: offset + 1]):
            if character.isspace():
                continue
            found = self._source.find(character, at, text.end)
            if found < 0:
                break
            at = found + (position < offset)
        line_start = self._source.rfind("\n", 0, at) + 1
        line = self._source.count("\n", 0, at) + 1
        self._mistakes.add(self.name, line, at - line_start + 1, what, remedy)

    def mapping(
        self,
        node: yaml.Node,
        what: str,
        required: Collection[str] = (),
        optional: Collection[str] | None = None,
    ) -> dict[str, yaml.Node]:
        """
        Read a mapping's entries, each under its key's text.

        Without ``optional`` any key is welcome; with it, only those and the ``required`` ones are.
        A key twice, an unknown one and a missing one are mistakes.
        """
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, f"{what} is {_kind(node)}", "write it as `key: value` lines")
            return {}
        entries: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = self.text(key_node, f"a key of {what}")
            if key is None:
                continue
            if key.value in entries:
                self.wrong(key_node, f"{key.value} stands twice in {what}", "keep one of them")
            elif optional is not None and key.value not in {*required, *optional}:
                self.wrong(
                    key_node,
                    f"{what} has no {key.value}",
                    nearest(key.value, [*required, *optional]),
                )
            else:
                entries[key.value] = value
        for key_name in required:
            if key_name not in entries:
                self.wrong(node, f"{what} lacks {key_name}", f"add a line `{key_name}: ...`")
        return entries

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """Read a list; an empty one is a mistake."""
        if not isinstance(node, yaml.SequenceNode):
            self.wrong(node, f"{what} is {_kind(node)}", "write it as a list of `- ...` lines")
            return []
        if not node.value:
            self.wrong(node, f"{what} is empty", "add an entry, or take the file out of the policy")
        return list(node.value)

    def text(self, node: yaml.Node, what: str) -> Text | None:
        """Read text that is not blank."""
        if not isinstance(node, yaml.ScalarNode) or node.tag != _TEXT:
            self.wrong(node, f"{what} is {_kind(node)}", "write text here, in quotes if need be")
            return None
        if not node.value.strip():
            self.wrong(node, f"{what} is blank", "write it out")
            return None
        return _placed(node)

    def texts(self, node: yaml.Node, what: str) -> list[Text]:
        """Read one text or a list of texts."""
        nodes = self.items(node, what) if isinstance(node, yaml.SequenceNode) else [node]
        read = [self.text(item, what) for item in nodes]
        return [text for text in read if text is not None]

    def day(self, node: yaml.Node, what: str) -> date | None:
        """Read a calendar day, ``2027-01-31``."""
        if isinstance(node, yaml.ScalarNode) and node.tag in (_TEXT, _TIMESTAMP):
            try:
                return date.fromisoformat(node.value)
            except ValueError:
                pass
        self.wrong(node, f"{what} is no calendar day", "write it as year-month-day, 2027-01-31")
        return None

    def written(self, node: yaml.Node, what: str) -> str | None:
        """Read a scalar as it is written, blank or not: numbers keep their ``+``. Never quoted."""
        if isinstance(node, yaml.ScalarNode) and node.tag != _NULL:
            return str(node.value)
        self.wrong(node, f"{what} is {_shape(node)}", "write text here")
        return None

    def boolean(self, node: yaml.Node, what: str) -> bool | None:
        """Read ``true`` or ``false``."""
        if isinstance(node, yaml.ScalarNode) and node.tag == _BOOLEAN:
            return str(node.value).lower() in ("true", "yes", "on")
        self.wrong(node, f"{what} is {_shape(node)}", "write true or false")
        return None

    def integer(self, node: yaml.Node, what: str) -> int | None:
        """Read a whole number."""
        if isinstance(node, yaml.ScalarNode) and _WHOLE.fullmatch(node.value):
            return int(node.value)
        self.wrong(node, f"{what} is {_shape(node)}", "write a whole number")
        return None

    def moment(self, node: yaml.Node, what: str) -> int | None:
        """Read a time, in milliseconds since the epoch or in ISO 8601; without a zone it is UTC."""
        if isinstance(node, yaml.ScalarNode):
            if _WHOLE.fullmatch(node.value):
                return int(node.value)
            try:
                read = datetime.fromisoformat(node.value)
            except ValueError:
                pass
            else:
                at = read if read.tzinfo is not None else read.replace(tzinfo=UTC)
                return (at - _EPOCH) // timedelta(milliseconds=1)
        self.wrong(
            node,
            f"{what} is no time",
            "write 2026-01-31T10:00:00Z, or milliseconds since the epoch",
        )
        return None


def is_null(node: yaml.Node) -> bool:
    """Whether nothing, ``~`` or ``null`` stands here."""
    return isinstance(node, yaml.ScalarNode) and node.tag == _NULL


def every_document(
    name: str, source: str, mistakes: Mistakes, most_characters: int
) -> list[Document]:
    """Parse ``source``, whose documents are parted by ``---``. Empty ones are left out."""
    roots = _Composing(name, source, mistakes, most_characters).roots(several=True)
    return [Document(name, source, mistakes, root) for root in roots]


class _Composing:
    """From text to nodes, once it is seen to be harmless."""

    def __init__(self, name: str, source: str, mistakes: Mistakes, most_characters: int) -> None:
        self._name = name
        self._source = source
        self._mistakes = mistakes
        self._most_characters = most_characters

    def roots(self, *, several: bool) -> list[yaml.Node]:
        if len(self._source) > self._most_characters:
            self._at(1, 1, "the file is too large", f"keep it under {self._most_characters} bytes")
            return []
        try:
            if not self._harmless(several=several):
                return []
            composed = list(yaml.compose_all(self._source, Loader=yaml.SafeLoader))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self._at(line, column, f"this is not YAML: {error.problem}", "mend the line")
            return []
        except yaml.reader.ReaderError as error:
            line = self._source.count("\n", 0, error.position) + 1
            self._at(line, 1, "a control character stands here", "take it out")
            return []
        roots = [root for root in composed if not (several and _says_nothing(root))]
        if not roots:
            self._at(1, 1, "the file is empty", "fill it, or take it out of the policy")
        return roots

    def _harmless(self, *, several: bool) -> bool:
        """Look at the flat stream of events, before anything is built from it."""
        before = len(self._mistakes)
        depth = documents = 0
        events: Any = yaml.parse(self._source, Loader=yaml.SafeLoader)
        for event in events:
            line, column = event.start_mark.line + 1, event.start_mark.column + 1
            if getattr(event, "anchor", None) is not None:
                sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
                self._at(line, column, f"{sign}{event.anchor} is refused", "write it out in full")
            if getattr(event, "tag", None) is not None:
                self._at(line, column, f"the tag {event.tag} is refused", "take it out")
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    self._at(line, column, "nested too deeply", "write it flatter")
                    return False
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1 and not several:
                    self._at(line, column, "a second document begins", "take out the `---`")
                    return False
        return len(self._mistakes) == before

    def _at(self, line: int, column: int, what: str, remedy: str) -> None:
        self._mistakes.add(self._name, line, column, what, remedy)


def _says_nothing(root: yaml.Node) -> bool:
    return isinstance(root, yaml.ScalarNode) and not root.value


def _placed(node: yaml.ScalarNode) -> Text:
    start = node.start_mark
    return Text(node.value, start.line + 1, start.column + 1, start.index, node.end_mark.index)


def _shape(node: yaml.Node) -> str:
    """Say what a node is without repeating it: it may be a person's."""
    if isinstance(node, yaml.ScalarNode):
        return "left empty" if node.tag == _NULL else f"of type {node.tag.rpartition(':')[2]}"
    return _kind(node)


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "text" if node.tag == _TEXT else f"`{node.value}`" if node.value else "left empty"
