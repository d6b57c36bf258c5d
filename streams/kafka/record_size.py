"""How large a record is, as it counts against a bound."""

from __future__ import annotations

from collections.abc import Iterable


def size_of(
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, str | bytes | None]] = (),
) -> int:
    """Return how many bytes a record has before compression, framing left out."""
    named = sum(len(name) + len(said or b"") for name, said in headers)
    return len(key or b"") + len(value or b"") + named
