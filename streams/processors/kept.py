"""What an agent's state has kept of one partition: by key, and by what keys begin with."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping


class Kept:
    """
    Keyed bytes whose keys are found by prefix without looking at all of them.

    Of a hundred thousand uploads an agent asks for those of one uploader, for each upload. Not
    thread-safe.
    """

    def __init__(self, values: Mapping[str, bytes]) -> None:
        self._values = dict(values)
        self._keys = sorted(values)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, None if it has none."""
        return self._values.get(key)

    def set(self, key: str, value: bytes | None) -> None:
        """Keep the value of a key, or with None nothing of it."""
        if value is None:
            if self._values.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]
            return
        if key not in self._values:
            insort(self._keys, key)
        self._values[key] = value

    def beginning_with(self, prefix: str) -> Iterator[str]:
        """Yield the keys with this prefix, in their order. Nothing may be set meanwhile."""
        for place in range(bisect_left(self._keys, prefix), len(self._keys)):
            if not self._keys[place].startswith(prefix):
                return
            yield self._keys[place]
