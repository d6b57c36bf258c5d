"""
The schemas that ship: the current version of each record, and those that came before.

``schemas/<record>.avsc`` is the current version, ``schemas/history/<record>-<fingerprint>.avsc``
one that was released and then replaced; docs/schemas.md says how to replace one.

Logical types are left out of what fastavro is given: timestamps stay whole milliseconds, and no
``datetime`` is built for each of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

from streams.errors import SchemaError
from streams.records.record import Record
from streams.resources import data_dir


@dataclass(frozen=True, slots=True)
class Schema:
    """
    One version of one record's schema.

    ``text`` is as written, logical types and docs included: what a registry is given. ``parsed`` is
    for fastavro, without logical types; nobody may change it. ``fingerprint`` is CRC-64-AVRO of the
    parsing canonical form, 8 bytes in the order in which single-object encoding writes them
    (little-endian; Avro 1.12 specification, "Single-object encoding").
    """

    name: str
    text: str
    parsed: dict[str, Any] = field(compare=False)
    fingerprint: bytes

    @property
    def short_name(self) -> str:
        """The name without its namespace: all that Avro's resolution compares."""
        return self.name.rpartition(".")[2]


def file_name(record: type[Record]) -> str:
    """Give the name of a record's schema file, without its ending: ``SmsRequested`` in snake."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", record.__name__).lower()


def schema_text(name: str) -> str:
    """
    Read a current schema as it is shipped, by its file's name without ending: ``sms_requested``.

    Raises :class:`SchemaError` when there is none.
    """
    return _read(data_dir("schemas") / f"{name}.avsc")


@lru_cache
def parse(text: str, where: str) -> Schema:
    """
    Parse one record's schema, which must name nothing that it does not define; each text once.

    ``where`` says in the error where the text is from. Raises :class:`SchemaError`.
    """
    fault = None
    try:
        parsed = parse_schema(_without_annotations(json.loads(text)))
        if not isinstance(parsed, dict) or not parsed.get("fields"):
            fault = "it is not a record with fields"
        else:
            canonical = to_parsing_canonical_form(parsed)
            _mend_bytes_defaults(parsed)
            return Schema(
                name=parsed["name"],
                text=text,
                parsed=parsed,
                fingerprint=bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO")),
            )
    except Exception as error:  # noqa: BLE001  # json and fastavro raise a dozen kinds
        fault = f"{type(error).__name__}: {error}"
    raise SchemaError(f"{where} is not an Avro schema of a record: {fault}")


def current(record: type[Record]) -> Schema:
    """Give the current schema of a record. Raises :class:`SchemaError`."""
    name = file_name(record)
    return parse(schema_text(name), f"schemas/{name}.avsc")


def history(record: type[Record], folder: Path | None = None) -> list[Schema]:
    """
    Give the replaced versions of a record's schema, in no order.

    ``folder`` is the shipped ``schemas/history`` unless given. Raises :class:`SchemaError` when a
    file is not named by the fingerprint of what is in it: someone changed what must never change.
    """
    folder = folder or data_dir("schemas") / "history"
    versions = []
    for path in sorted(folder.glob(f"{file_name(record)}-*.avsc")):
        schema = parse(_read(path), f"schemas/history/{path.name}")
        if path.stem.rpartition("-")[2] != schema.fingerprint.hex():
            raise SchemaError(
                f"schemas/history/{path.name} holds the schema with the fingerprint "
                f"{schema.fingerprint.hex()}. A released schema never changes: put the old text "
                "back, or rename the file if it is new."
            )
        versions.append(schema)
    return versions


def units(schema: Schema) -> dict[tuple[str, str], str]:
    """
    Give the logical type of every number that has one, by its record's short name and its field.

    A fingerprint does not tell microseconds from milliseconds, and neither does reading.
    """
    return dict(_units(json.loads(schema.text)))


def _units(node: Any, record: str = "", field: str = "") -> Iterator[tuple[Any, str]]:
    match node:
        case {"type": "record", "name": str(name), "fields": list(fields)}:
            for each in fields:
                yield from _units(each["type"], name.rpartition(".")[2], each["name"])
        case {"type": "int" | "long", "logicalType": str(unit)}:
            yield (record, field), unit
        case {"type": "array", "items": inner} | {"type": "map", "values": inner}:
            yield from _units(inner, record, field)
        case {"type": dict() | list() as inner}:
            yield from _units(inner, record, field)
        case list():
            for each in node:
                yield from _units(each, record, field)


def _without_annotations(node: Any) -> Any:
    """Drop what says nothing about bytes, and what would make fastavro build datetimes."""
    match node:
        case {"fields": list(fields)}:
            kept = {k: v for k, v in node.items() if k not in ("doc", "logicalType", "fields")}
            return kept | {
                "fields": [
                    {k: v for k, v in each.items() if k != "doc"}
                    | {"type": _without_annotations(each["type"])}
                    for each in fields
                ]
            }
        case dict():
            return {
                k: _without_annotations(v) if k in ("type", "items", "values") else v
                for k, v in node.items()
                if k not in ("doc", "logicalType")
            }
        case list():
            return [_without_annotations(each) for each in node]
        case _:
            return node


def _mend_bytes_defaults(node: Any) -> None:
    """
    Turn the defaults of bytes fields into bytes.

    JSON has no bytes: a default of them is text, one character a byte. fastavro hands it out as the
    text that it is.
    """
    match node:
        case {"fields": list(fields)}:
            for each in fields:
                if each["type"] == "bytes" and isinstance(each.get("default"), str):
                    each["default"] = each["default"].encode("latin-1")
                _mend_bytes_defaults(each["type"])
        case {"type": "array", "items": inner} | {"type": "map", "values": inner}:
            _mend_bytes_defaults(inner)
        case list():
            for each in node:
                _mend_bytes_defaults(each)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SchemaError(
            f"The schema {path} cannot be read: {error.strerror}. If consent-gate was installed "
            "from a package, install it again."
        ) from error
