"""``templates``: texts with variables that were approved."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from streams.records.record import Record


class VariableType(Enum):
    """What may be put into a variable of a template."""

    PERSON_NAME = "PERSON_NAME"
    NUMBER = "NUMBER"
    CODE = "CODE"
    LINK = "LINK"
    FREE_WORDS = "FREE_WORDS"


@dataclass(frozen=True, slots=True, repr=False)
class TemplateVariable(Record):
    """One variable of a template."""

    SHOWN: ClassVar[tuple[str, ...]] = ("name", "type")

    name: str
    type: VariableType


@dataclass(frozen=True, slots=True, repr=False)
class Template(Record):
    """
    A text in which each variable stands as ``{name}``, for messages of one purpose.

    ``jurisdiction`` is the only law it was approved for; null: any. Nothing may be sent by it
    before ``approved_at``; null: not approved.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("template_id", "version", "purpose", "jurisdiction")

    template_id: str
    version: int
    purpose: str
    jurisdiction: str | None
    text: str
    variables: tuple[TemplateVariable, ...] = ()
    claims: tuple[str, ...] = ()
    opt_out_text: str | None = None
    approved_by: str | None = None
    approved_at: int | None = None


def template_key(template_id: str, version: int) -> str:
    """Give the key under which this version of a template is written."""
    return f"{template_id}#{version}"
