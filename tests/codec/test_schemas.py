"""Schemas and records say the same: same fields, same order, same types, same defaults."""

import dataclasses
import json
from enum import Enum
from types import NoneType, UnionType
from typing import get_args, get_origin, get_type_hints

import pytest

from streams.codec import schemas
from streams.codec.codec import RECORDS, Codecs
from streams.codec.plain import builder_of
from streams.errors import SchemaError
from streams.records.decisions import LedgerRecord, LossRecord, SmsDecision
from streams.records.record import Record
from streams.records.requests import SmsRequested
from streams.records.subject import Position
from streams.resources import data_dir

each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)


def shape_of_hint(hint, named):
    """Write a type hint as a parsed schema, without the names of what is nested."""
    if get_origin(hint) is UnionType:
        (inner,) = (each for each in get_args(hint) if each is not NoneType)
        return ["null", shape_of_hint(inner, named)]
    if get_origin(hint) is tuple:
        return {"array": shape_of_hint(get_args(hint)[0], named)}
    if get_origin(hint) is dict:
        return {"map": shape_of_hint(get_args(hint)[1], named)}
    if issubclass(hint, Enum):
        return {"enum": hint.__name__, "symbols": [each.value for each in hint]}
    if issubclass(hint, Record):
        hints = get_type_hints(hint)
        return {
            "record": hint.__name__,
            "fields": [
                (each.name, shape_of_hint(hints[each.name], named)) for each in fields(hint)
            ],
        }
    return {bool: "boolean", int: "integer", str: "string", bytes: "bytes"}[hint]


def fields(record):
    return dataclasses.fields(record)


def shape_of_schema(schema, named):
    match schema:
        case "int" | "long":
            return "integer"
        case str():
            return named.get(schema, schema)
        case list():
            return [shape_of_schema(each, named) for each in schema]
        case {"type": "array", "items": items}:
            return {"array": shape_of_schema(items, named)}
        case {"type": "map", "values": values}:
            return {"map": shape_of_schema(values, named)}
        case {"type": "enum", "name": name, "symbols": symbols}:
            named[name] = {"enum": name.rpartition(".")[2], "symbols": symbols}
            return named[name]
        case {"type": "record", "name": name, "fields": inner}:
            named[name] = {
                "record": name.rpartition(".")[2],
                "fields": [(each["name"], shape_of_schema(each["type"], named)) for each in inner],
            }
            return named[name]
        case {"type": inner}:
            return shape_of_schema(inner, named)


def nested_records(record):
    """The record and all that are in it."""
    found = [record]
    for hint in get_type_hints(record).values():
        for each in (hint, *get_args(hint)):
            if isinstance(each, type) and issubclass(each, Record):
                found += nested_records(each)
    return found


def records_in(node):
    """Every record of an .avsc file, as JSON, by its short name."""
    match node:
        case {"type": "record", "name": name, "fields": inner}:
            yield name, node
            for each in inner:
                yield from records_in(each["type"])
        case {"type": "array", "items": inner} | {"type": dict() | list() as inner}:
            yield from records_in(inner)
        case list():
            for each in node:
                yield from records_in(each)


@each_record
def test_a_schema_has_its_records_fields_in_their_order(record):
    schema = schemas.current(record)

    assert schema.name == f"consentgate.{record.__name__}"
    assert shape_of_schema(schema.parsed, {}) == shape_of_hint(record, {})


@each_record
def test_a_field_has_a_default_where_the_record_has_one_or_it_may_be_null(record):
    written = dict(records_in(json.loads(schemas.schema_text(schemas.file_name(record)))))
    for each in nested_records(record):
        in_schema = {field["name"]: field for field in written[each.__name__]["fields"]}
        for field in fields(each):
            given = in_schema[field.name]
            nullable = isinstance(given["type"], list) and given["type"][0] == "null"
            has_default = (
                field.default is not dataclasses.MISSING
                or field.default_factory is not dataclasses.MISSING
            )
            named_default = "default" in given
            if has_default or nullable:
                assert named_default, f"{each.__name__}.{field.name}"


@each_record
def test_defaults_are_the_records_own(record):
    schema = schemas.current(record)
    hints = get_type_hints(record)
    optional = {
        field.name: field.default
        if field.default is not dataclasses.MISSING
        else field.default_factory()
        for field in fields(record)
        if field.default is not dataclasses.MISSING
        or field.default_factory is not dataclasses.MISSING
    }
    in_schema = {each["name"]: each for each in schema.parsed["fields"]}
    for name, default in optional.items():
        given = in_schema[name]["default"]
        hint = hints[name]
        if isinstance(hint, type) and issubclass(hint, Record):
            given = builder_of(hint)(given)
        elif isinstance(default, Enum):
            given = type(default)(given)
        elif isinstance(default, tuple):
            given = tuple(given)
        assert given == default, name


@each_record
def test_every_record_and_field_says_what_it_is(record):
    for name, node in records_in(json.loads(schemas.schema_text(schemas.file_name(record)))):
        assert node["doc"], name
        for each in node["fields"]:
            assert each["doc"].endswith("."), f"{name}.{each['name']}"


@each_record
def test_every_time_is_in_milliseconds(record):
    known = schemas.units(schemas.current(record))
    assert set(known.values()) <= {"timestamp-millis"}
    for each in nested_records(record):
        for field in fields(each):
            if field.name.endswith("_at") or field.name in ("valid_until", "hold_until", "since"):
                assert (each.__name__, field.name) in known


def test_a_type_that_several_schemas_define_is_the_same_in_all():
    seen = {}
    for record in RECORDS:
        named = {}
        shape_of_schema(schemas.current(record).parsed, named)
        for name, shape in named.items():
            assert seen.setdefault(name, shape) == shape, name


def test_every_schema_file_has_a_codec():
    stems = {path.stem for path in data_dir("schemas").glob("*.avsc")}

    assert stems == {schemas.file_name(record) for record in RECORDS}
    assert len(RECORDS) == len(dataclasses.fields(Codecs))


@pytest.mark.parametrize("record", [SmsDecision, LedgerRecord, LossRecord])
def test_the_signature_is_last_and_null_first(record):
    last = schemas.current(record).parsed["fields"][-1]

    assert (last["name"], last["type"]) == ("signature", ["null", "bytes"])


def test_what_differs_from_message_to_message_comes_first():
    first = [each["name"] for each in schemas.current(SmsRequested).parsed["fields"][:4]]

    assert first == ["request_id", "recipient", "requested_at", "valid_until"]


def test_defaults_of_bytes_are_bytes():
    by_name = {each["name"]: each for each in schemas.current(Position).parsed["fields"]}

    assert by_name["decision_hash"]["default"] == b""


@pytest.mark.parametrize("text", ["", "{", '"string"', '{"type": "record", "name": "A"}', "[]"])
def test_what_is_no_schema_of_a_record_is_a_clear_stop(text):
    with pytest.raises(SchemaError, match="somewhere is not an Avro schema"):
        schemas.parse(text, "somewhere")


def test_a_missing_schema_is_a_clear_stop():
    with pytest.raises(SchemaError, match="cannot be read"):
        schemas.schema_text("no_such_record")
