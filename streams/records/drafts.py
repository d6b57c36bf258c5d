"""
Drafts: records made quickly.

A frozen dataclass sets its fields one by one through ``object.__setattr__``: 1.6 µs for a
:class:`~streams.records.subject.SubjectState`, and ``dataclasses.replace`` takes 5. A *draft* is an
object with the same slots that is not frozen; when all its fields are set it takes the class of the
record, and is then that record and frozen like any other: 0.3 µs.

CPython allows the change of class between classes that have the same base and the same slots, and
raises TypeError otherwise; nothing is reinterpreted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

from streams.records.record import Record

R = TypeVar("R", bound=Record)


def draft_of(record: type[R]) -> Callable[[], Any]:
    """
    Give the class of drafts of this record.

    Set every field, then ``draft.__class__ = record``. Who leaves one out has made a record that
    raises AttributeError when it is asked for it.
    """
    if hasattr(record, "__post_init__") or record.__bases__ != (Record,):
        raise NotImplementedError(f"{record.__name__} does more than hold its fields")
    return type(f"{record.__name__}Draft", (Record,), {"__slots__": names_of(record)})


def names_of(record: type[Record]) -> tuple[str, ...]:
    """Give the names of a record's fields, in their order."""
    return tuple(each.name for each in fields(record))  # type: ignore[arg-type]  # all are dataclasses


def making(record: type[R]) -> Callable[..., R]:
    """
    Give what makes records of this class out of all its fields, each by name: no default is used.

    The result is that of the class itself.
    """
    names = names_of(record)
    return _compiled(
        f"maker of {record.__name__}",
        f"*, {', '.join(names)}",
        [f"made.{name} = {name}" for name in names],
        {"Draft": draft_of(record), "Record": record},
    )


def replacing(record: type[R]) -> Callable[..., R]:
    """
    Give ``dataclasses.replace`` for records of this class: the same arguments, the same result.

    Written out for the fields of the class and compiled, since a loop over them takes most of the
    time that it would save.
    """
    names = names_of(record)
    return _compiled(
        f"replace in {record.__name__}",
        f"record, *, {', '.join(f'{name}=KEPT' for name in names)}",
        [f"made.{name} = record.{name} if {name} is KEPT else {name}" for name in names],
        {"KEPT": object(), "Draft": draft_of(record), "Record": record},
    )


def _compiled(
    what: str, arguments: str, lines: list[str], known: dict[str, Any]
) -> Callable[..., Any]:
    """Compile a function that makes a draft, does these lines, and returns the record."""
    body = ["made = Draft()", *lines, "made.__class__ = Record", "return made"]
    source = "\n ".join([f"def function({arguments}):", *body])
    exec(compile(source, f"<{what}>", "exec"), known)  # noqa: S102  # only names of our own fields
    function: Callable[..., Any] = known["function"]
    return function
