"""
Tasks in several processes, a partition each: most of an audit is decoding, which one process does
alone.

A task is any function that can be pickled. What it needs it opens for itself; what it reads it
tells, so that the caller can show bars.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from streams.audit.topic_log import Progress, Watch

_R = TypeVar("_R")

Task = Callable[[Watch], _R]

_TOLD_EVERY: Final = 5_000
_LOOKED_EVERY_SECONDS: Final = 0.2


def cores() -> int:
    """How many processes can run at once here."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_processes(tasks: Sequence[Task[_R]], jobs: int, watch: Watch) -> list[_R]:
    """
    Run the tasks, ``jobs`` at a time, and give what they return in their order.

    With one job everything runs in this process. Raises what a task raised; the others are ended.
    """
    if jobs == 1 or len(tasks) < 2:
        return [task(watch) for task in tasks]
    # Forked, librdkafka's and gRPC's threads would be missing from the child.
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[_Told] = context.Queue()
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), context, _begin, (told,))
    try:
        begun = [pool.submit(_run, task) for task in tasks]
        _tell(begun, told, watch)
        results = [each.result() for each in begun]
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        # What they still read would be of use to nobody, and may take hours.
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    pool.shutdown()
    return results


@dataclass(frozen=True, slots=True)
class _Told:
    """How far a process got: so many offsets more of what it reads, which has ``total``."""

    what: str
    total: int
    done: int


def _tell(begun: Sequence[Future[Any]], told: Any, watch: Watch) -> None:
    """Pass on how far the processes are, until all have ended; raise what one of them raised."""
    bars: dict[str, Progress] = {}
    while True:
        ended = all(each.done() for each in begun)
        try:
            news = told.get(timeout=0 if ended else _LOOKED_EVERY_SECONDS)
        except queue.Empty:
            if ended:
                return
            for each in begun:
                if each.done():
                    each.result()
            continue
        if news.what not in bars:
            bars[news.what] = watch(news.what, news.total)
        if news.done:
            bars[news.what](news.done)


# ------------------------------------------------------------------------- within such a process

_told: Any


def _begin(told: Any) -> None:
    # Ctrl-C reaches every process of a terminal: the first one says what there is to say.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    global _told
    _told = told


def _run(task: Task[_R]) -> _R:
    def watch(what: str, total: int) -> Progress:
        _told.put(_Told(what, total, 0))
        left = 0

        def progress(done: int) -> None:
            nonlocal left
            left += done
            if left >= _TOLD_EVERY:
                _told.put(_Told(what, total, left))
                left = 0

        return progress

    return task(watch)
