"""
One record as a person writes it in YAML: the schema's own field names, and only what matters.

What a field may hold follows from the record's type. A time is written in ISO 8601 or in
milliseconds, bytes in hex, an enum by its name. No error repeats what was written for a text: it
may be a number, a name or a message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

import yaml

from streams.policy.documents import Document, is_null
from streams.policy.mistakes import nearest
from streams.records.record import Record

R = TypeVar("R", bound=Record)

_TIMES: Final = ("at", "since", "until", "valid_until")
"""Fields that hold a time, beside all that end in ``_at``."""

_Reader = Callable[[Document, yaml.Node, str], Any]


def read_record(
    document: Document, node: yaml.Node, kind: type[R], what: str, defaults: Mapping[str, Any]
) -> R | None:
    """
    Read a record of ``kind``, which mistakes call ``what``; null where something is wrong.

    Fields that are not written take ``defaults``, else the record's own default, else null where
    they may; others are missing, and that is a mistake.
    """
    readers = _readers(kind)  # type: ignore[arg-type]  # a class can be hashed
    before = document.mistakes
    entries = document.mapping(node, what, (), tuple(readers))
    values: dict[str, Any] = {}
    for name, (read, default) in readers.items():
        if name in entries:
            values[name] = read(document, entries[name], f"{name} of {what}")
        elif name in defaults:
            values[name] = defaults[name]
        elif default is not MISSING:
            values[name] = default()
        else:
            document.wrong(node, f"{what} lacks {name}", f"add a line `{name}: ...`")
    return None if document.mistakes > before else kind(**values)


@cache
def _readers(kind: type[Any]) -> dict[str, tuple[_Reader, Any]]:
    """Each field's reader and what makes its default, MISSING where it has none."""
    hints = get_type_hints(kind)
    readers: dict[str, tuple[_Reader, Any]] = {}
    for field in fields(kind):
        hint = hints[field.name]
        default: Any = field.default_factory
        if default is MISSING and field.default is not MISSING:
            default = _constant(field.default)
        if default is MISSING and _optional(hint):
            default = _constant(None)
        readers[field.name] = (_reader(field.name, hint), default)
    return readers


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def _optional(hint: Any) -> bool:
    return get_origin(hint) is UnionType and NoneType in get_args(hint)


def _reader(name: str, hint: Any) -> _Reader:
    if _optional(hint):
        (inner,) = (each for each in get_args(hint) if each is not NoneType)
        of_inner = _reader(name, inner)
        return lambda document, node, what: (
            None if is_null(node) else of_inner(document, node, what)
        )
    if get_origin(hint) is tuple:
        of_item = _reader(name, get_args(hint)[0])
        return lambda document, node, what: tuple(
            of_item(document, item, what) for item in _items(document, node, what)
        )
    if get_origin(hint) is dict:
        return lambda document, node, what: {
            key: document.written(value, f"{key} of {what}")
            for key, value in document.mapping(node, what).items()
        }
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda document, node, what: _member(document, node, what, hint)
    if isinstance(hint, type) and issubclass(hint, Record):
        return lambda document, node, what: read_record(document, node, hint, what, {})
    plain: dict[Any, _Reader] = {
        bool: Document.boolean,
        int: Document.moment if name in _TIMES or name.endswith("_at") else Document.integer,
        bytes: _hex,
        str: Document.written,
    }
    return plain[hint]


def _items(document: Document, node: yaml.Node, what: str) -> list[yaml.Node]:
    """A list, which may be empty."""
    if isinstance(node, yaml.SequenceNode) and not node.value:
        return []
    return document.items(node, what)


def _member(document: Document, node: yaml.Node, what: str, kind: type[Enum]) -> Enum | None:
    written = document.written(node, what)
    if written is None:
        return None
    by_value = {str(member.value): member for member in kind}
    if written not in by_value:
        document.wrong(node, f"{what} cannot be {written!r}", nearest(written, by_value))
        return None
    return by_value[written]


def _hex(document: Document, node: yaml.Node, what: str) -> bytes | None:
    written = document.written(node, what)
    if written is None:
        return None
    try:
        return bytes.fromhex(written)
    except ValueError:
        document.wrong(
            node, f"{what} is not in hex", "write two of 0 to 9 and a to f for each byte"
        )
        return None
