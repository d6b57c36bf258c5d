"""
Plain dicts, as fastavro gives them, into records.

The work is laid out once for each record class from its type hints; for each record only what
differs from the plain value is converted: enums, tuples and nested records.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from enum import Enum
from operator import itemgetter
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from streams.records.record import Record

R = TypeVar("R", bound=Record)
Convert = Callable[[Any], Any]


def builder_of(record: type[R]) -> Callable[[dict[str, Any]], R]:
    """
    Give the function that makes this record of a plain dict holding at least all its fields.

    The dict and what is in it are never changed: where an old writer lacks a field, fastavro hands
    out the same default object each time.
    """
    hints = get_type_hints(record)
    names = [each.name for each in fields(record)]  # type: ignore[arg-type]  # all are dataclasses
    conversions = [
        (place, convert)
        for place, name in enumerate(names)
        if (convert := _conversion(hints[name])) is not None
    ]
    in_order = itemgetter(*names) if len(names) > 1 else lambda plain: (plain[names[0]],)

    def build(plain: dict[str, Any]) -> R:
        values = list(in_order(plain))
        for place, convert in conversions:
            if (value := values[place]) is not None:
                values[place] = convert(value)
        return record(*values)

    return build


def _conversion(hint: Any) -> Convert | None:
    """Give what turns a plain value, not null, into one of this type; None where it is one."""
    origin = get_origin(hint)
    if origin is UnionType:
        (inner,) = (each for each in get_args(hint) if each is not NoneType)
        return _conversion(inner)
    if origin is tuple:
        convert = _conversion(get_args(hint)[0])
        return tuple if convert is None else _tuple_of(convert)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {member.value: member for member in hint}.__getitem__
    if isinstance(hint, type) and issubclass(hint, Record):
        return builder_of(hint)
    return None


def _tuple_of(convert: Convert) -> Convert:
    return lambda values: tuple([convert(value) for value in values])
