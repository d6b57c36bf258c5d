"""
Records into Avro bodies.

Written here and not left to fastavro because encoding states, events and decisions is among the
dearest steps of the gate's loop: fastavro wants a dict, and takes 10 µs for a SubjectState with
making it; this takes the record itself and 2.6. Its bytes are fastavro's, byte for byte, as a
property test shows.

The layout follows the schema (Avro 1.12 specification, "Binary encoding"); the code of one function
is written out and compiled for each schema, once. A value of the wrong type raises TypeError,
AttributeError or KeyError: a fault of the program, never of data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Encode = Callable[[Any], bytes]

_TRUE, _FALSE = b"\x01", b"\x00"
_EMPTY_BLOCK = b"\x00"  # ends arrays and maps
_NULL_BRANCH, _VALUE_BRANCH = b"\x00", b"\x02"  # unions here are always null first, then a value


def encoder_of(schema: dict[str, Any]) -> Encode:
    """
    Give the function that encodes records of this parsed schema, reading fields by their names.

    Only what our schemas use is known: no float, no fixed, unions of null and one other type.
    """
    return _Writing().record(schema)


class _Writing:
    """Writes out and compiles a function for each record, and keeps the types it has met."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {
            "FEW": _FEW,
            "LAST": _LAST,
            "encode_bytes": encode_bytes,
            "encode_long": encode_long,
            "encode_string": encode_string,
        }
        self._named: dict[str, Callable[[str], str]] = {}

    def record(self, schema: dict[str, Any]) -> Encode:
        """Compile the function that encodes records of this schema."""
        parts = [self._value(each["type"])(f"record.{each['name']}") for each in schema["fields"]]
        source = f"def encode(record): return b''.join(({', '.join(parts)},))"
        known = dict(self.known)
        code = compile(source, f"<encoder of {schema['name']}>", "exec")
        exec(code, known)  # noqa: S102  # of nothing but our own schemas
        encode: Encode = known["encode"]
        return encode

    def _keep(self, what: Any) -> str:
        name = f"kept{len(self.known)}"
        self.known[name] = what
        return name

    def _value(self, schema: Any) -> Callable[[str], str]:
        """Give what makes, of the text of a value, the text of the bytes for it."""
        match schema:
            case "string":
                return lambda value: f"encode_string({value})"
            case "bytes":
                return lambda value: f"encode_bytes({value})"
            case "int" | "long":
                return lambda value: (
                    f"(LAST[v << 1] if 0 <= (v := {value}) < FEW else encode_long(v))"
                )
            case "boolean":
                return lambda value: f"({_TRUE!r} if {value} else {_FALSE!r})"
            case str() as name if name in self._named:
                return self._named[name]
            case ["null", inner]:
                encode = self._value(inner)
                none, some = repr(_NULL_BRANCH), repr(_VALUE_BRANCH)
                return lambda value: f"({none} if {value} is None else {some} + {encode(value)})"
            case {"type": "record", "name": name}:
                return self._calling(self.record(schema), name)
            case {"type": "enum", "name": name, "symbols": symbols}:
                places = self._keep({symbol: encode_long(at) for at, symbol in enumerate(symbols)})
                # .value is a descriptor written in Python: slow.
                self._named[name] = lambda value: f"{places}[{value}._value_]"
                return self._named[name]
            case {"type": "array", "items": items}:
                encode_all = self._keep(array_of(self._compiled(items)))
                return lambda value: f"({encode_all}({value}) if {value} else {_EMPTY_BLOCK!r})"
            case {"type": "map", "values": values}:
                return self._calling(map_of(self._compiled(values)), None)
            case {"type": inner}:
                return self._value(inner)
            case _:
                raise NotImplementedError(f"our schemas do not use this type: {schema!r}")

    def _calling(self, encode: Encode, name: str | None) -> Callable[[str], str]:
        called = self._keep(encode)
        if name is not None:
            self._named[name] = lambda value: f"{called}({value})"
        return lambda value: f"{called}({value})"

    def _compiled(self, schema: Any) -> Encode:
        """Give the function that encodes one item."""
        source = f"encode = lambda value: {self._value(schema)('value')}"
        known = dict(self.known)
        exec(source, known)  # noqa: S102  # as above
        encode: Encode = known["encode"]
        return encode


_LAST = [
    bytes([rest]) if rest < 0x80 else bytes([rest & 0x7F | 0x80, rest >> 7])
    for rest in range(0x4000)
]
"""What ends a varint: the one or two bytes of what is left when it is below 2**14."""

_PAIRS = [bytes([rest & 0x7F | 0x80, rest >> 7 | 0x80]) for rest in range(0x4000)]
"""Two bytes of a varint that goes on. Two at a time: a time in milliseconds takes six."""

_FEW = len(_LAST) // 2
"""Below this many a length needs no loop."""

LENGTHS = _LAST[::2]
"""The bytes of each number from 0 to 8191, for who splices: a call costs more than its work."""


def encode_long(number: int) -> bytes:
    """Zig-zag, then seven bits a byte, lowest first."""
    if 0 <= number < _FEW:
        return _LAST[number << 1]
    if not -(1 << 63) <= number < 1 << 63:
        raise OverflowError("Avro's long has 64 bits")
    rest = (number << 1) ^ (number >> 63)
    encoded = b""
    while rest > 0x3FFF:
        encoded += _PAIRS[rest & 0x3FFF]
        rest >>= 14
    return encoded + _LAST[rest]


def encode_string(text: str) -> bytes:
    encoded = text.encode()
    length = len(encoded)
    return (_LAST[length << 1] if length < _FEW else encode_long(length)) + encoded


def encode_bytes(data: bytes) -> bytes:
    length = len(data)
    return (_LAST[length << 1] if length < _FEW else encode_long(length)) + data


def nullable(encode: Encode) -> Encode:
    return lambda value: _NULL_BRANCH if value is None else _VALUE_BRANCH + encode(value)


def array_of(encode: Encode) -> Encode:
    def encode_array(values: tuple[Any, ...]) -> bytes:
        if not values:
            return _EMPTY_BLOCK
        return encode_long(len(values)) + b"".join([encode(each) for each in values]) + _EMPTY_BLOCK

    return encode_array


def map_of(encode: Encode) -> Encode:
    def encode_map(values: dict[str, Any]) -> bytes:
        if not values:
            return _EMPTY_BLOCK
        entries = [encode_string(key) + encode(value) for key, value in values.items()]
        return encode_long(len(values)) + b"".join(entries) + _EMPTY_BLOCK

    return encode_map
