"""One record as Faust hands it over: its bytes and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.processors.agent import Headers


@dataclass(frozen=True, slots=True)
class Message:
    """
    A record of a source topic, not decoded. ``topic`` is its name on the cluster.

    ``timestamp`` is in milliseconds. ``generation`` is the group's when it was fetched.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)
    generation: int

    @property
    def size(self) -> int:
        """How many bytes it holds in memory, roughly."""
        return len(self.key or b"") + len(self.value or b"") + 200
