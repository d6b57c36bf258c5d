"""
Avro bodies into records, for bodies that look as our encoder writes them.

Written here and not left to fastavro because reading states and events is among the dearest steps
of the gate's loop: fastavro makes a dict, of which a record is made, 14 µs for a SubjectState with
one grant; this takes 3. For each schema the code of one function is written out and compiled, once:
no calls, no dicts, each record a draft that is filled in (:mod:`streams.records.drafts`).

It is strict and never final: whatever is not plainly what an encoder writes (a negative count, a
branch that does not exist, bytes left over) raises, and the caller lets fastavro judge. What it
does read, fastavro reads the same, as a property test shows on any bytes. Avro 1.12 specification,
"Binary encoding".
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from streams.records.drafts import draft_of, names_of
from streams.records.record import Record

R = TypeVar("R", bound=Record)
Decode = Callable[[bytes, int], R]

_LONGEST_VARINT = 9
"""Bytes. A tenth holds one more bit of a number that nobody writes: left to fastavro."""


class Doubt(ValueError):
    """These bytes are not plainly a record; fastavro may still read them. Says nothing of them."""


def decoder_of(schema: dict[str, Any], record: type[R]) -> Decode[R]:
    """
    Give the function that reads a body, from an offset to the end of the bytes, as this record.

    It raises where it is in doubt, whatever it is that went wrong: catch everything. Knows what
    :func:`streams.codec.encoder.encoder_of` knows.
    """
    writing = _Writing()
    result = writing.record(schema, record)
    lines = [
        "def decode(raw, at):",
        *writing.lines,
        " if at != len(raw): raise Doubt",
        f" return {result}",
    ]
    code = compile("\n".join(lines), f"<decoder of {schema['name']}>", "exec")
    exec(code, writing.known)  # noqa: S102  # of nothing but our own schemas
    decode: Decode[R] = writing.known["decode"]
    return decode


class _Writing:
    """The lines of one function, and the objects that they name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.known: dict[str, Any] = {"Doubt": Doubt, "long": read_long, "length": read_length}
        self._depth = 1
        self._named: dict[str, Any] = {}
        self._count = 0

    def _say(self, *lines: str) -> None:
        self.lines += [" " * self._depth + line for line in lines]

    def _new(self, what: str, value: Any = None) -> str:
        self._count += 1
        name = f"{what}{self._count}"
        if value is not None:
            self.known[name] = value
        return name

    def record(self, schema: dict[str, Any], record: type[Record]) -> str:
        """Write what reads a record; return the name of the variable that then holds it."""
        by_name = {each["name"]: each["type"] for each in schema["fields"]}
        if set(by_name) != set(names_of(record)):
            raise NotImplementedError(f"{record.__name__} has other fields than its schema")
        self._named[schema["name"]] = schema
        hints = get_type_hints(record)
        draft = self._new("draft", draft_of(record))
        made = self._new("made")
        self._say(f"{made} = {draft}()")
        for name, schema_of_field in by_name.items():
            self._value(schema_of_field, hints[name], f"{made}.{name}")
        self._say(f"{made}.__class__ = {self._new('record', record)}")
        return made

    def _value(self, schema: Any, hint: Any, into: str) -> None:
        """Write what reads one value and assigns it."""
        match schema:
            case "string":
                self._size()
                self._say(f"{into} = raw[at:end].decode()", "at = end")
            case "bytes":
                self._size()
                self._say(f"{into} = raw[at:end]", "at = end")
            case "int" | "long":
                self._say(
                    "byte = raw[at]",
                    "at += 1",
                    f"if byte < 0x80: {into} = (byte >> 1) ^ -(byte & 1)",
                    f"else: {into}, at = long(raw, at - 1)",
                )
            case "boolean":
                self._say(
                    "byte = raw[at]",
                    "at += 1",
                    "if byte > 1: raise Doubt",
                    f"{into} = byte == 1",
                )
            case str() as name if name in self._named:
                self._value(self._named[name], hint, into)
            case ["null", inner]:
                self._say("byte = raw[at]", "at += 1", f"if byte == 0: {into} = None")
                self._say("elif byte != 2: raise Doubt", "else:")
                self._depth += 1
                self._value(inner, _not_none(hint), into)
                self._depth -= 1
            case {"type": "record"}:
                self._say(f"{into} = {self.record(schema, hint)}")
            case {"type": "enum", "name": name, "symbols": symbols}:
                self._named[name] = schema
                is_enum = isinstance(hint, type) and issubclass(hint, Enum)
                members = {
                    place << 1: hint(symbol) if is_enum else symbol
                    for place, symbol in enumerate(symbols)
                }
                self._say(f"{into} = {self._new('members', members)}[raw[at]]", "at += 1")
            case {"type": "array", "items": items}:
                self._many("()", items, get_args(hint)[0], into)
            case {"type": "map", "values": values}:
                self._many("{}", values, get_args(hint)[1], into)
            case {"type": inner}:
                self._value(inner, hint, into)
            case _:
                raise NotImplementedError(f"our schemas do not use this type: {schema!r}")

    def _size(self) -> None:
        """Write what reads a length and sets ``end``. An end too far is noticed at the last."""
        self._say(
            "byte = raw[at]",
            "at += 1",
            "if byte & 0x81: byte, at = length(raw, at - 1)",
            "else: byte >>= 1",
            "end = at + byte",
        )

    def _many(self, nothing: str, inner: Any, hint: Any, into: str) -> None:
        """Write what reads an array or a map: one block of items, then an empty one."""
        items, item, key = self._new("items"), self._new("item"), self._new("key")
        self._say("byte = raw[at]", "at += 1", f"if byte == 0: {into} = {nothing}", "else:")
        self._depth += 1
        self._say(
            "if byte & 0x81: byte, at = length(raw, at - 1)",
            "else: byte >>= 1",
            f"{items} = {'[]' if nothing == '()' else nothing}",
            "for _ in range(byte):",
        )
        self._depth += 1
        if nothing == "()":
            self._value(inner, hint, item)
            self._say(f"{items}.append({item})")
        else:
            self._value("string", str, key)
            self._value(inner, hint, f"{items}[{key}]")
        self._depth -= 1
        self._say(
            "if raw[at]: raise Doubt",
            "at += 1",
            f"{into} = {f'tuple({items})' if nothing == '()' else items}",
        )
        self._depth -= 1


def _not_none(hint: Any) -> Any:
    if get_origin(hint) is not UnionType:
        return hint
    (inner,) = (each for each in get_args(hint) if each is not NoneType)
    return inner


def read_long(raw: bytes, at: int) -> tuple[int, int]:
    """
    Read a zig-zag varint; return the number and where it ends.

    Raises :class:`Doubt`.
    """
    zigzag = shift = 0
    for byte in raw[at : at + _LONGEST_VARINT]:
        zigzag |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (zigzag >> 1) ^ -(zigzag & 1), at + shift // 7
    raise Doubt


def read_length(raw: bytes, at: int) -> tuple[int, int]:
    """Read a length, which is not negative, in the same way."""
    number, at = read_long(raw, at)
    if number < 0:
        raise Doubt
    return number, at
