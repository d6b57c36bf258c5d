"""
YAML files of this room, read for people who make mistakes: lists, senders, answers.

Text is text: nothing is constructed, and ``no``, ``off`` and ``0000`` are words. The files are
flat, so that a reader of a few lines does; what is composed is shared and never copied, so that
aliases cannot expand.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import yaml

from streams.errors import ConfigError


class FlatFile:
    """
    One file. What is wrong goes into ``mistakes``, as ``file:line: what; remedy``.

    ``root`` is None where nothing could be read. Raises :class:`ConfigError` at once for a file
    that cannot be opened. Blocks on the disk.
    """

    def __init__(self, path: Path, mistakes: list[str], most_characters: int) -> None:
        self._path = path
        self._mistakes = mistakes
        self.root = self._composed(most_characters)

    def wrong(self, line: int, what: str, remedy: str) -> None:
        """Record a mistake."""
        self._mistakes.append(f"{self._path}:{line}: {what}; {remedy}")

    def mapping(self, node: yaml.Node, known: Collection[str], what: str) -> dict[str, yaml.Node]:
        """Read a mapping whose keys are all ``known``; a key twice or unknown is a mistake."""
        if not isinstance(node, yaml.MappingNode):
            self.wrong(line_of(node), f"{what} is no mapping", "write `key: value` lines")
            return {}
        fields: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            if key in fields:
                self.wrong(line_of(key_node), f"{key} stands twice", "join the two")
            elif key not in known:
                self.wrong(
                    line_of(key_node),
                    f"unknown key {key}",
                    "use one of " + ", ".join(sorted(known)),
                )
            else:
                fields[key] = value
        return fields

    def items(self, node: yaml.Node | None, what: str) -> list[yaml.Node]:
        """Read a list; none at all (``node`` None) is empty, an empty one is a mistake."""
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self.wrong(line_of(node), f"{what} is no list, or empty", "write `- ...` lines")
            return []
        return list(node.value)

    def text(self, node: yaml.Node) -> str | None:
        """Read text that is not blank."""
        if isinstance(node, yaml.ScalarNode) and node.value.strip():
            return str(node.value)
        self.wrong(line_of(node), "text is missing here", "write a word or a phrase")
        return None

    def _composed(self, most_characters: int) -> yaml.Node | None:
        try:
            source = self._path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            self.wrong(1, "this is not UTF-8", "save it as UTF-8")
            return None
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be read: {error.strerror}.") from error
        if len(source) > most_characters:
            self.wrong(1, "the file is too large", f"keep it under {most_characters} letters")
            return None
        try:
            root = yaml.compose(source, Loader=yaml.BaseLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            self.wrong(mark.line + 1 if mark else 1, f"no YAML: {error.problem}", "mend the line")
            return None
        except (yaml.YAMLError, RecursionError):
            self.wrong(1, "no YAML", "take out control characters and deep nesting")
            return None
        if root is None:
            self.wrong(1, "the file is empty", "fill it or remove it")
        return root


def line_of(node: yaml.Node) -> int:
    """Give the line that a node begins on, from 1."""
    line: int = node.start_mark.line + 1
    return line
