"""
Work that takes long, done in slices, so that whoever waits for the same thread has turns.

A generator yields wherever it may be interrupted; a slice ends where it next yields after
:data:`SLICE_SECONDS`. A thread takes what waits in the order in which it came, and of each
partition one slice waits: so partitions take turns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from concurrent.futures import Executor
from typing import Final, Generic, TypeVar, assert_never

from streams.processors.agent import Place

R = TypeVar("R")

SLICE_SECONDS: Final = 0.01
"""So long work goes on before it gives way. A shorter time costs a large upload more turns; so long
everyone else waits, two or three times an upload."""


async def in_slices(work: Generator[None, None, R], place: Place, executor: Executor | None) -> R:
    """
    Bring work to its end where its agent runs, giving way after each slice; return its result.

    Raises what it raises. Cancelled, it leaves the slice under way to its end, and does no other.
    """
    while True:
        match place:
            case Place.THREAD:
                loop = asyncio.get_running_loop()
                done = await loop.run_in_executor(executor, _one_slice, work)
            case Place.LOOP:
                done = _one_slice(work)
            case _:
                assert_never(place)
        if done is not None:
            return done.result
        await asyncio.sleep(0)


class _Done(Generic[R]):
    """What work has come to."""

    def __init__(self, result: R) -> None:
        self.result = result


def _one_slice(work: Generator[None, None, R]) -> _Done[R] | None:
    """Go on until it is time to give way; None: it has not ended."""
    until = time.monotonic() + SLICE_SECONDS
    try:
        next(work)
        while time.monotonic() < until:
            next(work)
    except StopIteration as end:  # which no future takes
        return _Done(end.value)
    return None
