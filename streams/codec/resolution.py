"""
Whether what one schema wrote may be read as another: the questions that reading does not ask.

Avro's own rules are applied by fastavro while it reads. What it would let pass is refused here,
once for each foreign schema, before anything of it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streams.codec.schemas import Schema, units


def objection(written: Schema, reader: Schema) -> str | None:
    """
    Say why records of ``written`` may not be read as ``reader``; None: they may.

    - The names differ, namespaces aside: another kind of record.
    - A field counts time in another unit: it would be read as if in ours, a thousandfold off.
    - A type holds itself or takes no bytes: a short value could then fill the stack or the memory.
    """
    if written.short_name != reader.short_name:
        return f"is of {written.short_name}"
    ours, theirs = units(reader), units(written)
    for place, unit in ours.items():
        if theirs.get(place, unit) != unit:
            return f"has {'.'.join(place)} in {theirs[place]}, not in {unit}"
    return next(_unbounded(written.parsed, ()), None)


def _unbounded(node: Any, within: tuple[str, ...]) -> Iterator[str]:
    match node:
        case {"type": "record", "name": str(name), "fields": list(fields)}:
            for each in fields:
                yield from _unbounded(each["type"], (*within, name))
        case {"type": "array", "items": inner}:
            if not _takes_bytes(inner):
                yield "has an array whose items take no bytes"
            yield from _unbounded(inner, within)
        case {"type": "map", "values": inner} | {"type": dict() | list() as inner}:
            yield from _unbounded(inner, within)
        case list():
            for each in node:
                yield from _unbounded(each, within)
        case str() if node in within:
            yield f"has the type {node} within itself"


def _takes_bytes(node: Any) -> bool:
    """Whether every value of this type takes a byte at least; a name counts as one that does."""
    match node:
        case "null" | {"type": "null"} | {"type": "fixed", "size": 0}:
            return False
        case {"type": "record", "fields": list(fields)}:
            return any(_takes_bytes(each["type"]) for each in fields)
        case _:
            return True
