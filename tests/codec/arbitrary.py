"""Hypothesis strategies of whole records, drawn from their schemas: nothing a writer may send is
left out."""

from typing import Any, TypeVar

from hypothesis import strategies as st

from streams.codec import schemas
from streams.codec.plain import builder_of
from streams.records.record import Record

R = TypeVar("R", bound=Record)

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "string": TEXT,
    "bytes": st.binary(max_size=70),
}


def records(record: type[R]) -> st.SearchStrategy[R]:
    """Any record of this class."""
    return plain_values(schemas.current(record).parsed).map(builder_of(record))


def plain_values(schema: Any) -> st.SearchStrategy[Any]:
    """Any value of a parsed schema, as fastavro gives and takes it."""
    return _values(schema, {})


def _values(schema: Any, named: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    match schema:
        case str():
            return named[schema] if schema in named else BY_TYPE[schema]
        case list():
            return st.one_of([_values(each, named) for each in schema])
        case {"type": "record", "name": name, "fields": fields}:
            named[name] = st.fixed_dictionaries(
                {each["name"]: _values(each["type"], named) for each in fields}
            )
            return named[name]
        case {"type": "enum", "name": name, "symbols": symbols}:
            named[name] = st.sampled_from(symbols)
            return named[name]
        case {"type": "array", "items": items}:
            return st.lists(_values(items, named), max_size=4)
        case {"type": "map", "values": values}:
            return st.dictionaries(TEXT, _values(values, named), max_size=4)
        case {"type": inner}:
            return _values(inner, named)
    raise AssertionError(schema)
