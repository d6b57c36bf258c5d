"""The base of every record: immutable, slotted, and silent about people."""

from __future__ import annotations

from typing import ClassVar


class Record:
    """
    A value that flows through a topic.

    Subclasses are ``@dataclass(frozen=True, slots=True, repr=False)``. ``SHOWN`` names the fields
    that ``repr`` may print: identifiers of records, never of people, and never text someone wrote.
    """

    __slots__ = ()
    SHOWN: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.SHOWN)
        return f"{type(self).__name__}({shown})"
