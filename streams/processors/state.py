"""
An agent's small state: keyed bytes for each source partition, exact after kill -9.

What a handler changes here is kept aside until everything that the batch comes to is on the
brokers; :mod:`~streams.processors.state_log` says how it is written so that a crash at any point
leaves the state as it was before the batch or as it is after it. Events that the state has applied
are not handled again. So a plain ``count + 1`` is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from streams.errors import TooLarge
from streams.processors.kept import Kept
from streams.topology import Topic

VALUE_MAX_BYTES: Final = 256 * 1024
"""A value is written together with the one it replaces; a record of ``worker.state`` takes 2 MiB.
State is small: what grows without bound belongs into a topic."""

KEY_MAX_CHARACTERS: Final = 512


class AgentState:
    """
    One agent's state of one source partition, as a handler sees and changes it.

    Never another partition's, nor another agent's. Keys are text of at most 512 characters, not
    empty; neither keys nor values may hold a phone number, a name or a body (``worker.state`` is
    kept). Not thread-safe, and of no use after the handler has returned.
    """

    __slots__ = ("_applied", "_changes", "_kept", "_parent", "partition")

    def __init__(
        self,
        partition: int,
        kept: Kept,
        applied: Mapping[str, int],
        parent: AgentState | None = None,
    ) -> None:
        """``kept`` is what counts now and is not changed; ``applied`` is by the topic's name."""
        self.partition = partition
        self._kept = kept
        self._applied = applied
        self._parent = parent
        self._changes: dict[str, bytes | None] = {}

    def get(self, key: str) -> bytes | None:
        """Return the value of a key with the changes of this batch, None if it has none."""
        if key in self._changes:
            return self._changes[key]
        return self._parent.get(key) if self._parent is not None else self._kept.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Set the value of a key. Raises :class:`TooLarge` for what is no small state."""
        if not key or len(key) > KEY_MAX_CHARACTERS:
            raise TooLarge(f"A key of the state has 1 to {KEY_MAX_CHARACTERS} characters.")
        if len(value) > VALUE_MAX_BYTES:
            raise TooLarge(f"A value of the state has at most {VALUE_MAX_BYTES} bytes.")
        self._changes[key] = value

    def delete(self, key: str) -> None:
        """Remove a key; nothing happens if it is not there."""
        if self.get(key) is not None:
            self._changes[key] = None

    def items(self, prefix: str = "") -> Iterator[tuple[str, bytes]]:
        """
        Yield keys and values whose key begins with ``prefix``, in the order of the keys.

        With the changes of this batch, as they are when it is called; it may be changed meanwhile.
        """
        for key in sorted(self._keys(prefix)):
            value = self.get(key)
            if value is not None:
                yield key, value

    def applied(self, topic: Topic) -> int | None:
        """
        Return the highest offset of this topic and partition whose changes are in the state.

        None where nothing of it has changed anything yet. The events at hand are above it.
        """
        return self._applied.get(topic.name)

    def attempt(self) -> AgentState:
        """Return a view whose changes count only after :meth:`keep`."""
        return AgentState(self.partition, self._kept, self._applied, parent=self)

    def keep(self) -> None:
        """Move the changes of an :meth:`attempt` into what it was made from."""
        if self._parent is not None:
            self._parent._changes.update(self._changes)
            self._changes = {}

    def changes(self) -> Mapping[str, bytes | None]:
        """Return the keys that differ from what is kept, with their new values; None: deleted."""
        return {key: value for key, value in self._changes.items() if self._kept.get(key) != value}

    def _keys(self, prefix: str) -> set[str]:
        parent = self._parent
        below = set(self._kept.beginning_with(prefix)) if parent is None else parent._keys(prefix)
        return below | {key for key in self._changes if key.startswith(prefix)}
