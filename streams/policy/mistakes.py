"""What is wrong with a policy: every mistake, each with its place and its remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from streams.errors import PolicyInvalid


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake at ``line`` and ``column``, both from 1, of ``file`` in the policy directory."""

    file: str
    line: int
    column: int
    what: str
    remedy: str


class Mistakes:
    """All mistakes found in one policy, so that a person can mend them in one go."""

    def __init__(self, where: str) -> None:
        """Collect mistakes of the policy at ``where``, a directory or what stands for one."""
        self._where = where.rstrip("/")
        self._found: set[Mistake] = set()

    def add(self, file: str, line: int, column: int, what: str, remedy: str) -> None:
        """Record one. The same mistake at the same place counts once."""
        self._found.add(Mistake(file, line, column, what, remedy))

    def __len__(self) -> int:
        """Count the mistakes found so far."""
        return len(self._found)

    def raise_if_any(self) -> None:
        """Raise :class:`PolicyInvalid`, a line a mistake: ``file:line:column: what; remedy``."""
        if self._found:
            raise PolicyInvalid(
                "\n".join(
                    f"{self._where}/{found.file}:{found.line}:{found.column}: "
                    f"{found.what}; {found.remedy}"
                    for found in sorted(self._found)
                )
            )


def nearest(name: str, valid: Iterable[str], prefix: str = "") -> str:
    """
    Word a remedy for a misspelt name: the valid name nearest to it, else all of them.

    One of the same letters is nearest, in another case, then in another order. ``prefix`` is
    put before each, and has no part in what is near.
    """
    names = sorted(valid)
    same = [candidate for candidate in names if candidate.casefold() == name.casefold()]
    swapped = [each for each in names if sorted(each.casefold()) == sorted(name.casefold())]
    close = same or swapped or get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {prefix}{close[0]}?"
    return "use one of: " + ", ".join(prefix + valid_name for valid_name in names)
